//! The Qwen vision-language models, Qwen2.5-VL and Qwen3-VL: configuration, vision tower, language model, the names of
//! their weights.
//!
//! [`families`] is what a program takes from here; who only uses a model sees it as a
//! [`vigos_models::VisionLanguageModel`].
//!
//! ```text
//! images ─ VisionTower ─┐
//!                       ├─ LanguageModel ─ hidden states
//! token ids ────────────┘
//! ```

mod architecture;
pub mod backward;
pub mod config;
pub mod deepstack;
pub mod family;
mod interface;
mod layout;
pub mod model;
mod names;
mod parse;
pub mod positions;
mod recompute;
pub mod text;
pub mod vision;

pub use config::{Config, QwenFamily};
pub use interface::families;
pub use model::{Model, QwenConfig};
