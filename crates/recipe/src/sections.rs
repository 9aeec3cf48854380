//! The sections of a recipe other than the method and the rollout: a line a key, with its default, the values that it takes and
//! what it means. Everything else that is said of keys, in messages and in `docs/config.md`, is made from here.

use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;
use vigos_links::{Links, NoHost};

use crate::document::Contradiction;
use crate::judge::Judge;
use crate::layout::{DataLayout, Turns};
use crate::limits::in_context;
use crate::normalise::Normalise;
use crate::rollout::Sampling;
use crate::texts::{filled, names};
use crate::unset::Unset;

/// The `[model]` section. Relative paths start at the working directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Model {
    /// Folder of the base model in Hugging Face layout, or `hf:ORG/NAME[@REVISION]`. It is never changed.
    #[schemars(schema_with = "filled")]
    pub path: PathBuf,
    /// PEFT adapter to start from, a folder or `hf:ORG/NAME[@REVISION]`; `[lora]` must agree with its rank, alpha
    /// and names of layers. Empty: a new adapter.
    #[serde(default, with = "Unset::<PathBuf>")]
    pub adapter: Option<PathBuf>,
    /// Whether the weights of the decoder layers' products are kept as whole numbers of eight or four bits, in groups of
    /// 64 with a scale each, made while they are loaded. All else, and what is computed, stays as `train.precision` says.
    #[serde(default)]
    pub quantize: Quantize,
}

/// How the weights of the decoder layers' products are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Quantize {
    /// As all others.
    #[default]
    None,
    /// In eight bits.
    Int8,
    /// In four bits.
    Int4,
}

/// The `[data]` section. Relative paths start at the working directory.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Data {
    /// The data set: a file of rows or a folder of such files, in one of the formats of [data.md](data.md),
    /// `hf:ORG/NAME@SPLIT`, or `shapes:SPLIT`, see [world.md](world.md).
    #[schemars(schema_with = "filled")]
    pub path: PathBuf,
    /// Split to read from a folder of files. Empty: the only one.
    #[serde(default, with = "Unset::<String>")]
    pub split: Option<String>,
    /// Which rows are used.
    #[serde(flatten)]
    pub rows: Rows,
    /// Names of a row's fields.
    #[serde(default)]
    pub fields: Fields,
}

/// Which rows of a data set are used: keys of `[data]`.
#[derive(Debug, Clone, SmartDefault, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Rows {
    /// How rows say their question, images and answer, see [data.md](data.md). "auto" tells it of each row by its
    /// fields.
    pub layout: DataLayout,
    /// What becomes of a conversation of several questions: its row is refused, its last question is asked with all
    /// that was said before, or each of its questions is.
    pub turns: Turns,
    /// Use the first so many rows only. 0: all.
    #[serde(with = "Unset::<usize>")]
    pub limit: Option<usize>,
    /// Folder that the paths of images are relative to; they stay below it. Empty: the data set's own folder.
    #[serde(with = "Unset::<PathBuf>")]
    #[schemars(extend("x-resume" = ["train", "sft", "eval", "palr"]))]
    pub image_root: Option<PathBuf>,
    /// Hosts whose links to pictures are followed, each `"example.org"` or `"example.org:8080"`, `"*.example.org"` for all
    /// below one, `"*"` for all that are public, see [data.md](data.md#links). Of a row with another link is said what is
    /// missing here.
    #[schemars(extend("x-resume" = ["train", "sft", "eval", "palr"]))]
    pub image_links: Vec<String>,
    /// Leave out rows with an image whose shorter side has fewer pixels. 0: keep all.
    pub min_image_side: usize,
    /// Scale larger images down to at most so many pixels. 0: the model's own limit.
    #[serde(with = "Unset::<usize>")]
    #[schemars(extend("x-resume" = ["train", "sft"]))]
    pub max_pixels: Option<usize>,
    /// An image file of more pixels makes its row unusable: it is not decoded. The default is where Pillow refuses too.
    #[default(178_956_970)]
    #[schemars(range(min = 1), extend("x-resume" = ["train", "sft", "eval", "palr"]))]
    pub max_image_pixels: u64,
    /// Share of the data set's rows that may be unusable, such as broken images or missing fields; they are left out
    /// and listed in `quarantine.jsonl`. 0: the first one ends the run.
    #[schemars(range(min = 0.0, max = 1.0), extend("x-resume" = ["train", "sft", "eval"]))]
    pub max_bad_share: f64,
}

