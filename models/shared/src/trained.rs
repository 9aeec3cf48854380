//! What an optimiser changes: weights that are trained together, whether an adapter or a whole model.

use burn::tensor::Tensor;
use std::collections::BTreeMap;

/// A set of named matrices: weights that are trained, or their gradients.
pub trait Trained: Sized {
    /// Every tensor with its name, sorted by name.
    fn tensors(&self) -> Vec<(String, Tensor<2>)>;

    /// A set of the same form, made tensor by tensor from the tensors of `self` with their names.
    fn map(&self, f: impl FnMut(&str, &Tensor<2>) -> Tensor<2>) -> Self;

    /// Whether weight decay is meant for this tensor.
    fn decays(&self, name: &str) -> bool;

    /// Zeros of the same form: the gradient of what took no part.
    fn zeros(&self) -> Self {
        self.map(|_, t| t.zeros_like())
    }

    /// The sum of two sets of the same form.
    fn plus(&self, other: &Self) -> Self {
        let mut other: BTreeMap<String, Tensor<2>> = other.tensors().into_iter().collect();
        self.map(|name, t| match other.remove(name) {
            Some(other) => t.clone() + other,
            None => t.clone(),
        })
    }
}
