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
//! by those. Only the spelling of names in files (`layout::published`) asks for the family itself.

use crate::config::{TextConfig, VisionConfig};
use serde_json::{Value, json};

/// A family, as `model_type` of a `config.json` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// `qwen2_5_vl`
    Qwen2_5Vl,
    /// `qwen3_vl`
    Qwen3Vl,
}

/// Which position stream drives which rotated pair of a head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MropeLayout {
    /// One section after another: `TT…HH…WW…`.
    #[default]
    Sections,
    /// `THWTHW…`, and time again where height and width are used up.
    Interleaved,
}

/// What the vision tower is built of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TowerStyle {
    /// RMS norms, gated SiLU MLPs, patches without a bias.
    #[default]
    Gated,
    /// Layer norms, MLPs of two layers with GELU, patches with a bias.
    Plain,
}

impl Family {
    /// Every family that this crate builds.
    pub const ALL: [Self; 2] = [Self::Qwen2_5Vl, Self::Qwen3Vl];

    /// Its name in `model_type`.
    pub fn model_type(self) -> &'static str {
        match self {
            Self::Qwen2_5Vl => "qwen2_5_vl",
            Self::Qwen3Vl => "qwen3_vl",
        }
    }

    /// The family of that name.
    pub fn named(model_type: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.model_type() == model_type)
    }

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
    pub(crate) fn settle(self, text: &mut TextConfig, vision: &mut VisionConfig) {
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

impl TowerStyle {
    /// The parts of a merger: its norm and its two linear layers, as checkpoints name them.
    pub(crate) fn merger(self) -> [&'static str; 3] {
        match self {
            Self::Gated => ["ln_q", "mlp.0", "mlp.2"],
            Self::Plain => ["norm", "linear_fc1", "linear_fc2"],
        }
    }
}
