//! The recipe of a supervised run: what is trained on which demonstrations, and how.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use crate::error::RecipeError;
use crate::kind::Kind;
use crate::raw::Document;
use crate::schema::{ABOVE_ZERO, COUNT, Default, KEYS, Key, NOT_NEGATIVE, POSITIVE, key, tables};
use crate::{Checkpoint, Length, Lora, Model, Optim, Precision, RunRecipe, unset};

/// A whole recipe, nothing left to decide.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SftRecipe {
    /// The model to start from.
    pub model: Model,
    /// The demonstrations.
    pub data: SftData,
    /// The adapter, where one is trained.
    pub lora: Lora,
    /// The optimiser.
    pub optim: Optim,
    /// What is trained, how long, how much at a time, from which seed.
    pub train: SftTrain,
    /// What is kept to resume from.
    pub checkpoint: Checkpoint,
    /// How the trained model is stored.
    pub output: Output,
    /// What is written down on the way.
    pub log: SftLog,
}

/// The `[data]` section of a supervised recipe. Relative paths start at the working directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SftData {
    /// A JSON Lines file of demonstrations.
    pub path: PathBuf,
    /// Use the first so many rows only.
    #[serde(with = "unset")]
    pub limit: Option<usize>,
    /// Leave out rows with an image whose shorter side has fewer pixels; 0 keeps all.
    pub min_image_side: usize,
    /// Scale larger images down to at most so many pixels; `None` for the model's own limit.
    #[serde(with = "unset")]
    pub max_pixels: Option<usize>,
    /// Share of the rows read that may be unusable, from 0 to 1; above it the run ends.
    pub max_bad_share: f64,
    /// Names of a row's fields.
    pub fields: SftFields,
}

/// The `[data.fields]` section of a supervised recipe: names of a row's fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SftFields {
    /// The image or images.
    pub image: String,
    /// The user's text.
    pub prompt: String,
    /// How the answer begins.
    pub prefill: String,
    /// What is learnt.
    pub completion: String,
    /// The row's name.
    pub id: String,
}

/// The `[train]` section of a supervised recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SftTrain {
    /// What is trained.
    pub weights: TrainedWeights,
    /// How long to train.
    #[serde(flatten)]
    pub length: Length,
    /// Samples in a micro-batch.
    pub batch: usize,
    /// Micro-batches averaged into one optimiser step.
    pub accumulate: usize,
    /// Seed of everything that is drawn.
    pub seed: u64,
    /// Number format of a frozen base and of the activations.
    pub precision: Precision,
    /// What becomes of a forward's activations where every weight is trained.
    pub activations: Activations,
    /// A longer sample is skipped, in tokens with its completion.
    pub max_tokens: usize,
}

/// What becomes of a forward's activations until its backward.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activations {
    /// All are kept.
    Kept,
    /// Each block's input is kept, and the block runs again.
    Recomputed,
}

/// What a supervised run trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrainedWeights {
    /// Every weight of the model.
    All,
    /// An adapter beside the frozen model.
    Adapter,
}

/// The `[output]` section: the model that a run leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// Number format in which its weights are stored.
    pub dtype: Stored,
}

/// A number format of stored weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stored {
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
    /// 16-bit brain floats.
    Bf16,
}

/// The `[log]` section of a supervised recipe.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SftLog {
    /// Steps between lines of metrics.
    pub every: usize,
    /// Whether to write the metrics for TensorBoard too.
    pub tensorboard: bool,
}

