//! The families of Qwen vision-language models, and the pieces in which they differ.
//!
//! | piece | Qwen2.5-VL | Qwen3-VL |
//! | --- | --- | --- |
//! | rotary streams of the language model | [`MropeLayout::Sections`] | [`MropeLayout::Interleaved`] |
//! | bias of the query, key and value projections | yes | no |
//! | norm of every query and key head | no | yes |
//! | norms, MLPs and patch bias of the vision tower | [`TowerStyle::Gated`] | [`TowerStyle::Plain`] |
//! | windows of the vision tower's attention | all but some blocks | none |
//! | learned position embeddings of patches | no | a grid, interpolated |
//! | deepstack | no | after some vision blocks |
//!
//! All else is one base. This module puts the pieces into the configuration, and the forward and backward go
//! by those. Only the spelling of names in files (`names.rs`) asks for the family itself.

use crate::config::{MropeLayout, QwenFamily, TextConfig, TowerStyle, VisionConfig};
use serde_json::{Value, json};

impl QwenFamily {
    /// Keys of `vision_config` that describe its own pieces and have no default.
    pub(crate) fn vision_keys(self) -> &'static [&'static str] {
        match self {
            Self::Qwen2_5Vl => &["window_size", "fullatt_block_indexes"],
            Self::Qwen3Vl => &["num_position_embeddings", "deepstack_visual_indexes"],
        }
    }

    /// Base of the rotary frequencies where a configuration does not say.
    pub(crate) fn rope_theta(self) -> f64 {
        match self {
            Self::Qwen2_5Vl => 1_000_000.0,
            Self::Qwen3Vl => 5_000_000.0,
        }
    }

    /// Width of a head where a configuration does not say, unless it is the quotient of width and heads.
    pub(crate) fn head_dim(self) -> Option<usize> {
        match self {
            Self::Qwen2_5Vl => None,
            Self::Qwen3Vl => Some(128),
        }
    }

    /// Longest position where a configuration does not say.
    pub(crate) fn positions(self) -> usize {
        match self {
            Self::Qwen2_5Vl => 32_768,
            Self::Qwen3Vl => 128_000,
        }
    }

    /// Settings that have one supported value: (key, value), where a key of `text_config` has no prefix.
    pub(crate) fn fixed(self) -> Vec<(&'static str, Value)> {
        let activation = ("hidden_act", json!("silu"));
        match self {
            Self::Qwen2_5Vl => vec![
                activation,
                ("vision_config.hidden_act", json!("silu")),
                ("rope_scaling.mrope_interleaved", json!(false)),
            ],
            Self::Qwen3Vl => vec![
                activation,
                ("vision_config.hidden_act", json!("gelu_pytorch_tanh")),
                ("rope_scaling.mrope_interleaved", json!(true)),
                ("attention_bias", json!(false)),
            ],
        }
    }

    /// Sets what follows from the family alone, and clears what belongs to another.
    pub(crate) fn complete(self, text: &mut TextConfig, vision: &mut VisionConfig) {
        match self {
            Self::Qwen2_5Vl => {
                text.mrope_layout = MropeLayout::Sections;
                (text.qkv_bias, text.qk_norm) = (true, false);
                vision.style = TowerStyle::Gated;
                vision.num_position_embeddings = None;
                vision.deepstack_visual_indexes.clear();
            }
            Self::Qwen3Vl => {
                text.mrope_layout = MropeLayout::Interleaved;
                (text.qkv_bias, text.qk_norm) = (false, true);
                vision.style = TowerStyle::Plain;
                vision.window_size = None;
                vision.fullatt_block_indexes.clear();
            }
        }
    }
}
