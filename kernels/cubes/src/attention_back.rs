//! The backward of attention over packed sequences, from the log-sum-exp that the forward kept.
//!
//! Weights are worked out again, tile by tile. One launch for what the slopes are centred on, one for the gradient of the
//! queries, a cube for a tile of them and a head, and one for that of keys and values, a cube for a tile of them and a
//! key/value head, so that each sum has one place and one order.

#![allow(missing_docs, reason = "the macro makes items of its own beside the documented ones")]

use crate::launch::{beside, dense, dims, each as units, like};
use crate::tile::{Tiling, channels_together, fetch, inner, reads, spanned, total};
use burn::backend::cubecl::dtype_to_storage_type;
use burn::tensor::DType;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// What the forward had and gave.
pub struct Forward {
    /// `[T, H, C]`
    pub query: CubeTensor,
    /// `[T, Hkv, C]`
    pub key: CubeTensor,
    /// `[T, Hkv, C]`
    pub value: CubeTensor,
    /// `[T, H·C]`
    pub output: CubeTensor,
    /// `[T, H]` in f32
    pub log_sums: CubeTensor,
    /// `[T, 6]` in i32
    pub ranges: CubeTensor,
}

/// The gradients of query, key and value under `upstream`, `[T, H·C]`.
pub fn attend_back(forward: Forward, upstream: CubeTensor) -> (CubeTensor, CubeTensor, CubeTensor) {
    let Forward { query, key, value, output, log_sums, ranges } = forward;
    let [query, key, value, output, log_sums, ranges, upstream] =
        dense([query, key, value, output, log_sums, ranges, upstream]);
    let (client, [rows, heads, width]) = (query.client.clone(), dims(&query));
    let (of_query, of_key, of_value) = (like(&query), like(&key), like(&value));
    if rows * heads * width == 0 {
        return (of_query, of_key, of_value);
    }
    let (vector, precision) = (channels_together(width), dtype_to_storage_type(query.dtype));
    let scale = 1.0 / (width as f32).sqrt();
    let centres = beside(&log_sums, log_sums.meta.shape().clone(), DType::F32);
    let (cubes, dim) = units(&client, rows * heads);
    centre::launch(
        &client,
        cubes,
        dim,
        query.required_address_type(),
        vector,
        output.into_tensor_arg(),
        upstream.clone().into_tensor_arg(),
        centres.clone().into_tensor_arg(),
        width / vector,
        precision,
    );
    let tiling = Tiling::fitting(&client.properties().hardware, 3, width, vector);
    let cubes =
        |heads: usize, tiling: &Tiling| CubeCount::Static(rows.div_ceil(tiling.rows) as u32, heads as u32, 1);
    of_queries::launch(
        &client,
        cubes(heads, &tiling),
        tiling.units(),
        query.required_address_type(),
        vector,
        query.clone().into_tensor_arg(),
        key.clone().into_tensor_arg(),
        value.clone().into_tensor_arg(),
        upstream.clone().into_tensor_arg(),
        log_sums.clone().into_tensor_arg(),
        centres.clone().into_tensor_arg(),
        ranges.clone().into_tensor_arg(),
        of_query.clone().into_tensor_arg(),
        scale,
        tiling,
        precision,
    );
    let tiling = Tiling::fitting(&client.properties().hardware, 4, width, vector);
    let [_, kv_heads, _] = dims(&key);
    of_keys::launch(
        &client,
        cubes(kv_heads, &tiling),
        tiling.units(),
        query.required_address_type(),
        vector,
        query.into_tensor_arg(),
        key.into_tensor_arg(),
        value.into_tensor_arg(),
        upstream.into_tensor_arg(),
        log_sums.into_tensor_arg(),
        centres.into_tensor_arg(),
        ranges.into_tensor_arg(),
        of_key.clone().into_tensor_arg(),
        of_value.clone().into_tensor_arg(),
        scale,
        tiling,
        precision,
    );
    (of_query, of_key, of_value)
}

/// Σ over a head's channels of ∂output·output, which is Σ over the keys of weight·∂weight. A unit for a row and a head.
#[cube(launch, address_type = "dynamic")]
pub(crate) fn centre<F: Float, N: Size>(
    output: &Tensor<Vector<F, N>>,
    upstream: &Tensor<Vector<F, N>>,
    centres: &mut Tensor<f32>,
    #[comptime] vectors: usize,
    #[define(F)] _precision: ElemType,
) {
    let at = ABSOLUTE_POS;
    if at >= centres.len() {
        terminate!();
    }
    let mut sums = Vector::<f32, N>::zeroed();
    for channel in 0..vectors {
        let i = at * vectors + channel;
        sums += Vector::<f32, N>::cast_from(output[i]) * Vector::<f32, N>::cast_from(upstream[i]);
    }
    centres[at] = total::<N>(sums);
}