impl Rows {
    /// The links of pictures that are followed.
    pub fn links(&self) -> Links {
        // What is no host was refused when the recipe was read.
        Links::to(&self.image_links).unwrap_or_default()
    }

    /// Refuses what is no host.
    pub(crate) fn names_hosts(&self) -> Result<(), Contradiction> {
        Links::to(&self.image_links).map(drop).map_err(|NoHost { found }| Contradiction {
            key: "data.image_links".into(),
            found: format!("\"{found}\""),
            wanted: NoHost::WANTED.into(),
            hint: String::new(),
        })
    }
}

/// The `[data.fields]` section: names of a row's fields.
#[derive(Debug, Clone, PartialEq, Eq, SmartDefault, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Fields {
    /// Field of a row that holds the question: a string.
    #[default("problem")]
    #[schemars(schema_with = "filled")]
    pub problem: String,
    /// Field of a row that holds the image or images; the default also reads `images`.
    #[default("image")]
    #[schemars(schema_with = "filled")]
    pub image: String,
    /// Field of a row that holds the reference answer: a string, a number, or true or false.
    #[default("answer")]
    #[schemars(schema_with = "filled")]
    pub answer: String,
    /// Field of a row that holds its name, a string or a number; the default also reads the column `problem_id`.
    /// Rows without one are numbered.
    #[default("id")]
    #[schemars(schema_with = "filled")]
    pub id: String,
}

/// The `[lora]` section: the adapter.
#[derive(Debug, Clone, PartialEq, SmartDefault, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Lora {
    /// Rank of the adapter's two factors.
    #[default(64)]
    #[schemars(range(min = 1, max = 4096))]
    pub rank: usize,
    /// The adapter's output is scaled by alpha / rank.
    #[default(128.0)]
    #[schemars(extend("exclusiveMinimum" = 0, "maximum" = 1e9))]
    pub alpha: f64,
    /// Share of the adapter's inputs dropped in the student's training forward.
    #[default(0.05)]
    #[schemars(extend("minimum" = 0, "exclusiveMaximum" = 1))]
    pub dropout: f64,
    /// Names of the linear layers that get an adapter, in the vision tower too.
    #[default(["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"].map(str::to_owned).to_vec())]
    #[schemars(schema_with = "names")]
    pub targets: Vec<String>,
}

/// The `[optim]` section: AdamW and its learning rate.
#[derive(Debug, Clone, PartialEq, SmartDefault, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Optim {
    /// Learning rate at its highest.
    #[default(5e-6)]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub lr: f64,
    /// AdamW's decay rates of the mean and of the square of the gradient.
    #[default((0.9, 0.999))]
    #[schemars(schema_with = "decay_rates")]
    pub betas: (f64, f64),
    /// AdamW's term against division by zero.
    #[default(1e-8)]
    #[schemars(range(min = 1e-30, max = 1.0))]
    pub eps: f64,
    /// AdamW's decoupled weight decay, of matrices alone: norms and biases do not decay.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub weight_decay: f64,
    /// How the learning rate goes from its highest to the end: linear and cosine fall to 0.
    pub schedule: Schedule,
    /// Steps in which the learning rate rises from 0 to its highest.
    pub warmup_steps: usize,
    /// Largest norm of the gradient over all trained tensors together. 0: off.
    #[default(0.1)]
    #[schemars(range(min = 0.0))]
    pub max_grad_norm: f64,
}

