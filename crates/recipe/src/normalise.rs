//! What a loss is the mean over.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a loss is the mean over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Normalise {
    /// The tokens of the whole step.
    #[default]
    Step,
    /// The tokens of each micro-batch; the means are averaged.
    MicroBatch,
}