/// Σ over the keys of slope·key, where a score's slope is weight·(∂output·value − centre).
#[cube(launch, address_type = "dynamic")]
pub(crate) fn of_queries<F: Float, N: Size>(
    query: &Tensor<Vector<F, N>>,
    key: &Tensor<Vector<F, N>>,
    value: &Tensor<Vector<F, N>>,
    upstream: &Tensor<Vector<F, N>>,
    log_sums: &Tensor<f32>,
    centres: &Tensor<f32>,
    ranges: &Tensor<i32>,
    of_query: &mut Tensor<Vector<F, N>>,
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
    let mut above = Shared::<[Vector<f32, N>]>::new_slice(comptime!(tile * stride));
    let mut keys = Shared::<[Vector<f32, N>]>::new_slice(comptime!(tile * stride));
    let mut slopes = Shared::<[f32]>::new_slice(comptime!(tile * across));
    let mut own = Array::<f32>::new(comptime!(each * each));
    let mut made = Array::<Vector<f32, N>>::new(comptime!(each * channels));
    for i in 0..comptime!(each * channels) {
        made[i] = Vector::<f32, N>::zeroed();
    }
    fetch::<F, N>(query, &mut queries, first, rows, head, heads, tiling);
    fetch::<F, N>(upstream, &mut above, first, rows, head, heads, tiling);
    #[unroll]
    for part in 0..2usize {
        let (start, end) = spanned(ranges, first, rows, comptime!(2 * part), tiling);
        let mut from = start;
        while from < end {
            sync_cube();
            fetch::<F, N>(value, &mut keys, from, rows, kv_head, kv_heads, tiling);
            sync_cube();
            for a in 0..each {
                for b in 0..each {
                    own[a * each + b] = inner::<N>(&above, &keys, y + a * side, x + b * side, tiling);
                }
            }
            sync_cube();
            fetch::<F, N>(key, &mut keys, from, rows, kv_head, kv_heads, tiling);
            sync_cube();
            for a in 0..each {
                let row = y + a * side;
                for b in 0..each {
                    let column = x + b * side;
                    let mut slope = 0.0f32;
                    if reads(ranges, first + row, rows, from + column, part) {
                        let at = (first + row) * heads + head;
                        let score = inner::<N>(&queries, &keys, row, column, tiling) * scale;
                        slope = (score - log_sums[at]).exp() * (own[a * each + b] - centres[at]);
                    }
                    slopes[row * across + column] = slope;
                }
            }
            sync_cube();
            for a in 0..each {
                let row = y + a * side;
                for column in 0..tile {
                    let slope = Vector::<f32, N>::new(slopes[row * across + column]);
                    for c in 0..channels {
                        let channel = x + c * side;
                        if channel < vectors {
                            made[a * channels + c] += slope * keys[column * stride + channel];
                        }
                    }
                }
            }
            from += tile;
        }
    }
    store::<F, N>(of_query, &made, scale, first, head, tiling);
}

