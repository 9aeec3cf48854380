//! What a model is made of, as data: its shapes, its tensors, and the layers that can carry an adapter.
//!
//! A family works it out from a configuration. Adapters, memory estimates, new checkpoints and exports read it,
//! and so need to know no family.

use crate::sites::{Projection, Site};
use std::collections::BTreeSet;

/// A model without its weights.
#[derive(Clone, Debug)]
pub struct Architecture {
    /// `model_type` of its `config.json`.
    pub model_type: &'static str,
    /// The language model.
    pub text: TextShape,
    /// The vision tower.
    pub vision: VisionShape,
    /// Id of the image placeholder token.
    pub image_token_id: u32,
    /// Standard deviation of randomly initialised weights.
    pub initializer_range: f64,
    /// Every tensor of a checkpoint by its canonical name, in file order.
    pub parameters: Vec<Parameter>,
    /// The name of the head's own weight where the head is the embeddings: a checkpoint may hold it all the same, and
    /// then as their copy.
    pub tied_head: Option<&'static str>,
    /// Every layer that can carry a low-rank update, decoder first.
    pub sites: Vec<Site>,
    /// How the names of tensors are spelt.
    pub names: WeightNames,
}

/// Shape of a language model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextShape {
    /// Vocabulary, `V`.
    pub vocab_size: usize,
    /// Width of the residual stream, `D`.
    pub hidden_size: usize,
    /// Width of the MLP.
    pub intermediate_size: usize,
    /// Decoder layers.
    pub num_hidden_layers: usize,
    /// Query heads, `H`.
    pub num_attention_heads: usize,
    /// Key/value heads, `Hkv`.
    pub num_key_value_heads: usize,
    /// Width of one head.
    pub head_dim: usize,
    /// Longest position that the checkpoint was made for.
    pub max_position_embeddings: usize,
}

/// Shape of a vision tower.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisionShape {
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
    /// Side of a patch in pixels.
    pub patch_size: usize,
    /// Frames that one patch spans.
    pub temporal_patch_size: usize,
    /// Side of the square of patches that becomes one token.
    pub spatial_merge_size: usize,
    /// Rows of the language model's width that the tower gives for each token: more than one with deepstack.
    pub rows_per_token: usize,
}

/// How a tensor is filled in a model that starts from nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initial {
    /// Normal with the configuration's standard deviation.
    Normal,
    /// All ones (norm scales).
    Ones,
    /// All zeros (biases).
    Zeros,
}

/// One tensor of a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its canonical name.
    pub name: String,
    /// Shape in the file; a linear weight is `[out, in]`.
    pub shape: Vec<usize>,
    /// Distribution in a fresh model.
    pub initial: Initial,
}

/// How a family spells the names of its tensors. One spelling is the canonical one; within a program all tensors go
/// by it.
#[derive(Clone, Copy, Debug)]
pub struct WeightNames {
    /// Any spelling to the canonical one.
    pub canonical: fn(&str) -> String,
    /// A canonical name to its path in Transformers' module tree, which is what PEFT goes by.
    pub module_path: fn(&str) -> String,
    /// A canonical name as the family's published files spell it.
    pub published: fn(&str) -> String,
    /// The canonical name of the head's weight: that of the embeddings where the two are one.
    pub head: &'static str,
    /// What the canonical names of the decoder layers' tensors begin with.
    pub layers: &'static str,
}

impl Architecture {
    /// The layers that `targets` name, decoder first.
    pub fn sites(&self, targets: &[Projection]) -> Vec<Site> {
        self.sites.iter().filter(|site| targets.contains(&site.projection)).cloned().collect()
    }

    /// The paths of all modules that cannot carry an update: other layers, and what holds layers.
    pub fn other_modules(&self) -> BTreeSet<String> {
        // Where the head is tied, it has a module and no tensor.
        let mut paths: BTreeSet<String> = BTreeSet::from(["lm_head".to_owned()]);
        for parameter in &self.parameters {
            let path = (self.names.module_path)(&parameter.name);
            for (end, _) in path.match_indices('.') {
                paths.insert(path[..end].to_owned());
            }
        }
        for site in &self.sites {
            paths.remove(&site.path);
        }
        paths
    }

    /// Number of values of all tensors.
    pub fn values(&self) -> u64 {
        self.parameters.iter().map(Parameter::values).fold(0, u64::saturating_add)
    }
}

impl Parameter {
    /// Number of its values.
    pub fn values(&self) -> u64 {
        self.shape.iter().fold(1, |all, side| all * *side as u64)
    }
}

impl VisionShape {
    /// Values of one patch: channels · frames · patch².
    pub fn patch_values(&self) -> usize {
        self.in_channels * self.temporal_patch_size * self.patch_size * self.patch_size
    }

    /// Patches that merge into one token.
    pub fn merge_unit(&self) -> usize {
        self.spatial_merge_size * self.spatial_merge_size
    }
}
