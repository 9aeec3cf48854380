//! The model that a command computes with.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// The model to compute with.
#[derive(Debug, Args)]
pub(crate) struct ModelArgs {
    /// Model folder in Hugging Face layout, or hf:ORG/NAME, with @REVISION if wanted.
    #[arg(long, value_name = "DIR")]
    pub(crate) model: PathBuf,
    /// Adapter folder in PEFT layout, such as a checkpoint of a run, or hf:ORG/NAME, with @REVISION if wanted.
    #[arg(long, value_name = "DIR")]
    pub(crate) adapter: Option<PathBuf>,
    /// Number format of weights and activations.
    #[arg(long, value_enum, default_value_t = Precision::F32)]
    pub(crate) precision: Precision,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Precision {
    /// 32-bit floats.
    F32,
    /// 16-bit brain floats: half the memory, about three digits.
    Bf16,
    /// 8-bit whole numbers for the decoder layers' products, bf16 for the rest.
    Int8,
    /// 4-bit whole numbers for them.
    Int4,
}
