//! Arguments of `vigos bench`.

use clap::{Args, Subcommand, ValueEnum};
use std::num::NonZeroUsize;

#[derive(Debug, Subcommand)]
pub(crate) enum BenchArgs {
    /// The loss, from logits and from hidden states, against separate operators under autodiff.
    #[command(after_help = "Example:\n  \
        vigos bench loss --rows 64 --vocab 32000 --hidden 256 --json\n\n\
        The defaults are a real model's sizes and take about 6 GB. Times are medians; memory is what the \
        process takes beyond the inputs, told on Linux for the CPU.")]
    Loss(BenchLossArgs),
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
