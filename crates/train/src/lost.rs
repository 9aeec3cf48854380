//! A step that comes to a number that is not finite changes nothing; what it was about is kept.

use crate::recorder::Recorder;
use serde::Serialize;
use std::sync::Arc;
use vigos_recipe::sample::Sample;
use vigos_rollout::{RolledOut, RolloutRecord, RunError};

/// Rows that a message names.
const NAMED: usize = 4;
/// Characters of a name in it.
const LETTERS: usize = 40;

/// What a step tries to learn from.
pub(crate) struct Attempt {
    rows: Vec<Row>,
    /// Where the student came to the end of them.
    rollouts: Vec<RolledOut>,
}

/// A row whose completion failed.
#[derive(Serialize)]
struct Row {
    id: String,
    problem: String,
    answer: String,
}

impl Attempt {
    /// At these samples.
    pub(crate) fn of(samples: &[Arc<Sample>]) -> Self {
        let row = |sample: &Arc<Sample>| Row {
            id: sample.id.clone(),
            problem: sample.problem.clone(),
            answer: sample.reference.clone(),
        };
        Self { rows: samples.iter().map(row).collect(), rollouts: Vec::new() }
    }

    /// They are completed.
    pub(crate) fn completed(&mut self, rollouts: &[RolledOut]) {
        self.rollouts = rollouts.to_vec();
    }

    /// Keeps what step `step`, counted from 1, was about, if `error` is that a number is not finite; the error of the
    /// run then names the file.
    ///
    /// # Errors
    /// Any other error, and if the file cannot be written.
    pub(crate) fn lost(
        self,
        error: RunError,
        step: usize,
        recorder: &Recorder,
    ) -> Result<RunError, RunError> {
        let what = match error.told() {
            RunError::NotFinite(what) => what,
            other => return Err(other),
        };
        let kept = match self.rollouts.as_slice() {
            [] => recorder.lost(step, &self.rows)?,
            all => recorder.lost(step, all.iter().map(RolloutRecord::of))?,
        };
        Ok(RunError::LostStep { step, what, rows: self.names(), kept })
    }

    fn names(&self) -> String {
        let short = |row: &Row| format!("`{}`", row.id.chars().take(LETTERS).collect::<String>());
        let mut names: Vec<String> = self.rows.iter().take(NAMED).map(short).collect();
        if let Some(more) = self.rows.len().checked_sub(NAMED).filter(|more| *more > 0) {
            names.push(format!("{more} more"));
        }
        names.join(", ")
    }
}
