//! All weights of a model as values that change: what full fine-tuning owns.
//!
//! A model never changes. Full fine-tuning keeps its weights here, in f32, and has the family make the model that they
//! make up at the moment (`ModelConfig::freeze`).

use crate::architecture::{Architecture, Parameter};
use crate::error::ModelError;
use crate::source::Source;
use crate::trained::Trained;
use crate::weights::Weights;
use burn::tensor::{DType, Device, Tensor};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Every weight of a model under its canonical name, or the gradient of every weight.
///
/// A weight is a matrix `[out, rest]`; a vector is a matrix of one row.
#[derive(Clone, Debug)]
pub struct Parameters {
    architecture: Arc<Architecture>,
    tensors: BTreeMap<String, Tensor<2>>,
}

impl Parameters {
    /// Reads the weights of a model folder, in f32.
    ///
    /// # Errors
    /// If the tensors are not exactly those of the model.
    pub fn load(
        architecture: &Arc<Architecture>,
        folder: &Path,
        device: &Device,
    ) -> Result<Self, ModelError> {
        Self::read(architecture, &Weights::open_model(folder, architecture)?, device)
    }

    /// Reads them from files that hold these tensors, by their canonical names, and maybe others.
    ///
    /// # Errors
    /// If a tensor is missing or cannot be read.
    pub fn read(
        architecture: &Arc<Architecture>,
        weights: &Weights,
        device: &Device,
    ) -> Result<Self, ModelError> {
        let tensors = architecture
            .parameters
            .iter()
            .map(|p| Ok((p.name.clone(), weights.tensor(&p.name, matrix(p), device, DType::F32)?)))
            .collect::<Result<_, ModelError>>()?;
        Ok(Self { architecture: architecture.clone(), tensors })
    }

    /// What they are the weights of.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// Gradients of this form, zeros where there is none, with that of the head: it adds to that of the embeddings
    /// where the two are one.
    pub fn with_head(&self, mut gradients: BTreeMap<String, Tensor<2>>, head: Tensor<2>) -> Self {
        let name = self.architecture.names.head;
        let sum = match gradients.remove(name) {
            Some(gradient) => gradient + head,
            None => head,
        };
        gradients.insert(name.to_owned(), sum);
        self.map(|name, t| gradients.remove(name).unwrap_or_else(|| t.zeros_like()))
    }

    /// Number of values in all tensors.
    pub fn count(&self) -> usize {
        self.tensors.values().map(|t| t.dims().iter().product::<usize>()).sum()
    }
}

/// Whoever made a [`Parameters`] has every tensor of its architecture.
pub const COMPLETE: &str = "parameters hold every tensor of the model";

impl Trained for Parameters {
    fn tensors(&self) -> Vec<(String, Tensor<2>)> {
        self.tensors.iter().map(|(name, t)| (name.clone(), t.clone())).collect()
    }

    fn map(&self, mut f: impl FnMut(&str, &Tensor<2>) -> Tensor<2>) -> Self {
        let tensors = self.tensors.iter().map(|(name, t)| (name.clone(), f(name, t))).collect();
        Self { architecture: self.architecture.clone(), tensors }
    }

    /// Matrices decay; norms and biases, which are vectors, do not.
    fn decays(&self, name: &str) -> bool {
        self.tensors.get(name).is_some_and(|t| t.dims()[0] > 1)
    }
}

impl Source for Parameters {
    fn tensor<const D: usize>(&self, name: &str, shape: [usize; D]) -> Result<Tensor<D>, ModelError> {
        match self.tensors.get(name) {
            Some(tensor) => Ok(tensor.clone().reshape(shape)),
            None => Err(ModelError::Tensors {
                path: "parameters".into(),
                faults: vec![format!("missing     {name} {shape:?}")],
            }),
        }
    }
}

/// Gives the weights as leaves of a graph, and remembers which it gave.
#[derive(Debug)]
pub struct Leaves<'a> {
    parameters: &'a Parameters,
    given: RefCell<Vec<(String, Tensor<2>)>>,
}

impl<'a> Leaves<'a> {
    /// None is given yet.
    pub fn new(parameters: &'a Parameters) -> Self {
        Self { parameters, given: RefCell::default() }
    }

    /// The leaves that were asked for.
    pub fn given(self) -> Vec<(String, Tensor<2>)> {
        self.given.into_inner()
    }
}

impl Source for Leaves<'_> {
    fn tensor<const D: usize>(&self, name: &str, shape: [usize; D]) -> Result<Tensor<D>, ModelError> {
        let [rows, columns] = self.parameters.tensors[name].dims();
        let weight: Tensor<2> = self.parameters.tensor(name, [rows, columns])?;
        let leaf = Tensor::from_inner(weight).require_grad();
        self.given.borrow_mut().push((name.to_owned(), leaf.clone()));
        Ok(leaf.reshape(shape))
    }
}

/// The shape of a parameter as a matrix: its first axis by all others.
fn matrix(parameter: &Parameter) -> [usize; 2] {
    match parameter.shape[..] {
        [width] => [1, width],
        [rows, ref rest @ ..] => [rows, rest.iter().product()],
        [] => [1, 1],
    }
}
