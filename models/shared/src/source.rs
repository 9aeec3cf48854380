//! Where the tensors of a model come from: a checkpoint, weights that are trained, or leaves of a graph.

use crate::error::ModelError;
use crate::weights::Weights;
use burn::tensor::{DType, Device, Tensor};

/// Gives the tensors of a model by their canonical names (see [`crate::architecture::WeightNames`]).
pub trait Source {
    /// One tensor. A shape of another rank than the stored one's holds the same values in the same order.
    ///
    /// # Errors
    /// If it is missing, has another number of values, or cannot be read.
    fn tensor<const D: usize>(&self, name: &str, shape: [usize; D]) -> Result<Tensor<D>, ModelError>;
}

/// A checkpoint, and as what its tensors are kept.
#[derive(Clone, Copy, Debug)]
pub struct Checkpoint<'a> {
    /// The files.
    pub weights: &'a Weights,
    /// Where the tensors go.
    pub device: &'a Device,
    /// In which precision they are kept.
    pub dtype: DType,
}

impl Source for Checkpoint<'_> {
    fn tensor<const D: usize>(&self, name: &str, shape: [usize; D]) -> Result<Tensor<D>, ModelError> {
        self.weights.tensor(name, shape, self.device, self.dtype)
    }
}
