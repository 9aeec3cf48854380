//! The training forward and its backward, block by block.
//!
//! The backward goes from the last block to the first: it takes the vector-Jacobian product of one block with the
//! gradient that arrived, collects the gradients of what is trained in that block and goes on with the gradient of its
//! input. Either only each block's input is kept, the block runs again on the autodiff device, and at any time the graph
//! of a single block exists; or the forward runs the blocks there in the first place, and their graphs are kept.
//!
//! What is trained is either an adapter beside a frozen base ([`Model::backward`]), whose tensors are plain so
//! that nothing can give them a gradient, or every weight ([`Model::backward_all`]). The way through the
//! model is the same; a `Recompute` says which tensors of a module are leaves.

use crate::deepstack::Deepstack;
use crate::model::Model;
use crate::names::EMBEDDINGS;
use crate::recompute::{AdapterLeaves, AllLeaves, Kept, Module, Recompute};
use crate::vision::VisionPlan;
use burn::tensor::{IndexingUpdateOp, Int, Tensor};
use vigos_models::gradient::{Gradients, Keep, Trace, Upstream};
use vigos_models::rows::{indices, split_rows};
use vigos_models::{ActiveAdapter, Adapter, Packed, Parameters, phase};
use vigos_processor::ImagePatches;

/// What a training forward keeps for its backward.
#[derive(Debug)]
struct ModelTrace {
    /// Nothing without images, or where nothing is trained in the vision tower.
    vision: Option<VisionTrace>,
    /// Of the decoder layers and, last, of the final norm.
    text: Vec<Kept>,
}

#[derive(Debug)]
struct VisionTrace {
    /// `[N, channels·frames·patch²]`
    patches: Tensor<2>,
    /// Of the blocks and, last, of the merger.
    blocks: Vec<Kept>,
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
        keep: Keep,
    ) -> (Tensor<2>, Trace) {
        // A tower with deepstack has no layer that can carry an adapter (see `architecture.rs`), so it is never
        // traced for one.
        let (mut features, mut vision) = (Vec::new(), None);
        if adapter.adapter.vision.iter().any(|pairs| !pairs.is_empty()) && !images.is_empty() {
            let _image = phase!(&self.device, "image");
            let plan = self.vision_plan(images);
            let ordered = plan.order_dropout(Some(adapter));
            let adapter = ActiveAdapter { adapter: adapter.adapter, dropout: ordered.as_ref() };
            let modules = AdapterLeaves { model: self, adapter };
            let (encoded, trace) = self.vision_traced(&modules, Some(adapter), images, plan, keep);
            features = split_rows(encoded, &trace.plan.tokens);
            vision = Some(trace);
        } else if !images.is_empty() {
            features = self.encode_images(images, Some(adapter));
        }
        let modules = AdapterLeaves { model: self, adapter };
        let (hidden, text) = self.text_traced(&modules, Some(adapter), packed, &features, keep);
        (hidden, Trace::new(ModelTrace { vision, text }))
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
        let ModelTrace { vision, text } = trace.into_kept();
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

    /// The vision tower's forward, and what is kept of it. `modules` are those of the adapter, if there is one.
    fn vision_traced(
        &self,
        modules: &impl Recompute,
        adapter: Option<ActiveAdapter>,
        images: &[&ImagePatches],
        plan: VisionPlan,
        keep: Keep,
    ) -> (Tensor<2>, VisionTrace) {
        let patches = self.patches(images);
        let mut blocks = Vec::new();
        let mut hidden = self.vision.embed(patches.clone(), &plan);
        let mut deepstack = Vec::new();
        for (i, block) in self.vision.blocks.iter().enumerate() {
            hidden = match keep {
                Keep::Inputs => {
                    blocks.push(Kept::Input(hidden.clone()));
                    block.forward(hidden, &plan, adapter.map(|a| a.vision(i)))
                }
                Keep::Graphs => {
                    let run = modules.run(Module::Block(i, &plan), hidden);
                    let output = run.output();
                    blocks.push(Kept::Run(run));
                    output
                }
            };
            deepstack.extend(self.vision.deepstack(i, &hidden, &plan));
        }
        blocks.push(Kept::Input(hidden.clone()));
        let mut features = vec![self.vision.merge(hidden, &plan)];
        features.extend(deepstack);
        (Tensor::cat(features, 1), VisionTrace { patches, blocks, plan })
    }

    /// The language model's forward, and what is kept of it.
    fn text_traced(
        &self,
        modules: &impl Recompute,
        adapter: Option<ActiveAdapter>,
        packed: &Packed,
        features: &[Tensor<2>],
        keep: Keep,
    ) -> (Tensor<2>, Vec<Kept>) {
        if keep == Keep::Inputs {
            let mut inputs: Vec<Tensor<2>> = Vec::new();
            let hidden = self.forward(packed, features, adapter, &mut inputs);
            return (hidden, inputs.into_iter().map(Kept::Input).collect());
        }
        let deepstack = Deepstack::new(packed, features, self.config.text.hidden_size, &self.device);
        let mut hidden = self.embed(packed, features);
        let mut kept = Vec::new();
        for layer in 0..self.text.layers.len() {
            let run = modules.run(Module::Layer(layer, packed), hidden);
            hidden = match &deepstack {
                Some(deepstack) => deepstack.add(layer, run.output()),
                None => run.output(),
            };
            kept.push(Kept::Run(run));
        }
        kept.push(Kept::Input(hidden.clone()));
        (self.text.norm.forward(hidden), kept)
    }
}

