//! Every tensor of a checkpoint: its canonical name, shape and initial distribution.
//!
//! One list serves the loader (what must be there), new checkpoints (what to make) and memory estimates.

use crate::config::{Config, TowerStyle};
use vigos_models::architecture::{Initial, Parameter};

/// All parameters of a model of this configuration, in file order.
pub(crate) fn parameters(config: &Config) -> Vec<Parameter> {
    let mut list = List(Vec::new());
    let (text, vision) = (&config.text, &config.vision);

    let (d, ff) = (text.hidden_size, text.intermediate_size);
    list.weight("model.embed_tokens", &[text.vocab_size, d]);
    for layer in 0..text.num_hidden_layers {
        let at = |name: &str| format!("model.layers.{layer}.{name}");
        let (q, kv) = (text.num_attention_heads * text.head_dim, text.num_key_value_heads * text.head_dim);
        list.norm(&at("input_layernorm"), d);
        for (name, width) in [("q_proj", q), ("k_proj", kv), ("v_proj", kv)] {
            list.layer(&at(&format!("self_attn.{name}")), &[width, d], text.qkv_bias);
        }
        list.weight(&at("self_attn.o_proj"), &[d, q]);
        if text.qk_norm {
            list.norm(&at("self_attn.q_norm"), text.head_dim);
            list.norm(&at("self_attn.k_norm"), text.head_dim);
        }
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
    let plain = vision.style == TowerStyle::Plain;
    let patch = [w, vision.in_channels, vision.temporal_patch_size, p, p];
    list.layer("visual.patch_embed.proj", &patch, plain);
    if let Some(positions) = vision.num_position_embeddings {
        list.weight("visual.pos_embed", &[positions, w]);
    }
    for block in 0..vision.depth {
        let at = |name: &str| format!("visual.blocks.{block}.{name}");
        list.tower_norm(vision.style, &at("norm1"), w);
        list.tower_norm(vision.style, &at("norm2"), w);
        list.linear(&at("attn.qkv"), 3 * w, w);
        list.linear(&at("attn.proj"), w, w);
        match vision.style {
            TowerStyle::Gated => {
                list.linear(&at("mlp.gate_proj"), ff, w);
                list.linear(&at("mlp.up_proj"), ff, w);
                list.linear(&at("mlp.down_proj"), w, ff);
            }
            TowerStyle::Plain => {
                list.linear(&at("mlp.linear_fc1"), ff, w);
                list.linear(&at("mlp.linear_fc2"), w, ff);
            }
        }
    }
    let merged = w * vision.merge_unit();
    let mut merger = |module: String, norm_width: usize| {
        let [norm, expand, project] = vision.style.merger().map(|part| format!("{module}.{part}"));
        list.tower_norm(vision.style, &norm, norm_width);
        list.linear(&expand, merged, merged);
        list.linear(&project, vision.out_hidden_size, merged);
    };
    merger("visual.merger".to_owned(), w);
    for k in 0..vision.deepstack_visual_indexes.len() {
        merger(format!("visual.deepstack_merger_list.{k}"), merged);
    }
    list.0
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

    /// A norm of the vision tower.
    fn tower_norm(&mut self, style: TowerStyle, module: &str, width: usize) {
        self.norm(module, width);
        if style == TowerStyle::Plain {
            self.push(format!("{module}.bias"), &[width], Initial::Zeros);
        }
    }

    /// A linear layer with a bias.
    fn linear(&mut self, module: &str, output: usize, input: usize) {
        self.layer(module, &[output, input], true);
    }

    /// A layer whose weight has this shape, output first.
    fn layer(&mut self, module: &str, shape: &[usize], bias: bool) {
        self.weight(module, shape);
        if bias {
            self.push(format!("{module}.bias"), &shape[..1], Initial::Zeros);
        }
    }
}
