//! Full training with one graph over the whole model: no block runs twice, and all activations are kept.
//!
//! The gradients are those of the block-by-block backward ([`Parameters::backward`]), which needs the memory of one
//! block's graph and about a quarter more time.

use crate::backward::Upstream;
use crate::model::{Model, Packed};
use crate::parameters::{COMPLETE, Leaves, Parameters};
use crate::parts::{Gradients, pull};
use burn::tensor::{DType, Tensor};
use vigos_processor::ImagePatches;

/// A forward with its graph.
#[derive(Debug)]
pub struct Graph<'a> {
    parameters: &'a Parameters,
    leaves: Vec<(String, Tensor<2>)>,
    hidden: Tensor<2>,
}

impl<'a> Graph<'a> {
    /// The forward of the model of these weights; `model` is a frozen copy of them.
    pub fn forward(
        parameters: &'a Parameters,
        model: &Model,
        packed: &Packed,
        images: &[&ImagePatches],
    ) -> Self {
        let leaves = Leaves::new(parameters);
        let tracked =
            Model::assemble(parameters.config(), &leaves, &model.device, DType::F32).expect(COMPLETE);
        let features = tracked.encode_images(images, None);
        let hidden = tracked.forward(packed, &features, None, &mut ());
        Self { parameters, leaves: leaves.given(), hidden }
    }

    /// The hidden states after the final norm. `[T, D]`
    pub fn hidden(&self) -> Tensor<2> {
        self.hidden.clone().inner()
    }

    /// The gradient of every weight, given the gradients of the hidden states and of the head.
    pub fn backward(self, upstream: Upstream) -> Parameters {
        let mut gradients = Gradients::new();
        pull(self.hidden, upstream.hidden, self.leaves, &mut gradients);
        self.parameters.with_head(gradients, upstream.head)
    }
}
