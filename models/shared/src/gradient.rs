//! The ways back: what a training forward keeps, and gradients by name.

use burn::tensor::Tensor;
use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::{self, Debug, Formatter};

/// Gradients by the names of what they are of.
pub type Gradients = BTreeMap<String, Tensor<2>>;

/// The gradient of a loss with respect to what the model gives.
#[derive(Clone, Debug)]
pub struct Upstream {
    /// Of the hidden states after the final norm. `[T, D]`
    pub hidden: Tensor<2>,
    /// Of the head's weight. `[V, D]`
    pub head: Tensor<2>,
}

/// What a training forward keeps of each block for its backward. The gradients of an adapter are the same to the last
/// bit, those of all weights within rounding: one that is frozen for the forward may be multiplied in another order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// Its input; the backward runs the block again, and only the graph of one block exists at a time.
    #[default]
    Inputs,
    /// Its graph, with all activations: no block runs twice.
    Graphs,
}

/// What a training forward keeps for its backward. What that is, only the model's family knows.
pub struct Trace(Box<dyn Any + Send + Sync>);

impl Trace {
    /// Wraps what a family keeps.
    pub fn new(kept: impl Any + Send + Sync) -> Self {
        Self(Box::new(kept))
    }

    /// What was wrapped.
    ///
    /// # Panics
    /// If it is the trace of another family's model.
    pub fn into_kept<T: Any>(self) -> T {
        *self.0.downcast().expect("a trace goes back through the model that it came from")
    }
}

impl Debug for Trace {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.debug_struct("Trace").finish_non_exhaustive()
    }
}

/// Pulls `upstream` back through the graph of `output`: the gradients of its leaves go to `gradients`.
pub fn vector_jacobian(
    output: Tensor<2>,
    upstream: Tensor<2>,
    leaves: Vec<(String, Tensor<2>)>,
    gradients: &mut Gradients,
) {
    let mut found = (output * Tensor::from_inner(upstream)).sum().backward();
    gradients.extend(leaves.into_iter().map(|(name, leaf)| {
        let gradient = leaf.grad_remove(&mut found).unwrap_or_else(|| leaf.inner().zeros_like());
        (name, gradient)
    }));
}
