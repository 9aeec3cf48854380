//! The language model: a decoder with grouped-query attention and M-RoPE.
//!
//! `T` packed tokens, `D` width, `H`/`Hkv` query and key/value heads, `C` head width, `V` vocabulary.

use crate::config::{Config, TextConfig};
use crate::names::{EMBEDDINGS, HEAD};
use burn::tensor::Tensor;
use vigos_kernels::{NewToken, Segments, attention};
use vigos_models::adapter::BlockLora;
use vigos_models::cache::{KeyValue, LayerCache};
use vigos_models::layers::{GatedMlp, Linear};
use vigos_models::norms::RmsNorm;
use vigos_models::rotary::Rotary;
use vigos_models::source::Source;
use vigos_models::{ModelError, Projection};

/// The frozen language model.
#[derive(Clone, Debug)]
pub struct LanguageModel {
    /// `[V, D]`
    pub embeddings: Tensor<2>,
    /// The layers, first to last.
    pub layers: Vec<DecoderLayer>,
    /// The norm before the head.
    pub norm: RmsNorm,
    /// `[V, D]`, the embeddings themselves when tied.
    pub head: Tensor<2>,
}

/// One decoder layer.
#[derive(Clone, Debug)]
pub struct DecoderLayer {
    input_norm: RmsNorm,
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    /// Norms of every query and of every key head.
    head_norms: Option<[RmsNorm; 2]>,
    post_norm: RmsNorm,
    mlp: GatedMlp,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
}

impl LanguageModel {
    /// Reads the language model.
    ///
    /// # Errors
    /// If a tensor is missing or cannot be read.
    pub fn load(config: &Config, source: &impl Source) -> Result<Self, ModelError> {
        let text = &config.text;
        let shape = [text.vocab_size, text.hidden_size];
        let embeddings = source.matrix(EMBEDDINGS, shape)?;
        let head =
            if config.tie_word_embeddings { embeddings.clone() } else { source.matrix(HEAD, shape)? };
        let layers = (0..text.num_hidden_layers)
            .map(|i| DecoderLayer::load(text, i, source))
            .collect::<Result<_, _>>()?;
        Ok(Self { embeddings, layers, norm: Self::load_norm(text, source)?, head })
    }

    /// Reads the norm before the head.
    ///
    /// # Errors
    /// If its tensor is missing or cannot be read.
    pub(crate) fn load_norm(config: &TextConfig, source: &impl Source) -> Result<RmsNorm, ModelError> {
        RmsNorm::load(source, "model.norm", config.hidden_size, config.rms_norm_eps)
    }
}

impl DecoderLayer {
    pub(crate) fn load(config: &TextConfig, layer: usize, source: &impl Source) -> Result<Self, ModelError> {
        let at = |name: &str| format!("model.layers.{layer}.{name}");
        let d = config.hidden_size;
        let (q, kv) =
            (config.num_attention_heads * config.head_dim, config.num_key_value_heads * config.head_dim);
        let head_norm = |name| RmsNorm::load(source, &at(name), config.head_dim, config.rms_norm_eps);
        let head_norms = match config.qk_norm {
            true => Some([head_norm("self_attn.q_norm")?, head_norm("self_attn.k_norm")?]),
            false => None,
        };
        Ok(Self {
            input_norm: RmsNorm::load(source, &at("input_layernorm"), d, config.rms_norm_eps)?,
            query: Linear::load(source, &at("self_attn.q_proj"), [q, d], config.qkv_bias)?,
            key: Linear::load(source, &at("self_attn.k_proj"), [kv, d], config.qkv_bias)?,
            value: Linear::load(source, &at("self_attn.v_proj"), [kv, d], config.qkv_bias)?,
            output: Linear::load(source, &at("self_attn.o_proj"), [d, q], false)?,
            head_norms,
            post_norm: RmsNorm::load(source, &at("post_attention_layernorm"), d, config.rms_norm_eps)?,
            mlp: GatedMlp::load(source, &at("mlp"), d, config.intermediate_size, false)?,
            heads: config.num_attention_heads,
            kv_heads: config.num_key_value_heads,
            head_dim: config.head_dim,
        })
    }

    /// A whole packed batch, causal within each segment.
    ///
    /// # Shapes
    /// - `x` and output: `[T, D]`
    pub fn forward(
        &self,
        x: Tensor<2>,
        rotary: &Rotary,
        segments: &Segments,
        lora: Option<BlockLora>,
    ) -> (Tensor<2>, KeyValue) {
        let [query, key, value] = self.project(x.clone(), lora);
        let kv = KeyValue { key: rotary.rotate(key), value };
        let attended = attention(rotary.rotate(query), kv.key.clone(), kv.value.clone(), segments, true);
        (self.finish(x, attended, lora), kv)
    }

    /// One new token for each sequence of a cache.
    ///
    /// # Shapes
    /// - `x` and output: `[B, D]`
    pub fn decode(
        &self,
        x: Tensor<2>,
        rotary: &Rotary,
        cache: &mut LayerCache,
        lora: Option<BlockLora>,
    ) -> Tensor<2> {
        let [query, key, value] = self.project(x.clone(), lora);
        let attended = cache.attend(NewToken { query, key, value, rotary: rotary.tables() });
        self.finish(x, attended, lora)
    }

    /// Queries, keys and values of the normed input, before the rotary embedding. `[T, heads, C]`
    fn project(&self, x: Tensor<2>, lora: Option<BlockLora>) -> [Tensor<3>; 3] {
        let rows = x.dims()[0];
        let x = self.input_norm.forward(x);
        let heads = |linear: &Linear, projection, heads| {
            linear.adapted(x.clone(), projection, lora).reshape([rows, heads, self.head_dim])
        };
        let mut query = heads(&self.query, Projection::Query, self.heads);
        let mut key = heads(&self.key, Projection::Key, self.kv_heads);
        let value = heads(&self.value, Projection::Value, self.kv_heads);
        if let Some([query_norm, key_norm]) = &self.head_norms {
            (query, key) = (query_norm.forward_heads(query), key_norm.forward_heads(key));
        }
        [query, key, value]
    }

    /// Output projection and MLP, both residual.
    fn finish(&self, x: Tensor<2>, attended: Tensor<2>, lora: Option<BlockLora>) -> Tensor<2> {
        let x = self.output.adapted_onto(x, attended, Projection::Output, lora);
        self.mlp.onto(x.clone(), self.post_norm.forward(x), lora)
    }
}