fn decay_rates(_: &mut SchemaGenerator) -> Schema {
    let rate = json_schema!({ "type": "number", "minimum": 0, "exclusiveMaximum": 1 });
    json_schema!({ "type": "array", "items": rate, "minItems": 2, "maxItems": 2 })
}

/// How the learning rate goes from its highest to the end of training.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Schedule {
    /// In a straight line to 0.
    #[default]
    Linear,
    /// Not at all.
    Constant,
    /// Along half a cosine to 0.
    Cosine,
}

/// The `[train]` section: how long, how much at a time, from which seed.
#[derive(Debug, Clone, PartialEq, SmartDefault, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Train {
    /// How long to train.
    #[serde(flatten)]
    pub length: Length,
    /// Samples in a micro-batch: scored and learnt from together.
    #[default(2)]
    #[schemars(range(min = 1, max = 4096), extend("x-resume" = ["eval", "palr"]))]
    pub batch: usize,
    /// Micro-batches of an optimiser step.
    #[default(16)]
    #[schemars(range(min = 1, max = 65_536), extend("x-resume" = ["eval", "palr"]))]
    pub accumulate: usize,
    /// Most tokens of a micro-batch, prompts and completions, instead of `train.batch` samples: it is filled up to them,
    /// and a sample with more is one by itself. The samples of a step stay `train.batch` times `train.accumulate`. 0: off.
    #[serde(with = "Unset::<usize>")]
    #[schemars(extend("x-resume" = ["train", "eval", "palr"]))]
    pub tokens_per_micro_batch: Option<usize>,
    /// What the loss is the mean over. "step": the tokens of the whole step, so that how it is cut into micro-batches
    /// changes nothing but speed and memory. "micro_batch": those of each micro-batch, whose losses are averaged, as the
    /// method's authors do.
    #[schemars(extend("x-resume" = ["eval", "palr"]))]
    pub normalise: Normalise,
    /// Seed of everything that is drawn: order, samples, dropout, the new adapter.
    #[default(42)]
    #[schemars(extend("x-resume" = ["eval", "palr"]))]
    pub seed: u64,
    /// Number format of weights and activations; the divergence and the optimiser are always f32.
    pub precision: Precision,
    /// Take products of f32 in less precision for what they are: TF32 or f16 inside of them, which some GPUs have in their
    /// place. Without it a run on a device that computes so is refused by its self-test.
    #[schemars(extend("x-resume" = ["train", "eval", "palr"]))]
    pub fast_math: bool,
    /// What a backward does about the activations of a forward: run each block again, which takes the memory of one
    /// block, or keep them all, which takes a quarter less time. "auto" keeps them where they fit well.
    #[schemars(extend("x-resume" = ["train", "eval", "palr"]))]
    pub recompute: Recompute,
    /// A sample with a longer prompt is skipped and counted, never cut. At most the tokens of the model's context. 0:
    /// those, or 32768 if they are more.
    #[serde(with = "Unset::<usize>")]
    #[schemars(extend("x-resume" = ["train"]))]
    pub max_prompt_tokens: Option<usize>,
    /// Steps of a run that may come to a loss or a gradient that is not finite: they are left out, their rollouts
    /// written down. One more ends the run.
    #[schemars(extend("x-resume" = ["train", "eval", "palr"]))]
    pub max_lost_steps: u64,
}

impl Train {
    /// Optimiser steps to train over a data set of `samples` completions: what `steps` says, or the whole steps
    /// that `epochs` fills, the last one rounded up; none over an empty data set.
    pub fn total_steps(&self, samples: usize) -> usize {
        self.length.total_steps(samples, self.batch * self.accumulate)
    }

    /// The most tokens of a prompt for a model whose context has so many: there is room for one more.
    ///
    /// # Errors
    /// If `max_prompt_tokens` is more than the context.
    pub fn max_prompt_tokens(&self, context: usize) -> Result<usize, Contradiction> {
        let most = in_context("train.max_prompt_tokens", self.max_prompt_tokens, context)?;
        Ok(most.min(context.saturating_sub(1)))
    }
}

