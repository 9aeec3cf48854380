//! The norm that a tower of some style has.

use crate::config::TowerStyle;
use burn::tensor::Tensor;
use vigos_models::ModelError;
use vigos_models::norms::{LayerNorm, RmsNorm};
use vigos_models::source::Source;

/// ε of every norm of the tower.
pub(super) const EPSILON: f64 = 1e-6;

/// The norm of a vision tower.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // One to a block; a tensor is a handle.
pub enum Norm {
    /// Of a gated tower.
    Rms(RmsNorm),
    /// Of a plain tower.
    Layer(LayerNorm),
}

impl Norm {
    /// Reads the norm that a tower of this style has.
    ///
    /// # Errors
    /// If a tensor is missing or cannot be read.
    pub fn load(
        style: TowerStyle,
        source: &impl Source,
        module: &str,
        width: usize,
        epsilon: f64,
    ) -> Result<Self, ModelError> {
        Ok(match style {
            TowerStyle::Gated => Self::Rms(RmsNorm::load(source, module, width, epsilon)?),
            TowerStyle::Plain => Self::Layer(LayerNorm::load(source, module, width, epsilon)?),
        })
    }

    /// # Shapes
    /// - `x` and output: `[T, D]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        match self {
            Self::Rms(norm) => norm.forward(x),
            Self::Layer(norm) => norm.forward(x),
        }
    }
}
