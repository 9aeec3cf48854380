//! What the parts of a model take of a device's memory, in bytes.
//!
//! Weights and caches are counted. Activations are upper bounds of what is alive at once, as a number of values for
//! each row that goes through a block: they were counted on the CPU backend, and tests hold them against what is
//! allocated there. Other backends may fuse operators, which takes less, or keep freed memory in pools, which takes
//! more.
//!
//! `w` is the size of an activation: 4 in f32, 2 in bf16. `D` width, `Q` and `K` width of all query and
//! of all key heads, `F` width of the MLP; of the vision tower `W` stands for `D`, `Q` and `K`.

use crate::architecture::{Architecture, Parameter};
use crate::layers::MLP_ROWS;
use crate::lora::Placement;
use crate::source::Kept;
use burn::tensor::DType;

/// A model's shape, and the precision that it is computed in.
#[derive(Clone, Copy, Debug)]
pub struct Footprint<'a> {
    model: &'a Architecture,
    kept: Kept,
    /// `w`
    width: u64,
}

/// The widths that a block's activations have.
struct Block {
    residual: u64,
    query: u64,
    key: u64,
    inner: u64,
}

/// Values of an adapter: `rank · (in + out)` of every layer that carries an update, whose ranks may differ.
pub fn adapter_values(placements: &[Placement]) -> u64 {
    let values = |p: &Placement| product(&[n(p.rank), n(p.site.input).saturating_add(n(p.site.output))]);
    placements.iter().map(values).fold(0, u64::saturating_add)
}

/// A whole number of things as a factor of bytes.
fn n(count: usize) -> u64 {
    count as u64
}

/// The product, or the largest number there is: sizes come from files.
fn product(factors: &[u64]) -> u64 {
    factors.iter().fold(1, |product, factor| product.saturating_mul(*factor))
}

impl<'a> Footprint<'a> {
    /// This model with weights and activations in these formats.
    pub fn new(model: &'a Architecture, kept: impl Into<Kept>) -> Self {
        let kept = kept.into();
        Self { model, kept, width: n(kept.activations().size()) }
    }

    /// How the weights are kept, in words.
    pub fn formats(&self) -> String {
        let plain = self.kept.weights.size();
        match self.kept.quantised {
            None => format!("{plain} bytes"),
            Some(bits) => {
                format!("{plain} bytes, those of the decoder layers' products in {} bits", bits.bits())
            }
        }
    }

    /// Number of the model's parameters.
    pub fn parameters(&self) -> u64 {
        self.model.values()
    }

    /// The weights, each as it is kept.
    pub fn weights(&self) -> u64 {
        self.model.parameters.iter().map(|p| self.bytes(p)).fold(0, u64::saturating_add)
    }

    /// Bytes of a parameter.
    fn bytes(&self, parameter: &Parameter) -> u64 {
        let plain = |dtype: DType| product(&[parameter.values(), n(dtype.size())]);
        match (parameter.shape.as_slice(), self.kept.quantised) {
            ([_], _) => plain(self.kept.activations()),
            ([outputs, inputs], Some(bits)) if self.is_in_layer(parameter) => bits.bytes([*outputs, *inputs]),
            _ => plain(self.kept.weights),
        }
    }

    fn is_in_layer(&self, parameter: &Parameter) -> bool {
        parameter.name.starts_with(self.model.names.layers)
    }

    /// What loading takes beside the weights: one tensor as it is stored, in f32 at most. Embeddings and head are
    /// read before the decoder layers, when most weights are not there yet.
    pub fn loading(&self) -> u64 {
        let text = &self.model.text;
        let layers = self.model.parameters.iter().filter(|p| self.is_in_layer(p));
        let (in_layers, largest) = layers.fold((0, 0), |(sum, max): (u64, u64), p| {
            (sum.saturating_add(self.bytes(p)), max.max(p.values()))
        });
        let embeddings = product(&[n(text.vocab_size), n(text.hidden_size), 4]);
        let early = embeddings.saturating_sub(in_layers);
        // As it is stored, and where it is quantised also in f32.
        let copies = if self.kept.quantised.is_some() { 8 } else { 4 };
        early.max(product(&[largest, copies]))
    }

