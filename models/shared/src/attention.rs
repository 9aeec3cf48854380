//! Attention on packed rows.
//!
//! Shapes: `T` rows of a packed batch (tokens or patches), `H` heads, `Hkv` key/value heads, `C` width of a
//! head. There is no batch axis: sequences lie one after another and [`Segments`] says where each one ends,
//! so there is no padding and no padding mask to get wrong.

use burn::tensor::module::attention as scaled_dot_product;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{DType, Tensor};

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
