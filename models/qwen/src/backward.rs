//! The training forward and its backward, block by block.
//!
//! Only each block's input is kept. The backward goes from the last block to the first: it runs one block
//! again on the autodiff device from its kept input, takes the vector-Jacobian product with the gradient that
//! arrived, collects the gradients of what is trained in that block and goes on with the gradient of its
//! input. At any time the graph of a single block exists.
//!
//! What is trained is either an adapter beside a frozen base ([`Model::backward`]), whose tensors are plain so
//! that nothing can give them a gradient, or every weight ([`Model::backward_all`]). The way through the
//! model is the same; a `Recompute` says which tensors of a module are leaves.

use crate::model::{Model, QwenConfig};
use crate::names::EMBEDDINGS;
use crate::recompute::{AdapterLeaves, AllLeaves, Module, Recompute};
use crate::vision::VisionPlan;
use burn::tensor::{DType, IndexingUpdateOp, Int, Tensor};
use vigos_models::gradient::{Gradients, Graph, Trace, Upstream};
use vigos_models::parameters::{COMPLETE, Leaves};
use vigos_models::rows::{indices, split_rows};
use vigos_models::{ActiveAdapter, Adapter, Packed, Parameters};
use vigos_processor::ImagePatches;

/// What a training forward keeps for its backward.
#[derive(Debug)]
struct Kept {
    /// Nothing without images, or where nothing is trained in the vision tower.
    vision: Option<VisionTrace>,
    /// Inputs of the decoder layers and, last, of the final norm.
    text: Vec<Tensor<2>>,
}

#[derive(Debug)]
struct VisionTrace {
    /// `[N, channels·frames·patch²]`
    patches: Tensor<2>,
    /// Inputs of the blocks and, last, of the merger.
    inputs: Vec<Tensor<2>>,
    plan: VisionPlan,
}

impl Model {
    /// The student's forward for training.
    ///
    /// # Shapes
    /// - output: `[T, D]` after the final norm, with what [`Model::backward`] needs
    pub fn forward_traced(
        &self,
        packed: &Packed,
        images: &[&ImagePatches],
        adapter: ActiveAdapter,
    ) -> (Tensor<2>, Trace) {
        // A tower with deepstack has no layer that can carry an adapter (see `architecture.rs`), so it is never
        // traced for one.
        let adapts_vision = adapter.adapter.vision.iter().any(|pairs| !pairs.is_empty());
        if adapts_vision {
            return self.traced(packed, images, Some(adapter));
        }
        let features = self.encode_images(images, Some(adapter));
        let mut text = Vec::new();
        let hidden = self.forward(packed, &features, Some(adapter), &mut text);
        (hidden, Trace::new(Kept { vision: None, text }))
    }

    /// The gradient of every tensor of the adapter, given the gradient of the hidden states.
    ///
    /// # Shapes
    /// - `upstream`: `[T, D]`, ∂loss/∂(output of [`Model::forward_traced`])
    ///
    /// # Panics
    /// If `trace` is not of the same batch and adapter.
    pub fn backward(
        &self,
        trace: Trace,
        upstream: Tensor<2>,
        packed: &Packed,
        adapter: ActiveAdapter,
    ) -> Adapter {
        let Kept { vision, text } = trace.into_kept();
        let ordered = vision.as_ref().and_then(|v| v.plan.order_dropout(Some(adapter)));
        let adapter =
            ActiveAdapter { adapter: adapter.adapter, dropout: ordered.as_ref().or(adapter.dropout) };
        let modules = AdapterLeaves { model: self, adapter };
        let mut gradients = Gradients::new();
        let upstream = through_text(&modules, packed, text, upstream, &mut |_, _| {}, &mut gradients);
        if let Some(mut vision) = vision {
            let features = upstream.select(0, image_rows(packed, self));
            through_vision(&modules, &mut vision, features, &[], &mut gradients);
        }
        // A batch without images leaves the vision adapters their zeros.
        adapter.adapter.map(|name, t| gradients.remove(name).unwrap_or_else(|| t.zeros_like()))
    }

    /// The forward with every block's input kept, the vision tower's too.
    fn traced(
        &self,
        packed: &Packed,
        images: &[&ImagePatches],
        adapter: Option<ActiveAdapter>,
    ) -> (Tensor<2>, Trace) {
        let (mut features, mut vision) = (Vec::new(), None);
        if !images.is_empty() {
            let (patches, plan) = (self.patches(images), self.vision_plan(images));
            let mut inputs: Vec<Tensor<2>> = Vec::new();
            let encoded = self.vision_forward(patches.clone(), &plan, adapter, &mut inputs);
            features = split_rows(encoded, &plan.tokens);
            vision = Some(VisionTrace { patches, inputs, plan });
        }
        let mut text = Vec::new();
        let hidden = self.forward(packed, &features, adapter, &mut text);
        (hidden, Trace::new(Kept { vision, text }))
    }
}

/// Training of every weight. The model is a frozen copy of them.
impl Model {
    /// The forward with what [`Model::backward_all`] needs.
    ///
    /// # Shapes
    /// - output: `[T, D]` after the final norm
    pub fn forward_traced_all(&self, packed: &Packed, images: &[&ImagePatches]) -> (Tensor<2>, Trace) {
        self.traced(packed, images, None)
    }