    /// Keys and values of `tokens` tokens: `layers · 2 · K · tokens · w`.
    pub fn keys_and_values(&self, tokens: u64) -> u64 {
        product(&[n(self.model.text.num_hidden_layers), 2, self.text_block().key, tokens, self.width])
    }

    /// One layer's keys and values in f32, as a decoding step computes with them where `w` is 2.
    pub fn decoding(&self, tokens: u64) -> u64 {
        if self.width == 4 { 0 } else { product(&[self.text_block().key, tokens, 2 + 4]) }
    }

    /// Images of `tokens` tokens on the host, as the vision tower reads them: patches in f32.
    pub fn patches(&self, tokens: u64) -> u64 {
        let vision = &self.model.vision;
        product(&[tokens, n(vision.merge_unit()), n(vision.patch_values()), 4])
    }

    /// Features of images of `tokens` tokens, deepstack included: `tokens · (1 + deepstack) · D · w`.
    pub fn features(&self, tokens: u64) -> u64 {
        let rows = n(self.model.vision.rows_per_token);
        product(&[tokens, rows, n(self.model.text.hidden_size), self.width])
    }

    /// A forward pass of images of `tokens` tokens through the vision tower; `adapted` with an adapter.
    pub fn vision_forward(&self, tokens: u64, adapted: bool) -> u64 {
        let rows = self.patch_rows(tokens);
        // Pixels come in f32, and once more in the model's precision if that is another.
        let vision = &self.model.vision;
        let cast = if self.width == 4 { 0 } else { self.width };
        let patch = n(vision.patch_values()) * (4 + cast) + 16 * n(vision.hidden_size);
        let pixels = product(&[rows, patch]);
        let block = product(&[rows, self.vision_block().vision_forward(self.width, adapted)]);
        pixels.max(block).saturating_add(self.features(tokens))
    }

    /// A forward pass of `tokens` packed tokens through the language model, in attention or in the MLP: what stands between
    /// a block's input and its output, some of it in f32 whatever `w`; `adapted` with an adapter.
    pub fn text_forward(&self, tokens: u64, adapted: bool) -> u64 {
        let (block, w) = (self.text_block(), self.width);
        let attention = product(&[tokens, w * block.residual + 24 * block.query + 2 * w * block.key]);
        // In parts, which are put together at the end.
        let together = tokens.min(n(MLP_ROWS));
        let copies = if together < tokens { 4 } else { 2 };
        let around = product(&[tokens, copies * w * block.residual]);
        attention.max(around.saturating_add(product(&[together, block.mlp(w, adapted, block.inner)])))
    }

    /// What a training forward keeps for its backward: the input of every block and of the final norm.
    pub fn kept(&self, tokens: u64, image_tokens: u64) -> u64 {
        let (text, vision) = (&self.model.text, &self.model.vision);
        let language = product(&[tokens, n(text.num_hidden_layers) + 1, n(text.hidden_size), self.width]);
        let rows = self.patch_rows(image_tokens);
        language.saturating_add(product(&[rows, n(vision.depth) + 1, n(vision.hidden_size), self.width]))
    }

    /// The graph of one decoder layer with its adapter and its gradients, for `tokens` packed tokens.
    pub fn text_graph(&self, tokens: u64) -> u64 {
        product(&[tokens, self.text_block().text_graph(self.width)])
    }

    /// The graph of one vision block, for images of `tokens` tokens.
    pub fn vision_graph(&self, tokens: u64) -> u64 {
        product(&[self.patch_rows(tokens), self.vision_block().vision_graph(self.width)])
    }

    /// The graphs of all blocks, kept from a training forward to its backward, for `tokens` packed tokens and images of
    /// `image_tokens`.
    pub fn kept_graphs(&self, tokens: u64, image_tokens: u64) -> u64 {
        let (text, vision) = (&self.model.text, &self.model.vision);
        let block = self.text_block().kept_graph(self.width);
        let language = product(&[tokens, n(text.num_hidden_layers), block]);
        let block = self.vision_block().kept_graph(self.width);
        language.saturating_add(product(&[self.patch_rows(image_tokens), n(vision.depth), block]))
    }