/// Σ over the rows that read a key, and over the query heads that share its head, of weight·∂output and of slope·query.
#[cube(launch, address_type = "dynamic")]
pub(crate) fn of_keys<F: Float, N: Size>(
    query: &Tensor<Vector<F, N>>,
    key: &Tensor<Vector<F, N>>,
    value: &Tensor<Vector<F, N>>,
    upstream: &Tensor<Vector<F, N>>,
    log_sums: &Tensor<f32>,
    centres: &Tensor<f32>,
    ranges: &Tensor<i32>,
    of_key: &mut Tensor<Vector<F, N>>,
    of_value: &mut Tensor<Vector<F, N>>,
    scale: f32,
    #[comptime] tiling: Tiling,
    #[define(F)] _precision: ElemType,
) {
    let (tile, side, vectors) = comptime!((tiling.rows, tiling.side, tiling.vectors));
    let (each, stride, across) = comptime!((tile / side, vectors + 1, tile + 1));
    let channels = comptime!(vectors.div_ceil(side));
    let (rows, heads, kv_heads) = (query.shape(0), query.shape(1), key.shape(1));
    let (first, kv_head) = (CUBE_POS_X as usize * tile, CUBE_POS_Y as usize);
    let group = heads / kv_heads;
    let (x, y) = (UNIT_POS as usize % side, UNIT_POS as usize / side);

    let mut keys = Shared::<[Vector<f32, N>]>::new_slice(comptime!(tile * stride));
    let mut values = Shared::<[Vector<f32, N>]>::new_slice(comptime!(tile * stride));
    let mut queries = Shared::<[Vector<f32, N>]>::new_slice(comptime!(tile * stride));
    let mut above = Shared::<[Vector<f32, N>]>::new_slice(comptime!(tile * stride));
    let mut weights = Shared::<[f32]>::new_slice(comptime!(tile * across));
    let mut slopes = Shared::<[f32]>::new_slice(comptime!(tile * across));
    let mut made_key = Array::<Vector<f32, N>>::new(comptime!(each * channels));
    let mut made_value = Array::<Vector<f32, N>>::new(comptime!(each * channels));
    for i in 0..comptime!(each * channels) {
        made_key[i] = Vector::<f32, N>::zeroed();
        made_value[i] = Vector::<f32, N>::zeroed();
    }
    fetch::<F, N>(key, &mut keys, first, rows, kv_head, kv_heads, tiling);
    fetch::<F, N>(value, &mut values, first, rows, kv_head, kv_heads, tiling);
    let (start, end) = spanned(ranges, first, rows, 4usize, tiling);
    for member in 0..group {
        let head = kv_head * group + member;
        let mut from = start;
        while from < end {
            sync_cube();
            fetch::<F, N>(query, &mut queries, from, rows, head, heads, tiling);
            fetch::<F, N>(upstream, &mut above, from, rows, head, heads, tiling);
            sync_cube();
            // Rows are keys here, and columns queries.
            for a in 0..each {
                let row = y + a * side;
                for b in 0..each {
                    let column = x + b * side;
                    let before = reads(ranges, from + column, rows, first + row, 0usize);
                    let within = reads(ranges, from + column, rows, first + row, 1usize);
                    let mut weight = 0.0f32;
                    let mut slope = 0.0f32;
                    if before || within {
                        let at = (from + column) * heads + head;
                        let score = inner::<N>(&queries, &keys, column, row, tiling) * scale;
                        weight = (score - log_sums[at]).exp();
                        slope = weight * (inner::<N>(&above, &values, column, row, tiling) - centres[at]);
                    }
                    weights[row * across + column] = weight;
                    slopes[row * across + column] = slope;
                }
            }
            sync_cube();
            for a in 0..each {
                let row = y + a * side;
                for column in 0..tile {
                    let weight = Vector::<f32, N>::new(weights[row * across + column]);
                    let slope = Vector::<f32, N>::new(slopes[row * across + column]);
                    for c in 0..channels {
                        let channel = x + c * side;
                        if channel < vectors {
                            made_value[a * channels + c] += weight * above[column * stride + channel];
                            made_key[a * channels + c] += slope * queries[column * stride + channel];
                        }
                    }
                }
            }
            from += tile;
        }
    }
    store::<F, N>(of_key, &made_key, scale, first, kv_head, tiling);
    store::<F, N>(of_value, &made_value, 1.0, first, kv_head, tiling);
}

/// Writes what this unit made of a tile's rows of one head of `out`, `[T, heads, C]`, times `factor`.
#[cube]
fn store<F: Float, N: Size>(
    out: &mut Tensor<Vector<F, N>>,
    made: &Array<Vector<f32, N>>,
    factor: f32,
    first: usize,
    head: usize,
    #[comptime] tiling: Tiling,
) {
    let (side, vectors) = comptime!((tiling.side, tiling.vectors));
    let (each, channels) = comptime!((tiling.rows / side, vectors.div_ceil(side)));
    let (x, y) = (UNIT_POS as usize % side, UNIT_POS as usize / side);
    let (rows, heads) = (out.shape(0), out.shape(1));
    for a in 0..each {
        let row = first + y + a * side;
        if row < rows {
            for c in 0..channels {
                let channel = x + c * side;
                if channel < vectors {
                    let values = made[a * channels + c] * Vector::<f32, N>::new(factor);
                    out[(row * heads + head) * vectors + channel] = Vector::<F, N>::cast_from(values);
                }
            }
        }
    }
}
