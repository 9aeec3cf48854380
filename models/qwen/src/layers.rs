//! The layers that both towers are made of, on packed rows.
//!
//! Shapes: `T` rows of a packed batch (tokens or patches), `H` heads, `Hkv` key/value heads, `C` width of a
//! head. There is no batch axis: sequences lie one after another and [`Segments`] says where each one ends,
//! so there is no padding and no padding mask to get wrong.

use crate::adapter::{BlockLora, Projection};
use crate::error::ModelError;
use crate::weights::Weights;
use burn::tensor::activation::{gelu, sigmoid, silu};
use burn::tensor::module::attention as scaled_dot_product;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use vigos_kernels::project;

/// A frozen linear layer, `y = x·Wᵀ + b`.
#[derive(Clone, Debug)]
pub struct Linear {
    /// `[out, in]`, as stored.
    weight: Tensor<2>,
    /// `[1, out]`
    bias: Option<Tensor<2>>,
}

impl Linear {
    /// Reads `{module}.weight`, and `{module}.bias` if `bias`.
    ///
    /// # Errors
    /// If a tensor is missing or cannot be read.
    pub fn load(source: &Source, module: &str, shape: [usize; 2], bias: bool) -> Result<Self, ModelError> {
        let weight = source.tensor(&format!("{module}.weight"), shape)?;
        let bias = bias.then(|| source.tensor(&format!("{module}.bias"), [1, shape[0]])).transpose()?;
        Ok(Self { weight, bias })
    }

