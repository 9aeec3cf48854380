//! A run's folder, read for a page.

use crate::curves::Curves;
use crate::error::ReportError;
use crate::evaluation::Evaluations;
use crate::facts::{Fact, Recipe, machine};
use crate::leakage::Leakage;
use crate::limits::Limits;
use crate::snapshots::Snapshots;
use crate::visible::visible;
use std::path::{Path, PathBuf};

/// What a page says of a run.
#[derive(Debug)]
pub(crate) struct Run {
    /// Its name: the folder's.
    pub(crate) name: String,
    /// Its folder.
    pub(crate) folder: PathBuf,
    /// Its recipe.
    pub(crate) recipe: Recipe,
    /// What ran, and where.
    pub(crate) facts: Vec<Fact>,
    /// Its metrics.
    pub(crate) curves: Option<Curves>,
    /// Its rollouts.
    pub(crate) snapshots: Snapshots,
    /// Its evaluations.
    pub(crate) evaluations: Option<Evaluations>,
    /// Its diagnosis.
    pub(crate) leakage: Option<Leakage>,
    /// Snapshots of steps that were unlike the others or given up.
    pub(crate) kept: Vec<String>,
    /// What is not there, or could not be read.
    pub(crate) notes: Vec<String>,
}

impl Run {
    /// Reads a folder for a page of so many runs.
    ///
    /// # Errors
    /// If there is nothing of a run in it.
    pub(crate) fn open(folder: &Path, limits: &Limits, runs: usize) -> Result<Self, ReportError> {
        let nothing = |message: &str| ReportError::NoRun { path: folder.to_owned(), message: message.into() };
        if !folder.is_dir() {
            return Err(nothing("there is no such folder"));
        }
        if !is_run(folder) {
            return Err(nothing("found no metrics.jsonl, samples.jsonl, tokens.jsonl or config.toml in it"));
        }
        let mut notes = Vec::new();
        let recipe = Recipe::of(folder, &mut notes);
        let mut facts = recipe.facts();
        facts.extend(machine(folder));
        let curves = curves(folder, limits.points_of(runs), &mut notes);
        let most = (limits.rollouts / runs.max(1)).max(1);
        let snapshots = Snapshots::of(folder, most, limits.rollout_bytes(runs), &mut notes);
        if snapshots.steps == 0 && curves.is_some() {
            notes.push("no rollouts: log.rollouts_every says how often they are written down".into());
        } else if snapshots.steps > 0 && !snapshots.recorded {
            notes.push(
                "rollouts were not recorded token by token: pictures, probabilities and divergences are missing; \
                 log.record.tokens turns recording on"
                    .into(),
            );
        }
        let shown: std::collections::BTreeSet<usize> = snapshots.rollouts.iter().map(|r| r.step).collect();
        if shown.len() < snapshots.steps {
            notes.push(format!(
                "rollouts of {} of {} recorded steps are shown",
                shown.len(),
                snapshots.steps
            ));
        }
        let evaluations = Evaluations::of(folder, limits, limits.item_bytes(runs), &mut notes);
        if evaluations.is_none() && curves.is_some() {
            notes.push("no evaluation: eval.around = true asks before and after training".into());
        }
        let leakage = Leakage::of(folder, &|id| snapshots.piece(id), &mut notes);
        Ok(Self {
            name: name(folder),
            folder: folder.to_owned(),
            recipe,
            facts,
            curves,
            snapshots,
            evaluations,
            leakage,
            kept: kept(folder),
            notes,
        })
    }
}

/// Whether a folder has something of a run in it.
pub fn is_run(folder: &Path) -> bool {
    let known = ["metrics.jsonl", "samples.jsonl", "tokens.jsonl", "config.toml"];
    known.iter().any(|name| folder.join(name).is_file())
}

/// The metrics of a folder, if there are any.
pub(crate) fn curves(folder: &Path, points: usize, notes: &mut Vec<String>) -> Option<Curves> {
    let path = folder.join("metrics.jsonl");
    if !path.exists() {
        return None;
    }
    match Curves::read(&path, points / 2) {
        Ok((curves, error)) => {
            notes.extend(error.map(|e| visible(&format!("metrics after these are left out: {e}"), 300)));
            (curves.lines > 0).then_some(curves)
        }
        Err(error) => {
            notes.push(visible(&error.to_string(), 300));
            None
        }
    }
}

/// What a run is called: its folder's name.
pub(crate) fn name(folder: &Path) -> String {
    let full = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    visible(&full.file_name().unwrap_or(full.as_os_str()).to_string_lossy(), 80)
}

/// The files of steps that were given up or were unlike the others.
fn kept(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder.join("rollouts")).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| name.starts_with("lost-") || name.starts_with("spike-"))
        .take(1000)
        .map(|name| visible(&name, 80))
        .collect();
    names.sort();
    names
}
