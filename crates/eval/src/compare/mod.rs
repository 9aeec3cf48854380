//! Runs side by side: what their recipes differ in, what their metrics came to, how their answers to the same questions
//! compare, and where they disagree.
//!
//! The first run is what the others are held against.

mod answers;
mod error;
mod metrics;
mod recipes;
mod table;

use serde::Serialize;
use std::path::{Path, PathBuf};
use vigos_core::files::FileError;

pub use answers::{Disagreement, Pair, Side};
pub use error::CompareError;
pub use metrics::{Metric, Summed};
pub use recipes::Difference;

/// What a comparison found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// The runs' folders, the one that the others are held against first.
    pub runs: Vec<PathBuf>,
    /// Keys of the effective recipes that differ.
    pub recipe: Vec<Difference>,
    /// Metrics of the steps.
    pub metrics: Vec<Metric>,
    /// The evaluation of each run that is compared, if it has one: its own, or that of its last checkpoint.
    pub evaluations: Vec<Option<PathBuf>>,
    /// Each other run's answers beside the first one's.
    pub pairs: Vec<Pair>,
}

/// Compares the runs in these folders, of training or evaluation.
///
/// # Errors
/// If a folder has nothing of a run, or a file of it cannot be read.
pub fn compare(runs: &[PathBuf]) -> Result<Comparison, CompareError> {
    for run in runs {
        let known = ["config.toml", "metrics.jsonl", "samples.jsonl"];
        if !known.iter().any(|name| run.join(name).is_file()) {
            let message = match run.is_dir() {
                true => {
                    "found no config.toml, metrics.jsonl or samples.jsonl in it, wanted the folder of a run"
                }
                false => "there is no such folder",
            };
            return Err(CompareError::NoRun { path: run.clone(), message });
        }
    }
    let evaluations = runs.iter().map(|run| evaluation(run)).collect::<Result<Vec<_>, _>>()?;
    Ok(Comparison {
        runs: runs.to_vec(),
        recipe: recipes::differences(runs)?,
        metrics: metrics::side_by_side(runs)?,
        pairs: answers::pairs(&evaluations)?,
        evaluations,
    })
}

/// The folder with the answers that a run is compared by: its own, those of its last checkpoint that was evaluated, or
/// those from before it was trained.
fn evaluation(run: &Path) -> Result<Option<PathBuf>, CompareError> {
    let is_one = |folder: &PathBuf| folder.join("samples.jsonl").is_file();
    if is_one(&run.to_owned()) {
        return Ok(Some(run.to_owned()));
    }
    let below = run.join("eval");
    if !below.is_dir() {
        return Ok(None);
    }
    let failed = |error| FileError::io("list", &below, error);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(&below).map_err(failed)? {
        let folder = entry.map_err(failed)?.path();
        let step: Option<u64> =
            folder.file_name().and_then(|name| name.to_str()?.strip_prefix("step-")?.parse().ok());
        found.extend(step.filter(|_| is_one(&folder)).map(|step| (step, folder)));
    }
    let last = found.into_iter().max().map(|(_, folder)| folder);
    Ok(last.or_else(|| Some(below.join("before")).filter(is_one)))
}
