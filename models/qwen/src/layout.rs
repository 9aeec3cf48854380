//! Every tensor of a checkpoint: its name, shape and initial distribution.
//!
//! One list serves the loader (what must be there), `init` (what to make) and memory estimates. Names are
//! those of the published Qwen2.5-VL files; [`canonical`] maps the newer spelling onto them.

use crate::config::Config;

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
    /// Name in the file.
    pub name: String,
    /// Shape in the file; a linear weight is `[out, in]`.
    pub shape: Vec<usize>,
    /// Distribution in a fresh model.
    pub initial: Initial,
}

/// All parameters of a model of this configuration, in file order.
pub fn parameters(config: &Config) -> Vec<Parameter> {
    let mut list = List(Vec::new());
    let (text, vision) = (&config.text, &config.vision);

    let (d, ff) = (text.hidden_size, text.intermediate_size);
    list.weight("model.embed_tokens", &[text.vocab_size, d]);
    for layer in 0..text.num_hidden_layers {
        let at = |name: &str| format!("model.layers.{layer}.{name}");
        let (q, kv) = (text.num_attention_heads * text.head_dim, text.num_key_value_heads * text.head_dim);
        list.norm(&at("input_layernorm"), d);
        list.linear(&at("self_attn.q_proj"), q, d);
        list.linear(&at("self_attn.k_proj"), kv, d);
        list.linear(&at("self_attn.v_proj"), kv, d);
        list.weight(&at("self_attn.o_proj"), &[d, q]);
        list.norm(&at("post_attention_layernorm"), d);
        list.weight(&at("mlp.gate_proj"), &[ff, d]);
        list.weight(&at("mlp.up_proj"), &[ff, d]);
        list.weight(&at("mlp.down_proj"), &[d, ff]);
    }
    list.norm("model.norm", d);
    if !config.tie_word_embeddings {
        list.weight("lm_head", &[text.vocab_size, d]);
    }

    let (w, ff, p) = (vision.hidden_size, vision.intermediate_size, vision.patch_size);
    list.weight("visual.patch_embed.proj", &[w, vision.in_channels, vision.temporal_patch_size, p, p]);
    for block in 0..vision.depth {
        let at = |name: &str| format!("visual.blocks.{block}.{name}");
        list.norm(&at("norm1"), w);
        list.norm(&at("norm2"), w);
        list.linear(&at("attn.qkv"), 3 * w, w);
        list.linear(&at("attn.proj"), w, w);
        list.linear(&at("mlp.gate_proj"), ff, w);
        list.linear(&at("mlp.up_proj"), ff, w);
        list.linear(&at("mlp.down_proj"), w, ff);
    }
    let merged = w * vision.merge_unit();
    list.norm("visual.merger.ln_q", w);
    list.linear("visual.merger.mlp.0", merged, merged);
    list.linear("visual.merger.mlp.2", vision.out_hidden_size, merged);
    list.0
}

/// The published spelling of a tensor's name: newer files say `model.visual.` and `model.language_model.`
/// where the published ones say `visual.` and `model.`.
pub fn canonical(name: &str) -> String {
    if let Some(rest) = name.strip_prefix("model.visual.") {
        format!("visual.{rest}")
    } else if let Some(rest) = name.strip_prefix("model.language_model.") {
        format!("model.{rest}")
    } else {
        name.to_owned()
    }
}

struct List(Vec<Parameter>);

impl List {
    fn push(&mut self, name: String, shape: &[usize], initial: Initial) {
        self.0.push(Parameter { name, shape: shape.to_vec(), initial });
    }

    fn weight(&mut self, module: &str, shape: &[usize]) {
        self.push(format!("{module}.weight"), shape, Initial::Normal);
    }

    fn norm(&mut self, module: &str, width: usize) {
        self.push(format!("{module}.weight"), &[width], Initial::Ones);
    }

    /// A linear layer with a bias.
    fn linear(&mut self, module: &str, output: usize, input: usize) {
        self.weight(module, &[output, input]);
        self.push(format!("{module}.bias"), &[output], Initial::Zeros);
    }
}
