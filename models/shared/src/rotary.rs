//! Rotary position embeddings.

use burn::tensor::{DType, Device, Tensor, TensorData};
use vigos_kernels::{rotate, send};

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
        let values: Vec<f32> = [f64::cos, f64::sin]
            .into_iter()
            .flat_map(|f: fn(f64) -> f64| angles.iter().map(move |a| f(f64::from(*a)) as f32))
            .collect();
        // Sent together: what is sent for every token of a rollout counts.
        let both: Tensor<3> = send(TensorData::new(values, [2 * rows, 1, pairs]), device, DType::F32);
        Self { cos: both.clone().narrow(0, 0, rows), sin: both.narrow(0, rows, rows) }
    }

    /// Cosines and sines, each `[T, 1, C/2]`.
    pub fn tables(&self) -> [&Tensor<3>; 2] {
        [&self.cos, &self.sin]
    }

    /// Rotates pair (i, i + C/2) of every head, in f32.
    ///
    /// # Shapes
    /// - `x` and output: `[T, heads, C]`
    pub fn rotate(&self, x: Tensor<3>) -> Tensor<3> {
        rotate(x, &self.cos, &self.sin)
    }
}

/// Rotary frequencies `θ^(−2i/width)` for i below `width / 2`, in f32 as the reference has them.
pub fn frequencies(theta: f64, width: usize) -> Vec<f32> {
    (0..width / 2).map(|i| 1.0 / (theta as f32).powf((2 * i) as f32 / width as f32)).collect()
}
