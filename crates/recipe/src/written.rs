//! The sections of what a run writes down: checkpoints, metrics, snapshots, the page of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;

/// The `[checkpoint]` section.
#[derive(Debug, Clone, PartialEq, Eq, SmartDefault, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Checkpoint {
    /// Steps between checkpoints. 0: at the end only.
    #[default(50)]
    pub every: usize,
    /// Newest checkpoints to keep. 0: all.
    #[default(3)]
    pub keep: usize,
}

/// The `[log]` section.
#[derive(Debug, Clone, PartialEq, Eq, SmartDefault, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Log {
    /// What of the metrics is written.
    #[serde(flatten)]
    pub metrics: MetricsLog,
    /// Steps between snapshots of rollouts. 0: none.
    #[default(10)]
    pub rollouts_every: usize,
    /// Rollouts in a snapshot at most.
    #[default(8)]
    #[schemars(range(min = 1))]
    pub rollouts_max: usize,
    /// What is recorded of the tokens of those rollouts.
    pub record: Record,
}

/// The `[log.record]` section: what a snapshot's rollouts are recorded with, token by token, for `vigos report`.
#[derive(Debug, Clone, PartialEq, Eq, SmartDefault, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Record {
    /// Tokens of a rollout of a snapshot that are recorded with their probabilities, ranks and divergences, the first
    /// ones. 0: no recording.
    #[default(512)]
    #[schemars(range(max = 1_000_000))]
    pub tokens: usize,
    /// Most probable tokens of the student and of the teacher to record with each.
    #[schemars(range(max = 100))]
    pub top_k: usize,
    /// Longer side in pixels that a rollout's images are scaled down to. 0: no images.
    #[default(160)]
    #[schemars(range(max = 4096))]
    pub image_side: usize,
}

/// The `[report]` section: the page that shows a run.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Report {
    /// Steps after which `report.html` is written anew while the run goes on. 0: at its end only.
    pub every: usize,
}

/// What of the metrics is written: keys of `[log]`.
#[derive(Debug, Clone, PartialEq, Eq, SmartDefault, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MetricsLog {
    /// Steps between lines of metrics.
    #[default(1)]
    #[schemars(range(min = 1))]
    pub every: usize,
    /// Also write the metrics for TensorBoard.
    #[default(true)]
    pub tensorboard: bool,
    /// Servers that `vigos train` and `vigos sft` send the metrics to: `mlflow`, the one that `MLFLOW_TRACKING_URI` names.
    #[schemars(extend("uniqueItems" = true))]
    pub trackers: Vec<Tracker>,
}

/// A tracker's server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Tracker {
    /// MLflow, by its REST interface.
    Mlflow,
}
