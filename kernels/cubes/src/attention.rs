//! Attention over packed sequences, forward: a cube for a tile of query rows and a head.
//!
//! It meets a tile of keys at a time, with the running maximum and sum of FlashAttention-2 (arXiv 2307.08691), so nothing of
//! the size of the scores exists. Which rows read each other is a table, one launch for all sequences.

#![allow(missing_docs, reason = "the macro makes items of its own beside the documented ones")]

use crate::launch::{beside, dense, dims};
use crate::tile::{LOWEST, Tiling, channels_together, fetch, inner, reads, spanned};
use burn::backend::cubecl::dtype_to_storage_type;
use burn::tensor::{DType, Shape};
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

pub use crate::tile::RANGES;

/// The output, `[T, H·C]`, and the log-sum-exp of every row and head, `[T, H]` in f32.
///
/// # Shapes
/// - `query`: `[T, H, C]`, `key`, `value`: `[T, Hkv, C]`, in one precision
/// - `ranges`: `[T, 6]` in i32, see [`RANGES`]
pub fn attend(
    query: CubeTensor,
    key: CubeTensor,
    value: CubeTensor,
    ranges: CubeTensor,
) -> (CubeTensor, CubeTensor) {
    let [query, key, value, ranges] = dense([query, key, value, ranges]);
    let (client, [rows, heads, width]) = (query.client.clone(), dims(&query));
    let out = beside(&query, Shape::from([rows, heads * width]), query.dtype);
    let log_sums = beside(&query, Shape::from([rows, heads]), DType::F32);
    if rows * heads * width == 0 {
        return (out, log_sums);
    }
    let vector = channels_together(width);
    let tiling = Tiling::fitting(&client.properties().hardware, 2, width, vector);
    forward::launch(
        &client,
        CubeCount::Static(rows.div_ceil(tiling.rows) as u32, heads as u32, 1),
        tiling.units(),
        query.required_address_type(),
        vector,
        query.clone().into_tensor_arg(),
        key.into_tensor_arg(),
        value.into_tensor_arg(),
        ranges.into_tensor_arg(),
        out.clone().into_tensor_arg(),
        log_sums.clone().into_tensor_arg(),
        1.0 / (width as f32).sqrt(),
        tiling,
        dtype_to_storage_type(query.dtype),
    );
    (out, log_sums)
}

/// Keeps the largest score and the sum of each of its rows, and the output's channels, in registers.
#[cube(launch, address_type = "dynamic")]
pub(crate) fn forward<F: Float, N: Size>(
    query: &Tensor<Vector<F, N>>,
    key: &Tensor<Vector<F, N>>,
    value: &Tensor<Vector<F, N>>,
    ranges: &Tensor<i32>,
    out: &mut Tensor<Vector<F, N>>,
    log_sums: &mut Tensor<f32>,
    scale: f32,
    #[comptime] tiling: Tiling,
    #[define(F)] _precision: ElemType,
) {
    let (tile, side, vectors) = comptime!((tiling.rows, tiling.side, tiling.vectors));
    let (each, stride, across) = comptime!((tile / side, vectors + 1, tile + 1));
    let channels = comptime!(vectors.div_ceil(side));
    let (rows, heads, kv_heads) = (query.shape(0), query.shape(1), key.shape(1));
    let (first, head) = (CUBE_POS_X as usize * tile, CUBE_POS_Y as usize);
    let kv_head = head * kv_heads / heads;
    let (x, y) = (UNIT_POS as usize % side, UNIT_POS as usize / side);

    let mut queries = Shared::<[Vector<f32, N>]>::new_slice(comptime!(tile * stride));
    let mut keys = Shared::<[Vector<f32, N>]>::new_slice(comptime!(tile * stride));
    let mut scores = Shared::<[f32]>::new_slice(comptime!(tile * across));
    let mut weights = Shared::<[f32]>::new_slice(comptime!(tile * across));
    let mut largest = Array::<f32>::new(each);
    let mut sums = Array::<f32>::new(each);
    let mut made = Array::<Vector<f32, N>>::new(comptime!(each * channels));
    for a in 0..each {
        largest[a] = LOWEST;
        sums[a] = 0.0;
    }
    for i in 0..comptime!(each * channels) {
        made[i] = Vector::<f32, N>::zeroed();
    }
    fetch::<F, N>(query, &mut queries, first, rows, head, heads, tiling);
    #[unroll]
    for part in 0..2usize {
        let (start, end) = spanned(ranges, first, rows, comptime!(2 * part), tiling);
        let mut from = start;
        while from < end {
            // Some unit may still read the values of the tile before.
            sync_cube();
            fetch::<F, N>(key, &mut keys, from, rows, kv_head, kv_heads, tiling);
            sync_cube();
            for a in 0..each {
                let row = y + a * side;
                for b in 0..each {
                    let column = x + b * side;
                    let score = inner::<N>(&queries, &keys, row, column, tiling) * scale;
                    let counts = reads(ranges, first + row, rows, from + column, part);
                    scores[row * across + column] = select(counts, score, LOWEST);
                }
            }
            sync_cube();
            for a in 0..each {
                let row = y + a * side;
                let mut most = largest[a];
                for column in 0..tile {
                    most = max(most, scores[row * across + column]);
                }
                let kept = (largest[a] - most).exp();
                for b in 0..each {
                    let at = row * across + x + b * side;
                    let score = scores[at];
                    weights[at] = select(score > LOWEST, (score - most).exp(), 0.0);
                }
                largest[a] = most;
                sums[a] *= kept;
                for c in 0..channels {
                    made[a * channels + c] *= Vector::<f32, N>::new(kept);
                }
            }
            fetch::<F, N>(value, &mut keys, from, rows, kv_head, kv_heads, tiling);
            sync_cube();
            for a in 0..each {
                let row = y + a * side;
                for column in 0..tile {
                    let weight = weights[row * across + column];
                    sums[a] += weight;
                    for c in 0..channels {
                        let channel = x + c * side;
                        if channel < vectors {
                            made[a * channels + c] +=
                                Vector::<f32, N>::new(weight) * keys[column * stride + channel];
                        }
                    }
                }
            }
            from += tile;
        }
    }
    for a in 0..each {
        let row = first + y + a * side;
        if row < rows {
            for c in 0..channels {
                let channel = x + c * side;
                if channel < vectors {
                    let values = made[a * channels + c] / Vector::<f32, N>::new(sums[a]);
                    out[(row * heads + head) * vectors + channel] = Vector::<F, N>::cast_from(values);
                }
            }
            if x == 0 {
                log_sums[row * heads + head] = largest[a] + sums[a].ln();
            }
        }
    }
}
