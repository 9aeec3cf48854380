//! Qwen vision-language models in Burn: weights, vision tower, language model, adapters.
//!
//! The base is frozen by construction: its tensors are plain values on a plain device, and every forward
//! takes the adapter, if any, beside it. Sequences are packed, never padded.
//!
//! ```text
//! images ─ VisionTower ─┐
//!                       ├─ LanguageModel ─ hidden states ─ (rows asked for) ─ logits
//! token ids ────────────┘
//! ```

pub mod adapter;
pub mod agreement;
pub mod backward;
pub mod cache;
pub mod config;
pub mod deepstack;
pub mod dropout;
pub mod error;
pub mod family;
pub mod generation;
pub mod init;
pub mod layers;
pub mod layout;
pub mod lora;
pub mod memory;
pub mod merge;
pub mod model;
pub mod norms;
pub mod patterns;
pub mod peft;
pub mod positions;
pub mod scoring;
pub mod sites;
pub mod text;
pub mod vision;
pub mod weights;

pub use adapter::{ActiveAdapter, Adapter, DropoutPair};
pub use config::Config;
pub use dropout::Dropout;
pub use error::ModelError;
pub use family::Family;
pub use lora::{AdapterConfig, LoraConfig};
pub use model::{Model, Packed, Sequence};
pub use sites::Projection;
