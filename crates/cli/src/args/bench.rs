//! Arguments of `vigos bench`.

use super::Precision;
use clap::{Args, Subcommand, ValueEnum};
use std::fmt::{self, Display};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use vigos_models::gradient::Keep;

#[derive(Debug, Subcommand)]
pub(crate) enum BenchArgs {
    /// The loss, from logits and from hidden states, against separate operators under autodiff.
    #[command(after_help = "Example:\n  \
        vigos bench loss --rows 64 --vocab 32000 --hidden 256 --json\n\n\
        The defaults are a real model's sizes and take about 6 GB. Times are medians; memory is what the \
        process takes beyond the inputs, told on Linux for the CPU.")]
    Loss(BenchLossArgs),
    /// Every operator against separate ones, and against the machine's own rates.
    #[command(after_help = "Example:\n  vigos bench kernels --rows 64 --vocab 4000 --repeats 3 --json")]
    Kernels(BenchKernelsArgs),
    /// Greedy decoding of drawn prompts with an image each.
    #[command(after_help = "Example:\n  \
        vigos bench decode --model assets/tiny-qwen2_5-vl --batch 4 --prompt 64 \\\n      \
        --image 8x8 --new 16 --json\n\n\
        Only configuration and weights of the model are read. --json writes one object, see\n\
        docs/performance.md.")]
    Decode(BenchDecodeArgs),
    /// A training step on drawn rollouts: teachers, student, loss, backward, update.
    #[command(after_help = "Example:\n  \
        vigos bench step --model assets/tiny-qwen2_5-vl --batch 2 --prompt 300 \\\n      \
        --image 8x8 --completion 20 --json\n\n\
        Only configuration and weights of the model are read. The method is the default one, the\n\
        adapter has rank 16 on all layers that can carry one. --json writes one object, see\n\
        docs/performance.md.")]
    Step(BenchStepArgs),
}

/// What is measured on, and how often.
#[derive(Debug, Args)]
pub(crate) struct BenchModelArgs {
    /// Model folder in Hugging Face layout, or hf:ORG/NAME; no tokenizer is needed.
    #[arg(long, value_name = "DIR")]
    pub(crate) model: PathBuf,
    /// Number format of weights and activations.
    #[arg(long, value_enum, default_value_t = Precision::F32)]
    pub(crate) precision: Precision,
    /// How often it is run, after a first time that does not count.
    #[arg(long, value_name = "N", default_value = "3")]
    pub(crate) repeat: NonZeroUsize,
    /// A report of the same work to compare with, such as tools/bench_torch.py writes.
    #[arg(long, value_name = "FILE")]
    pub(crate) against: Option<PathBuf>,
    /// Write one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct BenchDecodeArgs {
    #[command(flatten)]
    pub(crate) model: BenchModelArgs,
    /// Prompts that decode together.
    #[arg(long, value_name = "B", default_value = "1")]
    pub(crate) batch: NonZeroUsize,
    /// Tokens of a prompt, those of its image included.
    #[arg(long, value_name = "N", default_value_t = 486)]
    pub(crate) prompt: usize,
    /// Patches of the image, down by across.
    #[arg(long, value_name = "HxW", default_value_t = GridArg { rows: 24, columns: 32 })]
    pub(crate) image: GridArg,
    /// New tokens of each prompt.
    #[arg(long, value_name = "N", default_value = "64")]
    pub(crate) new: NonZeroUsize,
}

