//! What a Qwen vision-language model is configured by.
//!
//! Every number is checked where it is read ([`Config::read`]), so that the rest of the crate can trust it.

/// A checked model configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// The family that `model_type` names.
    pub family: QwenFamily,
    /// The language model.
    pub text: TextConfig,
    /// The vision tower.
    pub vision: VisionConfig,
    /// Whether the output head is the embedding matrix.
    pub tie_word_embeddings: bool,
    /// Id of the image placeholder token.
    pub image_token_id: u32,
    /// Standard deviation of randomly initialised weights.
    pub initializer_range: f64,
}

/// Shape of the language model.
#[derive(Clone, Debug, PartialEq)]
pub struct TextConfig {
    /// Vocabulary, `V`.
    pub vocab_size: usize,
    /// Width of the residual stream, `D`.
    pub hidden_size: usize,
    /// Width of the gated MLP.
    pub intermediate_size: usize,
    /// Decoder layers.
    pub num_hidden_layers: usize,
    /// Query heads, `H`.
    pub num_attention_heads: usize,
    /// Key/value heads, `Hkv`.
    pub num_key_value_heads: usize,
    /// Width of one head; `hidden_size / num_attention_heads` unless given.
    pub head_dim: usize,
    /// ε of the RMS norms.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// How many rotary frequencies each of the three position streams (time, height, width) drives.
    pub mrope_section: [usize; 3],
    /// Which stream drives which frequency.
    pub mrope_layout: MropeLayout,
    /// Whether the query, key and value projections have a bias.
    pub qkv_bias: bool,
    /// Whether every query and key head is normed before its rotary embedding.
    pub qk_norm: bool,
    /// Longest position that the checkpoint was made for.
    pub max_position_embeddings: usize,
}

/// Shape of the vision tower.
#[derive(Clone, Debug, PartialEq)]
pub struct VisionConfig {
    /// Transformer blocks.
    pub depth: usize,
    /// Width of a patch's features.
    pub hidden_size: usize,
    /// Width of the MLP.
    pub intermediate_size: usize,
    /// Attention heads.
    pub num_heads: usize,
    /// Colour channels.
    pub in_channels: usize,
    /// Width of a merged token; equals the language model's `hidden_size`.
    pub out_hidden_size: usize,
    /// Side of a patch in pixels.
    pub patch_size: usize,
    /// Frames that one patch spans.
    pub temporal_patch_size: usize,
    /// Side of the square of patches that becomes one token.
    pub spatial_merge_size: usize,
    /// Side of an attention window in pixels; `None` where every block attends over the whole image.
    pub window_size: Option<usize>,
    /// Blocks that attend over the whole image instead of a window.
    pub fullatt_block_indexes: Vec<usize>,
    /// Learned position embeddings, a square grid over the image; `None` where there are none.
    pub num_position_embeddings: Option<usize>,
    /// Blocks whose output goes into the language model as well, one behind each of its first layers.
    pub deepstack_visual_indexes: Vec<usize>,
    /// What norms and MLPs it has.
    pub style: TowerStyle,
}

/// A family, as `model_type` of a `config.json` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QwenFamily {
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

impl QwenFamily {
    /// Both.
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

impl VisionConfig {
    /// Values of one patch: channels · frames · patch².
    pub fn patch_values(&self) -> usize {
        self.in_channels * self.temporal_patch_size * self.patch_size * self.patch_size
    }

    /// Patches that merge into one token.
    pub fn merge_unit(&self) -> usize {
        self.spatial_merge_size * self.spatial_merge_size
    }

    /// Which deepstack merger reads the output of block `block`, if one does.
    pub fn deepstack_of(&self, block: usize) -> Option<usize> {
        self.deepstack_visual_indexes.iter().position(|index| *index == block)
    }

    /// Width of one attention head.
    pub fn head_dim(&self) -> usize {
        self.hidden_size / self.num_heads
    }
}
