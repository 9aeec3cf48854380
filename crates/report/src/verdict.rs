//! How a run went, in three sentences, and what looks wrong, in plain words.

use crate::curves::Curves;
use crate::error::ReportError;
use crate::evaluation::{Estimate, Evaluations, Measure};
use crate::folder::Run;
use crate::limits::Limits;
use serde::Serialize;
use std::fmt::{self, Display, Formatter};
use std::path::Path;

/// Standard errors that a change must have to be one.
const SURE: f64 = 2.0;

/// How a run went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// What happened.
    pub happened: String,
    /// Whether it worked.
    pub worked: String,
    /// What to look at next.
    pub next: String,
    /// What looks wrong.
    pub warnings: Vec<String>,
}

impl Display for Verdict {
    /// The three sentences.
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "{}\n{}\n{}", self.happened, self.worked, self.next)
    }
}

/// The verdict on the run in a folder.
///
/// # Errors
/// If there is nothing of a run in it.
pub fn verdict(folder: &Path) -> Result<Verdict, ReportError> {
    // Sentences need neither rollouts nor items.
    let few = Limits { rollouts: 1, items: 0, ..Limits::default() };
    Ok(Verdict::of(&Run::open(folder, &few, 1)?))
}

impl Verdict {
    pub(crate) fn of(run: &Run) -> Self {
        let warnings = run.curves.as_ref().map_or_else(Vec::new, |curves| warnings(curves, run));
        Self { happened: happened(run), worked: worked(run), next: next(run, &warnings), warnings }
    }
}

/// A length of time for people.
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match (whole / 86_400, whole / 3600 % 24, whole / 60 % 60, whole % 60) {
        (0, 0, 0, _) => format!("{seconds:.1} s"),
        (0, 0, minutes, rest) => format!("{minutes} min {rest} s"),
        (0, hours, minutes, _) => format!("{hours} h {minutes} min"),
        (days, hours, ..) => format!("{days} d {hours} h"),
    }
}

/// The seconds of all phases of a run.
pub(crate) fn seconds(curves: &Curves) -> f64 {
    let phases = curves.sums.iter().filter(|(name, _)| *name == "seconds" || name.starts_with("seconds/"));
    phases.map(|(_, sum)| sum).sum()
}

fn happened(run: &Run) -> String {
    let Some(curves) = &run.curves else {
        return match (&run.evaluations, &run.leakage) {
            (Some(found), _) => format!("{} items were asked.", found.of),
            (None, Some(_)) => "A student was diagnosed for leakage.".into(),
            _ => "Nothing was trained yet.".into(),
        };
    };
    let last = curves.last_step().unwrap_or(0.0);
    let planned = run.recipe.number("train.steps").filter(|planned| *planned > last);
    let of = planned.map_or(String::new(), |planned| format!(" of {planned}"));
    let kind = if curves.series.contains_key("token_accuracy") {
        "supervised training"
    } else {
        "self-distillation"
    };
    format!("{last}{of} steps of {kind} took {} of computing.", duration(seconds(curves)))
}

fn worked(run: &Run) -> String {
    if let Some(sentence) = run.evaluations.as_ref().and_then(evaluated) {
        return sentence;
    }
    let Some(curves) = &run.curves else { return "There is nothing to compare it with.".into() };
    let trend = match curves.ends("loss") {
        Some((first, last)) if (last - first).abs() <= 0.02 * first.abs() => {
            format!("The loss stayed at about {}", digits(last))
        }
        Some((first, last)) => {
            let verb = if last > first { "rose" } else { "fell" };
            format!("The loss {verb} from {} to {}", digits(first), digits(last))
        }
        None => "No loss was written down".into(),
    };
    let about = if curves.series.contains_key("token_accuracy") {
        let known = curves.ends("token_accuracy");
        known.map_or(String::new(), |(first, last)| {
            format!(
                ", and of the tokens to learn the most probable one was right in {} % instead of {} %",
                percent(last),
                percent(first)
            )
        })
    } else {
        "; whether answers are better was not measured, as nothing was evaluated before and after".into()
    };
    format!("{trend}{about}.")
}

/// What the evaluations say of accuracy and Score.
fn evaluated(evaluations: &Evaluations) -> Option<String> {
    let say = |begins: &str| {
        let (measure, first, last) = evaluations.change(begins)?;
        Some(change(measure, first, last))
    };
    let said: Vec<String> = ["Accuracy (", "Score (", "Prior ("].into_iter().filter_map(say).collect();
    let (_, first, last) = evaluations.change("Accuracy (").or_else(|| evaluations.change("Score ("))?;
    let verdict = match last.value - first.value {
        change if change.abs() <= SURE * error(first, last) => "Too close to tell",
        change if change > 0.0 => "It worked",
        _ => "It did harm",
    };
    Some(format!("{verdict}: {}.", said.join("; ")))
}

