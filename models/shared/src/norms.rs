//! Normalisation over the last axis, computed in f32 whatever the precision of the model.

use crate::error::ModelError;
use crate::source::Source;
use burn::tensor::module::layer_norm;
use burn::tensor::{DType, Tensor};
use vigos_kernels::rms_norm;

/// Root-mean-square norm: `x / √(mean(x²) + ε) · γ`.
#[derive(Clone, Debug)]
pub struct RmsNorm {
    /// `[1, D]`
    scale: Tensor<2>,
    epsilon: f64,
}

impl RmsNorm {
    /// Reads `{module}.weight`.
    ///
    /// # Errors
    /// If the tensor is missing or cannot be read.
    pub fn load(source: &impl Source, module: &str, width: usize, epsilon: f64) -> Result<Self, ModelError> {
        Ok(Self { scale: source.tensor(&format!("{module}.weight"), [1, width])?, epsilon })
    }

    /// # Shapes
    /// - `x` and output: `[T, D]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        rms_norm(x, &self.scale, self.epsilon)
    }

    /// The norm of every head on its own.
    ///
    /// # Shapes
    /// - `x` and output: `[T, heads, D]`
    pub fn forward_heads(&self, x: Tensor<3>) -> Tensor<3> {
        let [rows, heads, width] = x.dims();
        self.forward(x.reshape([rows * heads, width])).reshape([rows, heads, width])
    }
}

/// Layer norm: `(x − mean(x)) / √(var(x) + ε) · γ + β`.
#[derive(Clone, Debug)]
pub struct LayerNorm {
    /// `[D]`, in f32
    scale: Tensor<1>,
    /// `[D]`, in f32
    shift: Tensor<1>,
    epsilon: f64,
}

impl LayerNorm {
    /// Reads `{module}.weight` and `{module}.bias`.
    ///
    /// # Errors
    /// If a tensor is missing or cannot be read.
    pub fn load(source: &impl Source, module: &str, width: usize, epsilon: f64) -> Result<Self, ModelError> {
        let vector = |part: &str| source.tensor(&format!("{module}.{part}"), [width]);
        let (scale, shift) = (vector("weight")?.cast(DType::F32), vector("bias")?.cast(DType::F32));
        Ok(Self { scale, shift, epsilon })
    }

    /// # Shapes
    /// - `x` and output: `[T, D]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let dtype = x.dtype();
        let (scale, shift) = (self.scale.clone(), Some(self.shift.clone()));
        layer_norm(x.cast(DType::F32), scale, shift, self.epsilon).cast(dtype)
    }
}