/// Every key of a supervised recipe, section by section. Keys that say the same in a ViGOS recipe are taken
/// from there.
#[rustfmt::skip]
pub static SFT_KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
    let mut keys = shared(&["model.path", "model.adapter"]);
    keys.push(key("data.path", Kind::Filled, Default::Required,
        "A JSON Lines file of demonstrations, see [sft.md](sft.md), or `shapes:warmup`, see [world.md](world.md)."));
    keys.extend(shared(&["data.limit", "data.min_image_side", "data.max_pixels", "data.max_bad_share"]));
    keys.extend(shared(&["data.fields.image"]));
    keys.extend([
        key("data.fields.prompt", Kind::Filled, Default::Text("prompt"),
            "Field of a row that holds the user's text; empty or absent where the images alone are shown."),
        key("data.fields.prefill", Kind::Filled, Default::Text("prefill"),
            "Field of a row that holds how the answer begins, which is given and not learnt; empty or absent for nothing."),
        key("data.fields.completion", Kind::Filled, Default::Text("completion"),
            "Field of a row that holds how the answer goes on, which is learnt."),
        key("data.fields.id", Kind::Filled, Default::Text("id"),
            "Field of a row that holds its name. Rows without one are numbered."),
    ]);
    keys.push(key("train.weights", Kind::Choice(&["all", "adapter"]), Default::Text("all"),
        "What is trained: every weight of the model, or an adapter as `[lora]` says."));
    keys.extend(shared(&["train.steps", "train.epochs"]));
    keys.extend([
        key("train.batch", POSITIVE, Default::Integer(8),
            "Samples in a micro-batch; its loss is the mean over all supervised tokens in it."),
        key("train.accumulate", POSITIVE, Default::Integer(1),
            "Micro-batches whose gradients are averaged into one optimiser step."),
        key("train.seed", Kind::Integer { min: 0, max: i64::MAX }, Default::Integer(42),
            "Seed of everything that is drawn: order, dropout, the new adapter."),
        key("train.precision", Kind::Choice(&["f32", "bf16"]), Default::Text("f32"),
            "Number format of a frozen base and of the activations. Trained weights are always f32."),
        key("train.activations", Kind::Choice(&["recomputed", "kept"]), Default::Text("recomputed"),
            "Run each block again in the backward, or keep all that it computed: faster, for small models. An adapter's are always recomputed."),
        key("train.max_tokens", POSITIVE, Default::Integer(32768),
            "A sample with more tokens, its completion included, is skipped and counted, never cut."),
    ]);
    keys.push(key("optim.lr", ABOVE_ZERO, Default::Number(1e-5), "Learning rate at its highest."));
    keys.extend(shared(&["optim.betas", "optim.eps"]));
    keys.push(key("optim.weight_decay", NOT_NEGATIVE, Default::Number(0.0),
        "AdamW's decoupled weight decay, of matrices alone: norms and biases do not decay."));
    keys.extend(shared(&["optim.schedule", "optim.warmup_steps"]));
    keys.push(key("optim.max_grad_norm", NOT_NEGATIVE, Default::Number(1.0),
        "Largest norm of the gradient over all trained tensors together. 0: off."));
    keys.extend(shared(&["lora.rank", "lora.alpha", "lora.dropout", "lora.targets"]));
    keys.push(key("checkpoint.every", COUNT, Default::Integer(500),
        "Steps between checkpoints. 0: at the end only."));
    keys.extend(shared(&["checkpoint.keep"]));
    keys.push(key("output.dtype", Kind::Choice(&["f32", "f16", "bf16"]), Default::Text("f32"),
        "Number format in which a trained model is stored. An adapter is always f32."));
    keys.extend(shared(&["log.every", "log.tensorboard"]));
    keys
});

/// Keys of a ViGOS recipe.
fn shared(names: &[&str]) -> Vec<Key> {
    KEYS.iter().filter(|key| names.contains(&key.name)).cloned().collect()
}

/// All keys of a supervised recipe as Markdown tables: the reference part of `docs/sft.md`.
pub fn reference() -> String {
    tables(SFT_KEYS.iter())
}

impl RunRecipe for SftRecipe {
    fn load(path: &Path, overrides: &[String]) -> Result<Self, RecipeError> {
        Self::resolve(Document::load(&SFT_KEYS, path)?, overrides)
    }

    fn parse(text: &str, origin: &str, overrides: &[String]) -> Result<Self, RecipeError> {
        Self::resolve(Document::parse(&SFT_KEYS, text, origin)?, overrides)
    }
}

impl SftRecipe {
    fn resolve(mut document: Document, overrides: &[String]) -> Result<Self, RecipeError> {
        document.set_all(overrides)?;
        let origin = document.origin().to_owned();
        let recipe: Self = document.resolve_plain()?;
        recipe.check(&origin)?;
        Ok(recipe)
    }

    /// Refuses what contradicts itself.
    fn check(&self, origin: &str) -> Result<(), RecipeError> {
        if self.train.weights == TrainedWeights::Adapter {
            return Ok(());
        }
        let conflict = |key: &str, found: &str, wanted: &str, hint: &str| RecipeError::Conflict {
            origin: origin.to_owned(),
            key: key.into(),
            found: found.into(),
            wanted: wanted.into(),
            hint: hint.into(),
        };
        if self.model.adapter.is_some() {
            return Err(conflict(
                "model.adapter",
                "an adapter, where train.weights = \"all\" trains the model itself",
                "none, or train.weights = \"adapter\"",
                "merge the adapter first with `vigos merge` to train all weights from it",
            ));
        }
        if self.train.precision != Precision::F32 {
            return Err(conflict(
                "train.precision",
                "\"bf16\" with train.weights = \"all\"",
                "\"f32\"",
                "output.dtype says in which format the trained model is stored",
            ));
        }
        Ok(())
    }

    /// Optimiser steps to train over a data set of `samples` rows.
    pub fn total_steps(&self, samples: usize) -> usize {
        self.train.length.total_steps(samples, self.train.batch * self.train.accumulate)
    }
}