#[derive(Debug, Args)]
pub(crate) struct BenchStepArgs {
    #[command(flatten)]
    pub(crate) model: BenchModelArgs,
    /// Rollouts of the step, all of one micro-batch and all valid.
    #[arg(long, value_name = "B", default_value = "2")]
    pub(crate) batch: NonZeroUsize,
    /// Tokens of the question's prompt, those of its image included; the roles' templates add to it.
    #[arg(long, value_name = "N", default_value_t = 486)]
    pub(crate) prompt: usize,
    /// Patches of the image, down by across.
    #[arg(long, value_name = "HxW", default_value_t = GridArg { rows: 24, columns: 32 })]
    pub(crate) image: GridArg,
    /// Tokens of a completion.
    #[arg(long, value_name = "N", default_value_t = 122)]
    pub(crate) completion: usize,
    /// What the backward computes again, as `train.recompute` of a recipe.
    #[arg(long, value_enum, default_value_t = BenchRecompute::None)]
    pub(crate) recompute: BenchRecompute,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum BenchRecompute {
    /// Nothing: all activations are kept.
    None,
    /// Every block.
    Block,
}

impl BenchRecompute {
    pub(crate) fn keep(self) -> Keep {
        match self {
            Self::None => Keep::Graphs,
            Self::Block => Keep::Inputs,
        }
    }
}

/// Patches of an image, down by across.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GridArg {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
}

impl GridArg {
    /// Patches down and across.
    pub(crate) fn sides(self) -> [usize; 2] {
        [self.rows, self.columns]
    }
}

impl Display for GridArg {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}x{}", self.rows, self.columns)
    }
}

impl FromStr for GridArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // More than any image has, and few enough that their product is a number.
        let side = |side: &str| side.parse().ok().filter(|n| (1..=10_000).contains(n));
        let sides = text.split_once('x').and_then(|(rows, columns)| Some((side(rows)?, side(columns)?)));
        let (rows, columns) = sides.ok_or_else(|| {
            format!("found {text:?}, wanted patches down by patches across, at most 10000 each, as in 24x32")
        })?;
        Ok(Self { rows, columns })
    }
}

#[derive(Debug, Args)]
pub(crate) struct BenchKernelsArgs {
    /// Rows where there are many.
    #[arg(long, value_name = "N", default_value = "256")]
    pub(crate) rows: NonZeroUsize,
    /// Width of the hidden states.
    #[arg(long, value_name = "D", default_value = "2048")]
    pub(crate) hidden: NonZeroUsize,
    /// Width of the MLP, and outputs of a product.
    #[arg(long, value_name = "F", default_value = "4096")]
    pub(crate) inner: NonZeroUsize,
    /// Tokens of the vocabulary.
    #[arg(long, value_name = "V", default_value = "32000")]
    pub(crate) vocab: NonZeroUsize,
    /// How often each is run, after a first time that does not count.
    #[arg(long, value_name = "N", default_value = "5")]
    pub(crate) repeats: NonZeroUsize,
    /// Write one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct BenchLossArgs {
    /// Rows of hidden states.
    #[arg(long, value_name = "N", default_value_t = 2048)]
    pub(crate) rows: usize,
    /// Tokens of the vocabulary.
    #[arg(long, value_name = "V", default_value_t = 151_936)]
    pub(crate) vocab: usize,
    /// Width of the hidden states.
    #[arg(long, value_name = "D", default_value_t = 2048)]
    pub(crate) hidden: usize,
    /// Rows that the loss reads, the first ones; half of them unless given.
    #[arg(long, value_name = "R")]
    pub(crate) active: Option<usize>,
    /// Number format of logits and hidden states.
    #[arg(long, value_enum, default_value_t = BenchPrecision::F32)]
    pub(crate) dtype: BenchPrecision,
    /// Direction of the divergence.
    #[arg(long, value_enum, default_value_t = BenchDirection::Forward)]
    pub(crate) direction: BenchDirection,
    /// Memory for the logits of a chunk, in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = vigos_kernels::LOGITS_BUDGET, conflicts_with = "chunk")]
    pub(crate) chunk_bytes: usize,
    /// Rows of a chunk, whatever they take.
    #[arg(long, value_name = "ROWS")]
    pub(crate) chunk: Option<NonZeroUsize>,
    /// How often each is run.
    #[arg(long, value_name = "N", default_value = "3")]
    pub(crate) repeats: NonZeroUsize,
    /// Write one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum BenchPrecision {
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
    /// 16-bit brain floats.
    Bf16,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum BenchDirection {
    /// KL(teacher ‖ student).
    Forward,
    /// KL(student ‖ teacher).
    Reverse,
}
