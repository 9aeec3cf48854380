//! The recipe of a supervised run: what is trained on which demonstrations, and how.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;

use crate::document::Contradiction;
use crate::limits;
use crate::normalise::Normalise;
use crate::recipe::RunRecipe;
use crate::sections::{Length, Lora, Model, Optim, Precision, Quantize, Recompute, Rows};
use crate::texts::filled;
use crate::unset::Unset;
use crate::written::{Checkpoint, MetricsLog, Report};

/// A whole recipe, nothing left to decide.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SftRecipe {
    /// The model to start from.
    pub model: Model,
    /// The demonstrations.
    pub data: SftData,
    /// The adapter, where one is trained.
    #[serde(default)]
    pub lora: Lora,
    /// The optimiser.
    #[serde(default = "optim")]
    pub optim: Optim,
    /// What is trained, how long, how much at a time, from which seed.
    #[serde(default)]
    pub train: SftTrain,
    /// What is kept to resume from.
    #[serde(default = "checkpoint")]
    #[schemars(extend("x-resume" = ["sft"]))]
    pub checkpoint: Checkpoint,
    /// How the trained model is stored.
    #[serde(default)]
    pub output: Output,
    /// What is written down on the way.
    #[serde(default)]
    #[schemars(extend("x-resume" = ["sft"]))]
    pub log: MetricsLog,
    /// The page that shows the run.
    #[serde(default)]
    #[schemars(extend("x-resume" = ["sft"]))]
    pub report: Report,
}

/// The optimiser's defaults where a model learns what it did not know.
fn optim() -> Optim {
    Optim { lr: 1e-5, max_grad_norm: 1.0, ..Optim::default() }
}

/// The defaults where a step is short, and a checkpoint may be a whole model.
fn checkpoint() -> Checkpoint {
    Checkpoint { every: 500, ..Checkpoint::default() }
}

/// The `[data]` section of a supervised recipe. Relative paths start at the working directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SftData {
    /// A file or folder of demonstrations, see [sft.md](sft.md), in one of the formats of [data.md](data.md), or
    /// `shapes:warmup`, see [world.md](world.md).
    #[schemars(schema_with = "filled")]
    pub path: PathBuf,
    /// Which rows are used.
    #[serde(flatten)]
    pub rows: Rows,
    /// Names of a row's fields.
    #[serde(default)]
    pub fields: SftFields,
}

/// The `[data.fields]` section of a supervised recipe: names of a row's fields.
#[derive(Debug, Clone, PartialEq, Eq, SmartDefault, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SftFields {
    /// Field of a row that holds the image or images; the default also reads `images`.
    #[default("image")]
    #[schemars(schema_with = "filled")]
    pub image: String,
    /// Field of a row that holds the user's text; empty or absent where the images alone are shown.
    #[default("prompt")]
    #[schemars(schema_with = "filled")]
    pub prompt: String,
    /// Field of a row that holds how the answer begins, which is given and not learnt; empty or absent for nothing.
    #[default("prefill")]
    #[schemars(schema_with = "filled")]
    pub prefill: String,
    /// Field of a row that holds how the answer goes on, which is learnt.
    #[default("completion")]
    #[schemars(schema_with = "filled")]
    pub completion: String,
    /// Field of a row that holds its name. Rows without one are numbered.
    #[default("id")]
    #[schemars(schema_with = "filled")]
    pub id: String,
}