/// Training of every weight. The model is a frozen copy of them.
impl Model {
    /// The forward with what [`Model::backward_all`] needs.
    ///
    /// # Shapes
    /// - output: `[T, D]` after the final norm
    pub fn forward_traced_all(
        &self,
        weights: &Parameters,
        packed: &Packed,
        images: &[&ImagePatches],
        keep: Keep,
    ) -> (Tensor<2>, Trace) {
        let modules = AllLeaves { model: self, parameters: weights };
        let (mut features, mut vision) = (Vec::new(), None);
        if !images.is_empty() {
            let _image = phase!(&self.device, "image");
            let plan = self.vision_plan(images);
            let (encoded, trace) = self.vision_traced(&modules, None, images, plan, keep);
            features = split_rows(encoded, &trace.plan.tokens);
            vision = Some(trace);
        }
        let (hidden, text) = self.text_traced(&modules, None, packed, &features, keep);
        (hidden, Trace::new(ModelTrace { vision, text }))
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
        let ModelTrace { vision, text } = trace.into_kept();
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
            let patches = Kept::Input(vision.patches);
            modules.pull_back(Module::Patches(&vision.plan), patches, first, &mut gradients);
        }
        weights.with_head(gradients, head)
    }
}

/// From the final norm back to the embeddings. `behind` sees the gradient of every layer's output.
fn through_text(
    modules: &impl Recompute,
    packed: &Packed,
    mut kept: Vec<Kept>,
    upstream: Tensor<2>,
    behind: &mut dyn FnMut(usize, &Tensor<2>),
    gradients: &mut Gradients,
) -> Tensor<2> {
    let mut upstream = modules.pull_back(Module::FinalNorm, pop(&mut kept), upstream, gradients);
    while let Some(input) = kept.pop() {
        let layer = kept.len();
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
    let merger = pop(&mut trace.blocks);
    let mut output = merger.input();
    let mut upstream = modules.pull_back(Module::Merger(plan), merger, features, gradients);
    while let Some(kept) = trace.blocks.pop() {
        let block = trace.blocks.len();
        let merged = modules.model().config.vision.deepstack_of(block);
        if let Some((k, added)) = merged.and_then(|k| Some((k, added.get(k)?))) {
            let (module, output) = (Module::Deepstack(k, plan), Kept::Input(output));
            upstream = upstream + modules.pull_back(module, output, added.clone(), gradients);
        }
        output = kept.input();
        upstream = modules.pull_back(Module::Block(block, plan), kept, upstream, gradients);
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

fn pop(kept: &mut Vec<Kept>) -> Kept {
    kept.pop().expect("a trace holds one entry for each block")
}
