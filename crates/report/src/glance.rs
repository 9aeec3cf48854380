//! What one wants to know of a run that goes on, without a page: its curves, where its time goes, its last rollouts.

use crate::charts::charts;
use crate::curves::Curves;
use crate::error::ReportError;
use crate::facts::Recipe;
use crate::folder::{curves, is_run, name};
use crate::names::fits;
use crate::snapshots::{Rollout, Snapshots};
use crate::visible::visible;
use std::path::Path;

/// Points of a curve.
const POINTS: usize = 400;
/// Rollouts of the last snapshot.
const ROLLOUTS: usize = 64;
/// What is looked at first, in this order; the rest follows as the page has it.
const FIRST: [&str; 6] = ["loss", "terms/*/kl", "valid_rate", "accuracy", "token_accuracy", "lengths/mean"];

/// A run at a glance. Every text in it is safe to be shown: nothing in it is invisible or commands a terminal.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Glance {
    /// The folder's name.
    pub name: String,
    /// Its last step; none before the first.
    pub step: Option<f64>,
    /// The steps that it is to have, if the recipe says so.
    pub steps: Option<f64>,
    /// Seconds that the rest will take, as long as its last steps took.
    pub seconds_left: Option<f64>,
    /// Its curves, the one to look at first before the others.
    pub curves: Vec<Curve>,
    /// Where its time went.
    pub phases: Vec<Phase>,
    /// The rollouts that were written down last.
    pub rollouts: Vec<Text>,
    /// What could not be read.
    pub notes: Vec<String>,
}

/// A metric over the steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// What it is, as the page calls it.
    pub name: String,
    /// Its values, evenly over the steps; a step without one is a gap.
    pub values: Vec<Option<f64>>,
    /// The value of the last step.
    pub last: Option<f64>,
}

/// A phase of the steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Phase {
    /// Its name.
    pub name: String,
    /// Seconds that it took in all steps.
    pub seconds: f64,
}

/// A rollout.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Text {
    /// The step.
    pub step: usize,
    /// The sample's name.
    pub id: String,
    /// What is wrong with its format; nothing where it keeps it.
    pub fault: Option<String>,
    /// Whether the answer agrees with the reference.
    pub correct: bool,
    /// Its answer.
    pub predicted: Option<String>,
    /// The reference.
    pub answer: String,
    /// The completion in pieces.
    pub pieces: Vec<Piece>,
}

/// A piece of a completion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The text.
    pub text: String,
    /// `d` description, `r` reasoning, `a` answer, `-` none of them or not known.
    pub span: char,
}

impl Glance {
    /// Of the run in a folder.
    ///
    /// # Errors
    /// If there is nothing of a run in it.
    pub fn of(folder: &Path) -> Result<Self, ReportError> {
        if !is_run(folder) {
            let message =
                if folder.is_dir() { "found nothing of a run in it" } else { "there is no such folder" };
            return Err(ReportError::NoRun { path: folder.to_owned(), message: message.into() });
        }
        let mut notes = Vec::new();
        let steps = Recipe::of(folder, &mut notes).number("train.steps").filter(|steps| *steps > 0.0);
        let found = curves(folder, POINTS, &mut notes).unwrap_or_default();
        let step = found.last_step();
        Ok(Self {
            name: name(folder),
            step,
            steps,
            seconds_left: left(&found, step, steps),
            curves: shown(&found),
            phases: phases(&found),
            rollouts: Snapshots::newest(folder, ROLLOUTS).into_iter().map(Text::of).collect(),
            notes,
        })
    }
}

/// The seconds that the rest takes.
fn left(curves: &Curves, step: Option<f64>, steps: Option<f64>) -> Option<f64> {
    let rest = steps? - step?;
    let times = curves.series.keys().filter(|name| is_time(name));
    let each: f64 = times.filter_map(|name| Some(curves.ends(name)?.1)).sum();
    (rest >= 0.0 && each > 0.0).then_some(rest * each)
}

fn phases(curves: &Curves) -> Vec<Phase> {
    let times = curves.sums.iter().filter(|(name, _)| is_time(name));
    let phase = |(name, seconds): (&String, &f64)| Phase {
        name: name.trim_start_matches("seconds/").to_owned(),
        seconds: *seconds,
    };
    times.map(phase).collect()
}

fn is_time(name: &str) -> bool {
    name == "seconds" || fits("seconds/*", name)
}

/// All curves.
fn shown(curves: &Curves) -> Vec<Curve> {
    let charts = charts(&[curves]);
    let lines = charts.iter().flat_map(|chart| chart.lines.iter().map(move |line| (chart, line)));
    let place = |metric: &str| FIRST.iter().position(|pattern| fits(pattern, metric)).unwrap_or(FIRST.len());
    let mut all: Vec<(usize, Curve)> = lines
        .map(|(chart, [metric, label])| {
            let values = curves.series.get(metric).map_or_else(Vec::new, |points| {
                points.iter().map(|point| point.as_ref().map(|point| point.mean())).collect()
            });
            let name = match chart.lines.len() {
                1 => chart.title.to_owned(),
                _ => format!("{label}: {}", chart.title),
            };
            let last = curves.last.get(metric).copied();
            (place(metric), Curve { name: visible(&name, 80), values, last })
        })
        .collect();
    all.sort_by_key(|(place, _)| *place);
    all.into_iter().map(|(_, curve)| curve).collect()
}

impl Text {
    fn of(rollout: Rollout) -> Self {
        let fault = (!rollout.valid).then(|| rollout.reason.unwrap_or_else(|| "invalid".into()));
        let pieces = match rollout.completion {
            Some(text) => vec![Piece { text, span: '-' }],
            None => {
                let spans = rollout.tokens.spans.chars().chain(std::iter::repeat('-'));
                let pieces = rollout.tokens.pieces.into_iter().zip(spans);
                pieces.map(|(text, span)| Piece { text, span }).collect()
            }
        };
        Self {
            step: rollout.step,
            id: rollout.id,
            fault,
            correct: rollout.correct,
            predicted: rollout.predicted,
            answer: rollout.answer,
            pieces,
        }
    }
}
