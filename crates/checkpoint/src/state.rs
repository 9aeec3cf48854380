//! Where a run stands: the numbers of it, as a checkpoint keeps them.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use vigos_rollout::RunError;
use vigos_rollout::judging::Standing;

/// Where a run stands, besides the trained weights and the optimiser.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// What tells its run from others; empty in a checkpoint of before there was that.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub run: String,
    /// Steps done.
    pub step: usize,
    /// Samples taken from the data set's order so far, those left out included.
    pub cursor: u64,
    /// Samples left out so far, by reason.
    pub skipped: BTreeMap<String, u64>,
    /// Lines of `metrics.jsonl` that belong to these steps.
    pub metrics_lines: u64,
    /// Lines of `quarantine.jsonl` that belong to these steps.
    #[serde(default)]
    pub quarantine_lines: u64,
    /// Updates that the optimiser has made.
    pub updates: u64,
    /// The loss that was usual so far, a mean that forgets; none before the first step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usual_loss: Option<f64>,
    /// What judging came to before this checkpoint, where checkpoints are judged.
    #[serde(default, skip_serializing_if = "Standing::is_new")]
    pub judged: Standing,
}

impl State {
    /// Checks that a run of `total` steps can go on from here.
    ///
    /// # Errors
    /// If it has more of them behind it already.
    pub fn is_within(&self, total: usize) -> Result<(), RunError> {
        if self.step <= total {
            return Ok(());
        }
        Err(RunError::Setting {
            key: "train.steps or train.epochs".into(),
            found: format!("{total} steps in all"),
            wanted: format!(
                "at least the {} that are done; --at STEP goes back to an earlier one",
                self.step
            ),
        })
    }
}
