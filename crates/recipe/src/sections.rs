//! The sections of a recipe other than the method. Defaults and the values taken are in
//! [`crate::KEYS`]; here is what the trainer reads.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::unset;

/// The `[model]` section. Relative paths start at the working directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Folder of the base model.
    pub path: PathBuf,
    /// PEFT adapter folder to start from; `None` for a new adapter.
    #[serde(with = "unset")]
    pub adapter: Option<PathBuf>,
}

/// The `[data]` section. Relative paths start at the working directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// The data set.
    pub path: PathBuf,
    /// Split to read, where the data set has several.
    #[serde(with = "unset")]
    pub split: Option<String>,
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
    pub fields: Fields,
}

/// The `[data.fields]` section: names of a row's fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fields {
    /// The question.
    pub problem: String,
    /// The image or images.
    pub image: String,
    /// The reference answer.
    pub answer: String,
    /// The row's name.
    pub id: String,
}

/// The `[rollout]` section: how the student's completions are sampled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rollout {
    /// Divides the logits; 0 is greedy.
    pub temperature: f64,
    /// Sample among the so many most likely tokens; 0 is off.
    pub top_k: usize,
    /// Sample among the fewest tokens whose probabilities add up to this; 1 is off.
    pub top_p: f64,
    /// Leave out tokens less likely than this share of the most likely one; 0 is off.
    pub min_p: f64,
    /// Factor against tokens seen in prompt or completion; 1 is off.
    pub repetition_penalty: f64,
    /// Taken off the logits of tokens seen in the completion; 0 is off.
    pub presence_penalty: f64,
    /// Tokens after which a completion is cut off.
    pub max_new_tokens: usize,
    /// Completions that are decoded together.
    pub batch: usize,
}

/// The `[lora]` section: the adapter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lora {
    /// Rank of the two factors.
    pub rank: usize,
    /// The output is scaled by `alpha / rank`.
    pub alpha: f64,
    /// Share of the inputs dropped in the student's training forward, from 0 to below 1.
    pub dropout: f64,
    /// Names of the linear layers that get an adapter.
    pub targets: Vec<String>,
}

/// The `[optim]` section: AdamW and its learning rate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Optim {
    /// Learning rate at its highest.
    pub lr: f64,
    /// Decay rates of the mean and of the square of the gradient.
    pub betas: (f64, f64),
    /// Term against division by zero.
    pub eps: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// How the learning rate goes from its highest to the end.
    pub schedule: Schedule,
    /// Steps in which the learning rate rises to its highest.
    pub warmup_steps: usize,
    /// Largest norm of the gradient over all trained tensors together; 0 is off.
    pub max_grad_norm: f64,
}

/// How the learning rate goes from its highest to the end of training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// In a straight line to 0.
    Linear,
    /// Not at all.
    Constant,
    /// Along half a cosine to 0.
    Cosine,
}

/// The `[train]` section: how long, how much at a time, from which seed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Train {
    /// How long to train.
    #[serde(flatten)]
    pub length: Length,
    /// Samples in a micro-batch.
    pub batch: usize,
    /// Micro-batches averaged into one optimiser step.
    pub accumulate: usize,
    /// Seed of everything that is drawn.
    pub seed: u64,
    /// Number format of weights and activations.
    pub precision: Precision,
    /// A sample with a longer prompt is skipped, in tokens.
    pub max_prompt_tokens: usize,
}

impl Train {
    /// Optimiser steps to train over a data set of `samples` rows: what `steps` says, or the whole steps
    /// that `epochs` fills, the last one rounded up; none over an empty data set.
    pub fn total_steps(&self, samples: usize) -> usize {
        self.length.total_steps(samples, self.batch * self.accumulate)
    }
}

/// How long to train.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Length {
    /// So many optimiser steps.
    Steps(usize),
    /// So many passes over the data set, above 0.
    Epochs(f64),
}

impl Length {
    /// Steps of `step` samples to train over a data set of `samples` rows, the last one rounded up.
    pub fn total_steps(self, samples: usize, step: usize) -> usize {
        match self {
            Self::Steps(steps) => steps,
            Self::Epochs(epochs) => (epochs * samples as f64 / step as f64).ceil() as usize,
        }
    }
}

/// Number format of weights and activations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats.
    F32,
    /// 16-bit brain floats.
    Bf16,
}

/// The `[checkpoint]` section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// Steps between checkpoints; 0 for one at the end only.
    pub every: usize,
    /// Newest checkpoints to keep; 0 for all.
    pub keep: usize,
}

/// The `[log]` section.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// Steps between lines of metrics.
    pub every: usize,
    /// Steps between snapshots of rollouts; 0 for none.
    pub rollouts_every: usize,
    /// Rollouts in a snapshot at most.
    pub rollouts_max: usize,
    /// Whether to write the metrics for TensorBoard too.
    pub tensorboard: bool,
}

/// The `[eval]` section: what the student is asked, and how its answers are sampled.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Eval {
    /// The data set; `None` for the one that is trained on.
    #[serde(with = "unset")]
    pub path: Option<PathBuf>,
    /// Split to read, where the data set has several.
    #[serde(with = "unset")]
    pub split: Option<String>,
    /// Ask the first so many rows of each data set only.
    #[serde(with = "unset")]
    pub limit: Option<usize>,
    /// How the rows of `path` are laid out.
    pub layout: Layout,
    /// A prior suite to ask as well.
    #[serde(with = "unset")]
    pub prior: Option<PathBuf>,
    /// Completions sampled for each item.
    pub samples: usize,
    /// The k of Pass@k; `None` for all samples.
    #[serde(with = "unset")]
    pub k: Option<usize>,
    /// Divides the logits; 0 is greedy.
    pub temperature: f64,
    /// Sample among the so many most likely tokens; 0 is off.
    pub top_k: usize,
    /// Sample among the fewest tokens whose probabilities add up to this; 1 is off.
    pub top_p: f64,
    /// Leave out tokens less likely than this share of the most likely one; 0 is off.
    pub min_p: f64,
    /// Tokens after which a completion is cut off.
    pub max_new_tokens: usize,
    /// Completions that are decoded together.
    pub batch: usize,
    /// Seed of the draws.
    pub seed: u64,
    /// Whether a training run ends with an evaluation of the student before and after it.
    pub around: bool,
}

/// How the rows of an evaluation's data set are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// A question, its images and its answer, as for training.
    Rows,
    /// ViLP's three images to a question, the question as given.
    VilpF,
    /// The same without the sentence that the question begins with.
    VilpP,
}

/// The `[palr]` section: the leakage diagnostic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Palr {
    /// Wrong answers that stand in for the reference.
    pub wrong_answers: usize,
    /// Seed of the rollouts and of the wrong answers.
    pub seed: u64,
}