/// The `[train]` section of a supervised recipe.
#[derive(Debug, Clone, PartialEq, SmartDefault, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct SftTrain {
    /// What is trained: every weight of the model, or an adapter as `[lora]` says.
    pub weights: TrainedWeights,
    /// How long to train.
    #[serde(flatten)]
    pub length: Length,
    /// Samples in a micro-batch.
    #[default(8)]
    #[schemars(range(min = 1, max = 4096))]
    pub batch: usize,
    /// Micro-batches of an optimiser step.
    #[default(1)]
    #[schemars(range(min = 1, max = 65_536))]
    pub accumulate: usize,
    /// Most tokens of a micro-batch, prompts and completions, instead of `train.batch` samples: it is filled up to them,
    /// and a sample with more is one by itself. The samples of a step stay `train.batch` times `train.accumulate`. 0: off.
    #[serde(with = "Unset::<usize>")]
    #[schemars(extend("x-resume" = ["sft"]))]
    pub tokens_per_micro_batch: Option<usize>,
    /// What the loss is the mean over. "step": the tokens of the whole step, so that how it is cut into micro-batches
    /// changes nothing but speed and memory. "micro_batch": those of each micro-batch, whose losses are averaged, as the
    /// method's authors do.
    pub normalise: Normalise,
    /// Seed of everything that is drawn: order, dropout, the new adapter.
    #[default(42)]
    pub seed: u64,
    /// Number format of a frozen base and of the activations. Trained weights are always f32.
    pub precision: Precision,
    /// Take products of f32 in less precision for what they are: TF32 or f16 inside of them, which some GPUs have in their
    /// place. Without it a run on a device that computes so is refused by its self-test.
    #[schemars(extend("x-resume" = ["sft"]))]
    pub fast_math: bool,
    /// What a backward does about the activations of a forward: run each block again, which takes the memory of one
    /// block, or keep them all, which takes a quarter less time. "auto" keeps them where they fit well.
    #[schemars(extend("x-resume" = ["sft"]))]
    pub recompute: Recompute,
    /// A sample with more tokens, its completion included, is skipped and counted, never cut. At most the tokens of the
    /// model's context. 0: those, or 32768 if they are more.
    #[serde(with = "Unset::<usize>")]
    #[schemars(extend("x-resume" = ["sft"]))]
    pub max_tokens: Option<usize>,
    /// Steps of a run that may come to a loss or a gradient that is not finite: they are left out, their samples
    /// written down. One more ends the run.
    #[schemars(extend("x-resume" = ["sft"]))]
    pub max_lost_steps: u64,
}

/// What a supervised run trains.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TrainedWeights {
    /// Every weight of the model.
    #[default]
    All,
    /// An adapter beside the frozen model.
    Adapter,
}

/// The `[output]` section: the model that a run leaves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Output {
    /// Number format in which a trained model is stored. An adapter is always f32.
    pub dtype: Stored,
}

/// A number format of stored weights.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Stored {
    /// 32-bit floats.
    #[default]
    F32,
    /// 16-bit floats.
    F16,
    /// 16-bit brain floats.
    Bf16,
}

impl RunRecipe for SftRecipe {
    fn agrees(&self) -> Result<(), Contradiction> {
        limits::step(self.train.batch, self.train.accumulate)?;
        limits::cut(self.train.tokens_per_micro_batch, self.train.normalise)?;
        self.data.rows.names_hosts()?;
        let (fields, usual) = (&self.data.fields, SftFields::default());
        limits::layout(self.data.rows.layout, "prompt", fields.prompt != usual.prompt)?;
        limits::layout(self.data.rows.layout, "completion", fields.completion != usual.completion)?;
        if self.train.weights == TrainedWeights::Adapter {
            return Ok(());
        }
        let conflict = |key: &str, found: &str, wanted: &str, hint: &str| {
            let [key, found, wanted, hint] = [key, found, wanted, hint].map(str::to_owned);
            Err(Contradiction { key, found, wanted, hint })
        };
        if self.model.adapter.is_some() {
            return conflict(
                "model.adapter",
                "an adapter, where train.weights = \"all\" trains the model itself",
                "none, or train.weights = \"adapter\"",
                "merge the adapter first with `vigos merge` to train all weights from it",
            );
        }
        if self.train.precision != Precision::F32 {
            return conflict(
                "train.precision",
                "\"bf16\" with train.weights = \"all\"",
                "\"f32\"",
                "output.dtype says in which format the trained model is stored",
            );
        }
        if self.model.quantize != Quantize::None {
            return conflict(
                "model.quantize",
                "whole numbers, where train.weights = \"all\" trains the weights themselves",
                "\"none\", or train.weights = \"adapter\"",
                "an adapter can be trained beside a quantised model",
            );
        }
        Ok(())
    }
}

impl SftRecipe {
    /// The most tokens of a sample, its completion included, for a model whose context has so many.
    ///
    /// # Errors
    /// If `train.max_tokens` is more than that.
    pub fn max_tokens(&self, context: usize) -> Result<usize, Contradiction> {
        limits::in_context("train.max_tokens", self.train.max_tokens, context)
    }

    /// Optimiser steps to train over a data set of `samples` rows.
    pub fn total_steps(&self, samples: usize) -> usize {
        self.train.length.total_steps(samples, self.train.batch * self.train.accumulate)
    }
}