    /// # Shapes
    /// - `x`: `[T, in]`
    /// - output: `[T, out]`
    pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
        let y = project(x, &self.weight);
        match &self.bias {
            Some(bias) => y + bias.clone(),
            None => y,
        }
    }

    /// The layer with its low-rank update, where `lora` has one for `projection`.
    pub fn adapted(&self, x: Tensor<2>, projection: Projection, lora: Option<BlockLora>) -> Tensor<2> {
        match lora.and_then(|lora| lora.update(projection, x.clone())) {
            Some(update) => self.forward(x) + update,
            None => self.forward(x),
        }
    }
}

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
        source: &Source,
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

    /// # Shapes
    /// - `x` and output: `[T, D]`
    pub fn forward(&self, x: Tensor<2>, lora: Option<BlockLora>) -> Tensor<2> {
        let gate = silu(self.gate.adapted(x.clone(), Projection::Gate, lora));
        let up = self.up.adapted(x, Projection::Up, lora);
        self.down.adapted(gate * up, Projection::Down, lora)
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
        source: &Source,
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

/// Lengths of the sequences in a packed batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segments(Vec<usize>);

impl Segments {
    /// Segments of these lengths; empty ones are left out.
    pub fn new(lengths: impl IntoIterator<Item = usize>) -> Self {
        Self(lengths.into_iter().filter(|n| *n > 0).collect())
    }

    /// Rows in all segments.
    pub fn rows(&self) -> usize {
        self.0.iter().sum()
    }

    /// Runs of neighbours of one length, as (first row, segments, length): each is one batched attention.
    fn runs(&self) -> Vec<(usize, usize, usize)> {
        let mut runs: Vec<(usize, usize, usize)> = Vec::new();
        let mut start = 0;
        for &length in &self.0 {
            match runs.last_mut() {
                Some(run) if run.2 == length => run.1 += 1,
                _ => runs.push((start, 1, length)),
            }
            start += length;
        }
        runs
    }
}

/// Attention within each segment.
///
/// # Shapes
/// - `query`: `[T, H, C]`
/// - `key`, `value`: `[T, Hkv, C]`, where `Hkv` divides `H`
/// - output: `[T, H·C]`
pub fn attention(
    query: Tensor<3>,
    key: Tensor<3>,
    value: Tensor<3>,
    segments: &Segments,
    is_causal: bool,
) -> Tensor<2> {
    let ([_, heads, width], dtype) = (query.dims(), query.dtype());
    let options = AttentionModuleOptions { is_causal, ..Default::default() };
    // A backend's own attention has its softmax in f32. Under autodiff it is made of separate operators, and has it
    // in the precision of its inputs.
    if query.is_autodiff() && dtype != DType::F32 {
        let [query, key, value] = [query, key, value].map(|x| x.cast(DType::F32));
        return attention(query, key, value, segments, is_causal).cast(dtype);
    }
    let outputs = segments
        .runs()
        .into_iter()
        .map(|(start, count, length)| {
            // [count·length, h, C] -> [count, H, length, C]
            let batched = |x: &Tensor<3>| {
                let kept = x.dims()[1];
                let x = x.clone().narrow(0, start, count * length);
                let x = x.reshape([count, length, kept, width]).swap_dims(1, 2);
                if kept == heads {
                    return x;
                }
                x.unsqueeze_dim::<5>(2)
                    .expand([count, kept, heads / kept, length, width])
                    .reshape([count, heads, length, width])
            };
            scaled_dot_product(batched(&query), batched(&key), batched(&value), None, None, options)
                .swap_dims(1, 2)
                .reshape([count * length, heads * width])
        })
        .collect();
    Tensor::cat(outputs, 0)
}

/// Cosines and sines of a rotary embedding, for each row and each rotated pair.
#[derive(Clone, Debug)]
pub struct Rotary {
    /// `[T, 1, C/2]`
    cos: Tensor<3>,
    /// `[T, 1, C/2]`
    sin: Tensor<3>,
}

impl Rotary {
    /// From angles `[T, C/2]`, row-major.
    pub fn new(angles: &[f32], pairs: usize, device: &Device) -> Self {
        let rows = angles.len() / pairs;
        let table = |f: fn(f64) -> f64| {
            let values: Vec<f32> = angles.iter().map(|a| f(f64::from(*a)) as f32).collect();
            Tensor::from_data(TensorData::new(values, [rows, 1, pairs]), (device, DType::F32))
        };
        Self { cos: table(f64::cos), sin: table(f64::sin) }
    }

    /// Rotates pair (i, i + C/2) of every head, in f32.
    ///
    /// # Shapes
    /// - `x` and output: `[T, heads, C]`
    pub fn rotate(&self, x: Tensor<3>) -> Tensor<3> {
        let dtype = x.dtype();
        let half = x.dims()[2] / 2;
        let x = x.cast(DType::F32);
        let (left, right) = (x.clone().narrow(2, 0, half), x.narrow(2, half, half));
        let (cos, sin) = (self.cos.clone(), self.sin.clone());
        let rotated =
            vec![left.clone() * cos.clone() - right.clone() * sin.clone(), right * cos + left * sin];
        Tensor::cat(rotated, 2).cast(dtype)
    }
}

/// Rotary frequencies `θ^(−2i/width)` for i below `width / 2`, in f32 as the reference has them.
pub fn frequencies(theta: f64, width: usize) -> Vec<f32> {
    (0..width / 2).map(|i| 1.0 / (theta as f32).powf((2 * i) as f32 / width as f32)).collect()
}

/// Where the tensors of a model come from, and as what they are kept.
pub struct Source<'a> {
    /// The checkpoint.
    pub weights: &'a Weights,
    /// Where the tensors go.
    pub device: &'a Device,
    /// In which precision they are kept.
    pub dtype: DType,
}

impl Source<'_> {
    /// Reads one tensor.
    ///
    /// # Errors
    /// If it is missing or cannot be read.
    pub fn tensor<const D: usize>(&self, name: &str, shape: [usize; D]) -> Result<Tensor<D>, ModelError> {
        self.weights.tensor(name, shape, self.device, self.dtype)
    }
}

/// Indices as a tensor on `device`.
pub fn indices(values: impl IntoIterator<Item = usize>, device: &Device) -> Tensor<1, Int> {
    let values: Vec<i32> = values.into_iter().map(|v| v as i32).collect();
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), (device, DType::I32))
}