/// What becomes of a training forward's activations until its backward. The gradients are the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Recompute {
    /// They are kept if they take no more than a quarter of the free memory.
    #[default]
    Auto,
    /// Each block's input is kept, and the block runs again.
    Block,
    /// All are kept, and nothing runs again.
    None,
}

/// How long to train.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Length {
    /// Optimiser steps to train.
    Steps(#[schemars(range(min = 1), extend("x-resume" = ["train", "sft", "eval", "palr"]))] usize),
    /// Passes over the data set to train; may be a fraction.
    Epochs(
        #[schemars(extend("exclusiveMinimum" = 0, "maximum" = 1_000_000, "x-resume" = ["train", "sft", "eval", "palr"]))]
         f64,
    ),
}

impl Default for Length {
    /// One pass. A recipe says it all the same: there is no length that suits most.
    fn default() -> Self {
        Self::Epochs(1.0)
    }
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// 16-bit brain floats.
    Bf16,
}

/// The `[eval]` section: what the student is asked, and how its answers are sampled.
#[derive(Debug, Clone, PartialEq, SmartDefault, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Eval {
    /// The data set that `vigos eval` asks, named like `data.path`. Empty: that one.
    #[serde(with = "Unset::<PathBuf>")]
    pub path: Option<PathBuf>,
    /// Split of it, like `data.split`.
    #[serde(with = "Unset::<String>")]
    pub split: Option<String>,
    /// Benchmarks to ask instead, each by its name, or as `NAME=PATH`: see [evaluation.md](evaluation.md#suites).
    pub suites: Vec<String>,
    /// Ask the first so many rows of each data set only. 0: all.
    #[serde(with = "Unset::<usize>")]
    pub limit: Option<usize>,
    /// Layout of its rows: like those of `data.path`, or ViLP's, with or without the sentence that states a fact.
    pub layout: Layout,
    /// A prior suite to ask as well, for Score and Prior. Empty: none.
    #[serde(with = "Unset::<PathBuf>")]
    pub prior: Option<PathBuf>,
    /// Completions sampled for each item.
    #[default(5)]
    #[schemars(range(min = 1, max = 10_000))]
    pub samples: usize,
    /// The k of Pass@k, at most `eval.samples`. 0: all of them.
    #[serde(with = "Unset::<usize>")]
    #[schemars(extend("x-resume" = ["eval"]))]
    pub k: Option<usize>,
    /// The draws.
    #[serde(flatten)]
    #[default(Sampling { top_p: 0.9, ..Sampling::default() })]
    pub sampling: Sampling,
    /// Seed of the draws.
    #[default(42)]
    pub seed: u64,
    /// Whether `vigos train` ends with an evaluation of the student before and after training, side by side.
    #[schemars(extend("x-resume" = ["eval"]))]
    pub around: bool,
    /// Steps between evaluations while `vigos train` goes on; the last step has one too. Each keeps its checkpoint, and
    /// `checkpoints/best.json` names the best one, which `checkpoint.keep` never removes. 0: none.
    #[schemars(extend("x-resume" = ["eval"]))]
    pub every: usize,
    /// End training after so many evaluations in a row that were no better than the best one before. 0: never.
    #[schemars(extend("x-resume" = ["eval"]))]
    pub patience: usize,
    /// Who grades what the grader cannot.
    pub judge: Judge,
}

/// How the rows of an evaluation's data set are laid out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// A question, its images and its answer, as for training.
    #[default]
    Rows,
    /// ViLP's three images to a question, the question as given.
    VilpF,
    /// The same without the sentence that the question begins with.
    VilpP,
}

/// The `[palr]` section: the leakage diagnostic.
#[derive(Debug, Clone, PartialEq, SmartDefault, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Palr {
    /// Wrong answers that `vigos palr` sets in the reference's place, at most.
    #[default(4)]
    #[schemars(range(min = 1, max = 64))]
    pub wrong_answers: usize,
    /// Seed of its rollouts and of the wrong answers.
    #[default(42)]
    pub seed: u64,
}