    /// `rows` rows of logits of a decoding step: as computed, in f32, and on the host.
    pub fn logits(&self, rows: u64) -> u64 {
        product(&[rows, n(self.model.text.vocab_size), self.width + 4 + 4])
    }

    /// Hidden states of `tokens` tokens: `tokens · D · w`.
    pub fn hidden(&self, tokens: u64) -> u64 {
        product(&[tokens, n(self.model.text.hidden_size), self.width])
    }

    /// The gradient that goes back through the blocks: in f32 where the loss ends, then in the model's precision.
    pub fn gradient(&self, tokens: u64) -> u64 {
        product(&[tokens, n(self.model.text.hidden_size), 4 + self.width])
    }

    /// The loss of `rows` supervised tokens of a batch of `tokens`: a chunk of both models' logits, of up to `chunk`
    /// bytes in f32; the rows that they are made of; and the gradient of the hidden states.
    pub fn loss(&self, tokens: u64, rows: u64, chunk: u64) -> u64 {
        let row = product(&[2, n(self.model.text.vocab_size), 4]).max(1);
        let rows = rows.min((chunk / row).max(1));
        let logits = product(&[rows, 2, n(self.model.text.vocab_size), self.width]);
        logits.saturating_add(self.hidden(tokens)).saturating_add(self.gradient(tokens))
    }

    fn patch_rows(&self, tokens: u64) -> u64 {
        tokens.saturating_mul(n(self.model.vision.merge_unit()))
    }

    fn text_block(&self) -> Block {
        let text = &self.model.text;
        Block {
            residual: n(text.hidden_size),
            query: n(text.num_attention_heads * text.head_dim),
            key: n(text.num_key_value_heads * text.head_dim),
            inner: n(text.intermediate_size),
        }
    }

    fn vision_block(&self) -> Block {
        let vision = &self.model.vision;
        let width = n(vision.hidden_size);
        Block { residual: width, query: width, key: width, inner: n(vision.intermediate_size) }
    }
}

impl Block {
    /// Bytes for each row of a forward pass of the vision tower, whose queries, keys and values are one tensor, in attention
    /// or in the MLP: what stands between its input and its output, some of it in f32 whatever `w`.
    fn vision_forward(&self, w: u64, adapted: bool) -> u64 {
        let Self { residual, inner, .. } = self;
        let attention = (24 + 6 * w) * residual;
        attention.max(6 * w * residual + self.mlp(w, adapted, *inner))
    }

    fn mlp(&self, w: u64, adapted: bool, inner: u64) -> u64 {
        (12 + if adapted { w } else { 0 }) * inner
    }

    /// Bytes for each row of a decoder layer's graph where its backward is in attention or in the MLP. In f32 the CPU's
    /// operators keep little more than their inputs; in less a product with the adapter has copies in f32.
    fn text_graph(&self, w: u64) -> u64 {
        let Self { residual, query, inner, .. } = self;
        let attention = 24 * residual + 36 * query;
        if w == 4 {
            // In the MLP's backward: gate, up, what dropout left of their product, and the gradients of two.
            return attention.max(36 * residual + 20 * inner);
        }
        attention.max((48 + 2 * w) * residual + (27 + 2 * w) * inner)
    }

    /// The same of a vision block, of which only the MLP carries an adapter.
    fn vision_graph(&self, w: u64) -> u64 {
        let Self { residual, inner, .. } = self;
        if w == 4 {
            return (40 * residual).max(8 * residual + 20 * inner);
        }
        (16 * residual).max(8 * residual + (27 + 2 * w) * inner)
    }

    /// Bytes for each row of a block's graph between forward and backward: its input, both norms, queries and keys before
    /// and behind their rotation, values, attention's output, the MLP's three wide activations.
    fn kept_graph(&self, w: u64) -> u64 {
        let Self { residual, query, key, inner } = self;
        w.saturating_mul(6 * residual + 3 * query + 3 * key + 3 * inner)
    }
}
