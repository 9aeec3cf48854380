//! The student's training forward and its backward, block by block.
//!
//! Only each block's input is kept. The backward goes from the last block to the first: it runs one block
//! again on the autodiff device from its kept input, takes the vector-Jacobian product with the gradient that
//! arrived, collects the gradients of that block's adapter and goes on with the gradient of its input. At any
//! time the graph of a single block exists. Frozen weights are plain tensors, so nothing can give them a
//! gradient.

use crate::adapter::{ActiveAdapter, Adapter, BlockAdapter, BlockLora, DropoutPair};
use crate::dropout::Dropout;
use crate::layers::indices;
use crate::model::{Model, Packed, split_rows};
use crate::vision::{VisionPlan, lora};
use burn::tensor::Tensor;
use vigos_processor::ImagePatches;

/// What a training forward keeps for its backward.
#[derive(Debug)]
pub struct Trace {
    /// Inputs of the vision blocks and, last, of the merger, and where the patches went; nothing without images
    /// or vision adapters.
    vision: Option<(Vec<Tensor<2>>, VisionPlan)>,
    /// Inputs of the decoder layers and, last, of the final norm.
    text: Vec<Tensor<2>>,
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
        let mut trace = Trace { vision: None, text: Vec::new() };
        // A tower with deepstack has no layer that can carry an adapter (see `adapter::sites`), so it is never
        // traced: the backward knows the gradient of the image tokens alone, not of features of earlier blocks.
        let adapts_vision = adapter.adapter.vision.iter().any(|pairs| !pairs.is_empty());
        let features = if images.is_empty() || !adapts_vision {
            self.encode_images(images, Some(adapter))
        } else {
            let mut inputs: Vec<Tensor<2>> = Vec::new();
            let (features, plan) = self.vision_forward(images, Some(adapter), &mut inputs);
            let features = split_rows(features, &plan.tokens);
            trace.vision = Some((inputs, plan));
            features
        };
        let hidden = self.forward(packed, &features, Some(adapter), &mut trace.text);
        (hidden, trace)
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
        // A batch without images leaves the vision adapters their zeros.
        let mut gradients = adapter.adapter.map(|_, t| t.zeros_like());
        let Trace { vision, mut text } = trace;

        let mut upstream = recompute(pop(&mut text), upstream, None, |x, _| self.text.norm.forward(x)).0;
        for (i, layer) in self.text.layers.iter().enumerate().rev() {
            (upstream, gradients.text[i]) =
                recompute(pop(&mut text), upstream, Some(adapter.text(i)), |x, lora| {
                    layer.forward(x, &packed.rotary, &packed.segments, lora).0
                });
        }

        let Some((mut vision, plan)) = vision else { return gradients };
        let dropout = ordered_dropout(Some(adapter), &plan);
        let adapter = with_dropout(Some(adapter), dropout.as_ref());
        let image_rows = packed.image_rows.iter().cloned().flatten();
        let upstream = upstream.select(0, indices(image_rows, &self.device));
        let mut upstream = recompute(pop(&mut vision), upstream, None, |x, _| self.vision.merge(x, &plan)).0;
        for (i, block) in self.vision.blocks.iter().enumerate().rev() {
            (upstream, gradients.vision[i]) =
                recompute(pop(&mut vision), upstream, lora(adapter, i), |x, lora| {
                    block.forward(x, &plan, lora)
                });
        }
        gradients
    }
}

/// Runs `forward` again under autodiff and pulls `upstream` back through it: the gradients of its input and
/// of its adapter.
fn recompute(
    input: Tensor<2>,
    upstream: Tensor<2>,
    lora: Option<BlockLora>,
    forward: impl Fn(Tensor<2>, Option<BlockLora>) -> Tensor<2>,
) -> (Tensor<2>, BlockAdapter) {
    let input = Tensor::from_inner(input).require_grad();
    let tracked: BlockAdapter = lora
        .iter()
        .flat_map(|lora| lora.pairs)
        .map(|(&projection, pair)| (projection, pair.map(|t| Tensor::from_inner(t.clone()).require_grad())))
        .collect();
    let output = forward(input.clone(), lora.map(|lora| lora.with_pairs(&tracked)));
    let mut gradients = (output * Tensor::from_inner(upstream)).sum().backward();
    let mut take = |leaf: &Tensor<2>| {
        leaf.grad_remove(&mut gradients).unwrap_or_else(|| leaf.clone().inner().zeros_like())
    };
    let adapter = tracked.iter().map(|(&projection, pair)| (projection, pair.map(&mut take))).collect();
    (take(&input), adapter)
}

fn pop(inputs: &mut Vec<Tensor<2>>) -> Tensor<2> {
    inputs.pop().expect("a trace holds one input for each block")
}

/// The adapter's dropout with the vision rows in window order.
pub(crate) fn ordered_dropout(adapter: Option<ActiveAdapter>, plan: &VisionPlan) -> Option<DropoutPair> {
    let dropout = adapter?.dropout?;
    let vision: Dropout = plan.order_dropout(&dropout.vision);
    Some(DropoutPair { vision, text: dropout.text.clone() })
}

/// The same adapter with another dropout.
pub(crate) fn with_dropout<'a>(
    adapter: Option<ActiveAdapter<'a>>,
    dropout: Option<&'a DropoutPair>,
) -> Option<ActiveAdapter<'a>> {
    adapter.map(|a| ActiveAdapter { adapter: a.adapter, dropout })
}
