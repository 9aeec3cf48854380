//! Where the tensors of a model come from: a checkpoint, weights that are trained, or leaves of a graph.

use crate::error::ModelError;
use crate::weights::Weights;
use burn::tensor::{DType, Device, Tensor};
use vigos_kernels::{Bits, Quantised, Weight, on_cpu};

/// In which number formats a model is kept and computed.
///
/// ```
/// use burn::tensor::{DType, Device};
/// use vigos_models::source::Kept;
///
/// let kept = Kept::from(DType::BF16);
/// assert_eq!(kept.activations(), DType::BF16);
/// // The CPU reads weights as they are and computes in f32.
/// assert_eq!(kept.on(&Device::flex()).activations(), DType::F32);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Format of weights that are not quantised.
    pub weights: DType,
    /// How the decoder layers' products are quantised. Embeddings, head, norms, biases and the vision tower are not.
    pub quantised: Option<Bits>,
    /// Whether activations are f32 whatever the weights are.
    widens: bool,
}

impl From<DType> for Kept {
    fn from(weights: DType) -> Self {
        Self { weights, quantised: None, widens: false }
    }
}

impl Kept {
    /// The same with the decoder layers' products quantised, or not.
    #[must_use]
    pub fn quantised(self, quantised: Option<Bits>) -> Self {
        Self { quantised, ..self }
    }

    /// The same as this device does it: the CPU computes with activations in f32.
    #[must_use]
    pub fn on(self, device: &Device) -> Self {
        Self { widens: on_cpu(device), ..self }
    }

    /// The same with weights in bf16, unless they are that already.
    #[must_use]
    pub fn halved(self) -> Option<Self> {
        (self.weights != DType::BF16).then_some(Self { weights: DType::BF16, ..self })
    }

    /// Format of activations, and of norms and biases.
    pub fn activations(self) -> DType {
        if self.widens { DType::F32 } else { self.weights }
    }
}

/// Gives the tensors of a model by their canonical names (see [`crate::architecture::WeightNames`]).
pub trait Source {
    /// One tensor. A shape of another rank than the stored one's holds the same values in the same order.
    ///
    /// # Errors
    /// If it is missing, has another number of values, or cannot be read.
    fn tensor<const D: usize>(&self, name: &str, shape: [usize; D]) -> Result<Tensor<D>, ModelError>;

    /// A large matrix as it is kept, which may be in another format than activations.
    ///
    /// # Errors
    /// As [`Source::tensor`].
    fn matrix(&self, name: &str, shape: [usize; 2]) -> Result<Tensor<2>, ModelError> {
        self.tensor(name, shape)
    }

    /// The weight of a linear layer as it is kept. `[out, in]`
    ///
    /// # Errors
    /// As [`Source::tensor`].
    fn weight(&self, name: &str, shape: [usize; 2]) -> Result<Weight, ModelError> {
        self.matrix(name, shape).map(Weight::Plain)
    }
}

/// A checkpoint, and as what its tensors are kept.
#[derive(Clone, Copy, Debug)]
pub struct Checkpoint<'a> {
    /// The files.
    pub weights: &'a Weights,
    /// Where the tensors go.
    pub device: &'a Device,
    /// In which formats they are kept.
    pub kept: Kept,
    /// What the names of the decoder layers' tensors begin with.
    pub layers: &'static str,
}

impl Source for Checkpoint<'_> {
    fn tensor<const D: usize>(&self, name: &str, shape: [usize; D]) -> Result<Tensor<D>, ModelError> {
        self.weights.tensor(name, shape, self.device, self.kept.activations())
    }

    fn matrix(&self, name: &str, shape: [usize; 2]) -> Result<Tensor<2>, ModelError> {
        self.weights.mapped(name, shape, self.device, self.kept.weights)
    }

    fn weight(&self, name: &str, shape: [usize; 2]) -> Result<Weight, ModelError> {
        match self.kept.quantised.filter(|_| name.starts_with(self.layers)) {
            None => self.matrix(name, shape).map(Weight::Plain),
            Some(bits) => {
                let values = self.weights.rows(name, shape)?;
                Ok(Weight::Quantised(Quantised::new(&values, shape, bits, self.device)))
            }
        }
    }
}