fn change(measure: &Measure, first: Estimate, last: Estimate) -> String {
    let sure = (last.value - first.value).abs() > SURE * error(first, last);
    let verb = match last.value - first.value {
        _ if !sure => "stayed about where it was, from",
        change if change > 0.0 => "rose from",
        _ => "fell from",
    };
    format!("{} {verb} {} % to {} %", measure.name, percent(first.value), percent(last.value))
}

/// The standard error of a difference.
fn error(first: Estimate, last: Estimate) -> f64 {
    first.error.unwrap_or(0.0).hypot(last.error.unwrap_or(0.0))
}

fn next(run: &Run, warnings: &[String]) -> String {
    if let Some(warning) = warnings.first() {
        return format!("Look first at this: {warning}.");
    }
    let Some(curves) = &run.curves else { return "The page has the items, answer by answer.".into() };
    let clipped = curves.series.keys().filter(|name| name.ends_with("/clipped_share"));
    let most =
        clipped.filter_map(|name| Some((name, curves.ends(name)?.1))).max_by(|a, b| a.1.total_cmp(&b.1));
    match most.filter(|(_, share)| *share > 0.02) {
        Some((name, share)) => {
            let teacher = name.trim_start_matches("terms/").trim_end_matches("/clipped_share");
            format!(
                "Nothing looks wrong; what is left to learn is in the rollouts, most of it from the {teacher} teacher, \
                 {} % of whose tokens were still above their clip at the end.",
                percent(share)
            )
        }
        None if run.evaluations.is_none() => {
            "Nothing looks wrong; set eval.around = true to know what it did for the answers.".into()
        }
        None => "Nothing looks wrong; the items whose answers changed say what was learnt.".into(),
    }
}

/// What looks wrong in a run's numbers.
fn warnings(curves: &Curves, run: &Run) -> Vec<String> {
    let end = |name: &str| curves.ends(name).map(|(_, last)| last);
    let mut found = Vec::new();
    let mut warn = |text: String| found.push(text);
    for (name, lines) in curves.lost.iter().filter(|(name, _)| *name == "loss" || *name == "grad_norm") {
        warn(format!("`{name}` was no finite number in {lines} steps"));
    }
    let lost = run.kept.iter().filter(|name| name.starts_with("lost-")).count();
    if lost > 0 {
        warn(format!(
            "{lost} steps came to numbers that are not finite and were left out; rollouts/lost-* has their rows"
        ));
    }
    let spikes = run.kept.iter().filter(|name| name.starts_with("spike-")).count();
    if spikes > 0 {
        warn(format!(
            "the loss of {spikes} steps was several times the usual one; rollouts/spike-* has their rows"
        ));
    }
    let shares = curves.series.keys().filter(|name| name.ends_with("/clipped_share"));
    for (name, share) in shares.filter_map(|name| Some((name, end(name)?))).filter(|(_, share)| *share > 0.9)
    {
        let teacher = name.trim_start_matches("terms/").trim_end_matches("/clipped_share");
        warn(format!(
            "{} % of the {teacher} teacher's tokens are above their clip, so it teaches almost nothing; method.clip bounds it",
            percent(share)
        ));
    }
    if let Some(fallback) = end("fallback_rate").filter(|rate| *rate > 0.5) {
        warn(format!(
            "{} % of the rollouts do not keep the output format at the end; `vigos sft` teaches a student the format",
            percent(fallback)
        ));
    }
    if let Some(cut) = end("lengths/truncated").filter(|share| *share > 0.3) {
        warn(format!("{} % of the completions met rollout.max_new_tokens and were cut off", percent(cut)));
    }
    if curves.always("grad_norm", 0.0) {
        warn("the gradient was zero in every step: nothing was learnt".into());
    }
    if let Some((first, last)) =
        curves.ends("loss").filter(|(first, last)| *last > 1.5 * first && *first > 0.0)
    {
        warn(format!("the loss rose from {} to {}", digits(first), digits(last)));
    }
    for (name, count) in
        curves.last.iter().filter(|(name, count)| name.starts_with("skipped/") && **count > 0.0)
    {
        let reason = name.trim_start_matches("skipped/").replace('_', " ");
        warn(format!("{count} samples were left out ({reason})"));
    }
    found
}

/// A share in percent.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1}", 100.0 * share)
}

/// A number for people.
pub(crate) fn digits(value: f64) -> String {
    match value.abs() {
        0.0 => "0".into(),
        size if !(1e-3..1e5).contains(&size) => format!("{value:.2e}"),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 1.0 => format!("{value:.2}"),
        _ => format!("{value:.4}"),
    }
}