    /// The gradient of every weight, given the gradients of the hidden states and of the head.
    ///
    /// # Panics
    /// If `trace` is not of the same batch, or the model no frozen copy of `weights`.
    pub fn backward_all(
        &self,
        weights: &Parameters,
        trace: Trace,
        upstream: Upstream,
        packed: &Packed,
    ) -> Parameters {
        let Kept { vision, text } = trace.into_kept();
        let modules = AllLeaves { model: self, parameters: weights };
        let (config, rows) = (&self.config, image_rows(packed, self));
        let mut gradients = Gradients::new();

        // What the k-th deepstack merger gives is added to the image rows behind decoder layer k.
        let deepstack = config.vision.deepstack_visual_indexes.len();
        let mut added = Vec::new();
        let mut behind = |layer: usize, upstream: &Tensor<2>| {
            if layer < deepstack && vision.is_some() {
                added.push(upstream.clone().select(0, rows.clone()));
            }
        };
        let Upstream { hidden, head } = upstream;
        let embedded = through_text(&modules, packed, text, hidden, &mut behind, &mut gradients);
        // Seen from the last layer to the first.
        added.reverse();

        gradients.insert(EMBEDDINGS.into(), embedding_gradient(self, packed, &embedded));
        if let Some(mut vision) = vision {
            let features = embedded.select(0, rows);
            let first = through_vision(&modules, &mut vision, features, &added, &mut gradients);
            modules.pull_back(Module::Patches(&vision.plan), vision.patches, first, &mut gradients);
        }
        weights.with_head(gradients, head)
    }

    /// The forward with one graph over the whole model of these weights.
    pub fn graph<'a>(&self, weights: &'a Parameters, packed: &Packed, images: &[&ImagePatches]) -> Graph<'a> {
        let leaves = Leaves::new(weights);
        let config = QwenConfig { config: self.config.clone(), architecture: self.architecture.clone() };
        let tracked = Self::assemble(&config, &leaves, &self.device, DType::F32).expect(COMPLETE);
        let features = tracked.encode_images(images, None);
        let hidden = tracked.forward(packed, &features, None, &mut ());
        Graph::new(weights, leaves.given(), hidden)
    }
}

/// From the final norm back to the embeddings. `behind` sees the gradient of every layer's output.
fn through_text(
    modules: &impl Recompute,
    packed: &Packed,
    mut inputs: Vec<Tensor<2>>,
    upstream: Tensor<2>,
    behind: &mut dyn FnMut(usize, &Tensor<2>),
    gradients: &mut Gradients,
) -> Tensor<2> {
    let mut upstream = modules.pull_back(Module::FinalNorm, pop(&mut inputs), upstream, gradients);
    while let Some(input) = inputs.pop() {
        let layer = inputs.len();
        behind(layer, &upstream);
        upstream = modules.pull_back(Module::Layer(layer, packed), input, upstream, gradients);
    }
    upstream
}

/// From the image tokens, `[M, D]`, back to the input of the first block. `added` holds the gradient of what
/// each deepstack merger gives.
fn through_vision(
    modules: &impl Recompute,
    trace: &mut VisionTrace,
    features: Tensor<2>,
    added: &[Tensor<2>],
    gradients: &mut Gradients,
) -> Tensor<2> {
    let plan = &trace.plan;
    let mut output = pop(&mut trace.inputs);
    let mut upstream = modules.pull_back(Module::Merger(plan), output.clone(), features, gradients);
    while let Some(input) = trace.inputs.pop() {
        let block = trace.inputs.len();
        let merged = modules.model().config.vision.deepstack_of(block);
        if let Some((k, added)) = merged.and_then(|k| Some((k, added.get(k)?))) {
            upstream =
                upstream + modules.pull_back(Module::Deepstack(k, plan), output, added.clone(), gradients);
        }
        output = input.clone();
        upstream = modules.pull_back(Module::Block(block, plan), input, upstream, gradients);
    }
    upstream
}

/// The gradient of the token embeddings, `[V, D]`, from that of the first layer's input: rows of one token add
/// up, and those of images have no token.
fn embedding_gradient(model: &Model, packed: &Packed, embedded: &Tensor<2>) -> Tensor<2> {
    let rows = packed.text_rows();
    let ids = rows.iter().map(|row| packed.ids[*row] as usize);
    let (ids, rows) = (indices(ids, &model.device), indices(rows.iter().copied(), &model.device));
    let gradient = model.text.embeddings.zeros_like();
    gradient.select_assign(0, ids, embedded.clone().select(0, rows), IndexingUpdateOp::Add)
}

/// The rows of all image tokens of a batch, in order.
fn image_rows(packed: &Packed, model: &Model) -> Tensor<1, Int> {
    indices(packed.image_rows(), &model.device)
}

fn pop(inputs: &mut Vec<Tensor<2>>) -> Tensor<2> {
    inputs.pop().expect("a trace holds one input for each block")
}
