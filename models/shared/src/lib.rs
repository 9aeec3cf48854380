//! What every family of vision-language models shares, and the seam to those who use one.
//!
//! - [`VisionLanguageModel`] is a model as a trainer, a sampler or a judge sees it. [`Families`] finds the family of a
//!   model folder and loads it; which families there are, the program says.
//! - [`Packed`] is a batch: sequences laid one after another, never padded. It knows which row predicts which token.
//! - [`Adapter`] is a low-rank update beside a frozen model, read and written as PEFT does ([`peft`], [`lora`]).
//!   [`Parameters`] are all weights of a model, where those are trained.
//! - [`scoring`] and [`cross_entropy`] go from hidden states to log-probabilities and losses, [`memory`] says what a
//!   model takes, [`weights`], [`init`], [`export`] and [`merge`] read and write model folders.
//! - [`layers`], [`norms`], [`rotary`] and [`cache`] are what families are built of.
//!
//! The base is frozen by construction: its tensors are plain values on a plain device, and every forward
//! takes the adapter, if any, beside it.
//!
//! ```text
//! images ─ vision tower ─┐
//!                        ├─ language model ─ hidden states ─ (rows asked for) ─ logits
//! token ids ─────────────┘
//! ```

pub mod adapter;
pub mod agreement;
pub mod cache;
pub mod cross_entropy;
pub mod dropout;
pub mod export;
pub mod family;
pub mod gradient;
pub mod hook;
pub mod init;
pub mod layers;
pub mod lora;
pub mod memory;
pub mod merge;
pub mod model;
pub mod norms;
pub mod packed;
pub mod parameters;
pub mod patterns;
pub mod peft;
pub mod phase;
pub mod rotary;
pub mod rows;
pub mod scoring;
pub mod source;
pub mod trained;

pub use vigos_stored::{architecture, config_file, error, folder, generation, mistaken, sites, weights};

#[doc(hidden)]
pub use tracing;

pub use adapter::{ActiveAdapter, Adapter, DropoutPair};
pub use architecture::Architecture;
pub use config_file::ConfigFile;
pub use dropout::Dropout;
pub use error::ModelError;
pub use family::{Families, Family, ModelConfig};
pub use hook::ForwardHook;
pub use lora::{AdapterConfig, LoraConfig};
pub use model::VisionLanguageModel;
pub use packed::{Packed, Target};
pub use parameters::Parameters;
pub use sites::Projection;
pub use trained::Trained;
pub use vigos_processor::Sequence;
