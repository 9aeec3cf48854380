//! Linear layers and the MLPs made of them, on `T` packed rows (tokens or patches).

use crate::adapter::BlockLora;
use crate::error::ModelError;
use crate::sites::Projection;
use crate::source::Source;
use burn::tensor::activation::{gelu, sigmoid};
use burn::tensor::{DType, Tensor};
use vigos_kernels::{Weight, adapted, adapted_onto, gated};

/// A frozen linear layer, `y = x·Wᵀ + b`.
#[derive(Clone, Debug)]
pub struct Linear {
    /// `[out, in]`, as it is kept.
    weight: Weight,
    /// `[1, out]`
    bias: Option<Tensor<2>>,
}

impl Linear {
    /// Reads `{module}.weight`, and `{module}.bias` if `bias`.
    ///
    /// # Errors
    /// If a tensor is missing or cannot be read.
    pub fn load(
        source: &impl Source,
        module: &str,
        shape: [usize; 2],
        bias: bool,
    ) -> Result<Self, ModelError> {
        let weight = source.weight(&format!("{module}.weight"), shape)?;
        let bias = bias.then(|| source.tensor(&format!("{module}.bias"), [1, shape[0]])).transpose()?;
        Ok(Self { weight, bias })
    }

    /// # Shapes
    /// - `x`: `[T, in]`
    /// - output: `[T, out]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        adapted(x, &self.weight, self.bias.as_ref(), None)
    }

    /// The layer with its low-rank update, where `lora` has one for `projection`.
    pub fn adapted(&self, x: Tensor<2>, projection: Projection, lora: Option<BlockLora>) -> Tensor<2> {
        let update = lora.and_then(|lora| lora.update(projection, &x));
        adapted(x, &self.weight, self.bias.as_ref(), update)
    }

    /// [`Linear::adapted`] added to `residual`, `[T, out]`.
    pub fn adapted_onto(
        &self,
        residual: Tensor<2>,
        x: Tensor<2>,
        projection: Projection,
        lora: Option<BlockLora>,
    ) -> Tensor<2> {
        let update = lora.and_then(|lora| lora.update(projection, &x));
        adapted_onto(residual, x, &self.weight, self.bias.as_ref(), update)
    }
}

/// Rows that go through a gated MLP together where no backward follows: of a long prompt its wide activations, which are most
/// of what a forward takes, are never all there.
pub const MLP_ROWS: usize = 4096;

/// A gated MLP: `down(silu(gate(x)) · up(x))`.
#[derive(Clone, Debug)]
pub struct GatedMlp {
    gate: Linear,
    up: Linear,
    down: Linear,
}

impl GatedMlp {
    /// Reads `{module}.{gate,up,down}_proj`.
    ///
    /// # Errors
    /// If a tensor is missing or cannot be read.
    pub fn load(
        source: &impl Source,
        module: &str,
        width: usize,
        inner: usize,
        bias: bool,
    ) -> Result<Self, ModelError> {
        let linear = |name: &str, shape| Linear::load(source, &format!("{module}.{name}"), shape, bias);
        Ok(Self {
            gate: linear("gate_proj", [inner, width])?,
            up: linear("up_proj", [inner, width])?,
            down: linear("down_proj", [width, inner])?,
        })
    }

    /// What it makes of `x`, added to `residual`. Where nothing is kept for a backward, [`MLP_ROWS`] rows at a time.
    ///
    /// # Shapes
    /// - `residual`, `x` and output: `[T, D]`
    pub fn onto(&self, residual: Tensor<2>, x: Tensor<2>, lora: Option<BlockLora>) -> Tensor<2> {
        let rows = x.dims()[0];
        if rows <= MLP_ROWS || x.is_autodiff() || lora.is_some_and(|lora| lora.drops()) {
            return self.rows_onto(residual, x, lora);
        }
        let parts = (0..rows).step_by(MLP_ROWS).map(|first| {
            let part = |t: &Tensor<2>| t.clone().narrow(0, first, MLP_ROWS.min(rows - first));
            self.rows_onto(part(&residual), part(&x), lora)
        });
        Tensor::cat(parts.collect(), 0)
    }

    fn rows_onto(&self, residual: Tensor<2>, x: Tensor<2>, lora: Option<BlockLora>) -> Tensor<2> {
        let gate = self.gate.adapted(x.clone(), Projection::Gate, lora);
        let up = self.up.adapted(x, Projection::Up, lora);
        self.down.adapted_onto(residual, gated(gate, up), Projection::Down, lora)
    }
}

/// An MLP of two layers: `project(gelu(expand(x)))`.
#[derive(Clone, Debug)]
pub struct GeluMlp {
    expand: Linear,
    project: Linear,
    gelu: Gelu,
}

/// Which form of GELU, `x·Φ(x)`, stands between the layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gelu {
    /// With the error function.
    Exact,
    /// With the hyperbolic tangent that approximates it.
    Tanh,
}

impl GeluMlp {
    /// Reads the modules `expand` and `project`, which go from the first width to the second to the third.
    ///
    /// # Errors
    /// If a tensor is missing or cannot be read.
    pub fn load(
        source: &impl Source,
        [expand, project]: [&str; 2],
        [input, inner, output]: [usize; 3],
        gelu: Gelu,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            expand: Linear::load(source, expand, [inner, input], true)?,
            project: Linear::load(source, project, [output, inner], true)?,
            gelu,
        })
    }

    /// # Shapes
    /// - `x`: `[T, in]`
    /// - output: `[T, out]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        self.project.forward(self.gelu.apply(self.expand.forward(x)))
    }
}

impl Gelu {
    /// Applies it to every value.
    pub fn apply<const D: usize>(self, x: Tensor<D>) -> Tensor<D> {
        match self {
            Self::Exact => gelu(x),
            // ½(1 + tanh(u)) = σ(2u), and a product for the cube: a general power costs as much as the layer.
            Self::Tanh => {
                let dtype = x.dtype();
                let x = x.cast(DType::F32);
                let inner = x.clone() + x.clone().square() * x.clone() * 0.044_715;
                let twice = std::f64::consts::FRAC_2_SQRT_PI * std::f64::consts::SQRT_2;
                (x * sigmoid(inner * twice)).cast(dtype)
            }
        }
    }
}
