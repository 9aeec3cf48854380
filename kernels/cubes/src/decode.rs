//! Attention of one new token in each of several sequences, over a key/value cache: a cube for a sequence and a head.
//!
//! The cache is met a piece at a time, with a running maximum and sum: each unit scores a column of its own, then all of them
//! share out the channels.

#![allow(clippy::too_many_arguments, reason = "a kernel takes its tensors one by one")]
#![allow(missing_docs, reason = "the macro makes items of its own beside the documented ones")]

use crate::launch::{beside, dense, dims, owned};
use crate::reduce::{Blueprint, By, reduce};
use crate::tile::{LOWEST, channels_together, total};
use burn::backend::cubecl::dtype_to_storage_type;
use burn::tensor::Shape;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// Units of a cube, at most: columns of a piece.
const UNITS: u32 = 128;
/// Columns of the table that says where in the ring a sequence is: its first column, and how many it has.
pub const PLACES: usize = 2;

/// The output, `[B, H·C]`; of a sequence without columns it is zero.
///
/// # Shapes
/// - `query`: `[B, H, C]`, `keys`, `values`: `[B, Hkv, L, C]`, in one precision
/// - `places`: `[B, 2]` in i32, see [`PLACES`]; each row has had `since` columns more after it was made
pub fn attend(
    query: CubeTensor,
    keys: CubeTensor,
    values: CubeTensor,
    places: CubeTensor,
    since: u32,
) -> CubeTensor {
    let [query, keys, values, places] = dense([query, keys, values, places]);
    let (client, [rows, heads, width]) = (query.client.clone(), dims(&query));
    let out = beside(&query, Shape::from([rows, heads * width]), query.dtype);
    if rows * heads * width == 0 {
        return out;
    }
    let vector = channels_together(width);
    let blueprint = Blueprint::fitting(&client, UNITS, true);
    attend_one::launch(
        &client,
        CubeCount::Static(heads as u32, rows as u32, 1),
        CubeDim::new_1d(blueprint.units),
        keys.required_address_type(),
        vector,
        query.clone().into_tensor_arg(),
        keys.into_tensor_arg(),
        values.into_tensor_arg(),
        places.into_tensor_arg(),
        out.clone().into_tensor_arg(),
        since,
        1.0 / (width as f32).sqrt(),
        width / vector,
        blueprint,
        dtype_to_storage_type(query.dtype),
    );
    out
}

/// The tensors of a token that is new in each sequence: each turned by its angle, query and key.
pub struct NewToken {
    /// `[B, H, C]`
    pub query: CubeTensor,
    /// `[B, Hkv, C]`
    pub key: CubeTensor,
    /// `[B, Hkv, C]`
    pub value: CubeTensor,
    /// `[B, 1, C/2]` in f32
    pub cos: CubeTensor,
    /// `[B, 1, C/2]` in f32
    pub sin: CubeTensor,
}

/// As [`attend`] of a token that is not in the cache yet: it is turned, goes into each sequence's last column, and attends.
/// The output, and the cache, in whose place it is written where nobody else holds it.
pub fn attend_new(
    token: NewToken,
    keys: CubeTensor,
    values: CubeTensor,
    places: CubeTensor,
    since: u32,
) -> (CubeTensor, CubeTensor, CubeTensor) {
    let NewToken { query, key, value, cos, sin } = token;
    let [query, key, value, cos, sin, places] = dense([query, key, value, cos, sin, places]);
    let (keys, values) = (owned(keys), owned(values));
    let (client, [rows, heads, width]) = (query.client.clone(), dims(&query));
    let out = beside(&query, Shape::from([rows, heads * width]), query.dtype);
    if rows * heads * width == 0 {
        return (out, keys, values);
    }
    let vector = channels_together(width / 2);
    let blueprint = Blueprint::fitting(&client, UNITS, true);
    turn_store_attend::launch(
        &client,
        CubeCount::Static(heads as u32, rows as u32, 1),
        CubeDim::new_1d(blueprint.units),
        keys.required_address_type(),
        vector,
        query.clone().into_tensor_arg(),
        key.into_tensor_arg(),
        value.into_tensor_arg(),
        cos.into_tensor_arg(),
        sin.into_tensor_arg(),
        places.into_tensor_arg(),
        keys.clone().into_tensor_arg(),
        values.clone().into_tensor_arg(),
        out.clone().into_tensor_arg(),
        since,
        1.0 / (width as f32).sqrt(),
        width / vector,
        blueprint,
        dtype_to_storage_type(query.dtype),
    );
    (out, keys, values)
}

#[cube(launch, address_type = "dynamic")]
pub(crate) fn attend_one<F: Float, N: Size>(
    query: &Tensor<Vector<F, N>>,
    keys: &Tensor<Vector<F, N>>,
    values: &Tensor<Vector<F, N>>,
    places: &Tensor<i32>,
    out: &mut Tensor<Vector<F, N>>,
    since: u32,
    scale: f32,
    #[comptime] vectors: usize,
    #[comptime] blueprint: Blueprint,
    #[define(F)] _precision: ElemType,
) {
    let (head, row) = (CUBE_POS_X as usize, CUBE_POS_Y as usize);
    let (heads, kv_heads, capacity) = (query.shape(1), keys.shape(1), keys.shape(2));
    let units = comptime!(blueprint.units as usize);
    let unit = UNIT_POS as usize;
    let cache = (row * kv_heads + head * kv_heads / heads) * capacity * vectors;
    let first = (row * heads + head) * vectors;

    let mut asked = Shared::<[Vector<f32, N>]>::new_slice(vectors);
    let mut made = Array::<Vector<f32, N>>::new(comptime!(vectors.div_ceil(units)));
    let mut channel = unit;
    while channel < vectors {
        asked[channel] = Vector::<f32, N>::cast_from(query[first + channel]);
        channel += units;
    }
    sync_cube();
    let (start, length) = place(places, row, since, capacity);
    let found =
        over_cache::<F, N>(&asked, keys, values, cache, start, length, scale, &mut made, vectors, blueprint);
    write::<F, N>(out, first, &made, found.sum, vectors, blueprint);
}

/// A unit of the first head of those that share a key/value head also writes what is new into the cache.
#[cube(launch, address_type = "dynamic")]
pub(crate) fn turn_store_attend<F: Float, N: Size>(
    query: &Tensor<Vector<F, N>>,
    key: &Tensor<Vector<F, N>>,
    value: &Tensor<Vector<F, N>>,
    cos: &Tensor<Vector<f32, N>>,
    sin: &Tensor<Vector<f32, N>>,
    places: &Tensor<i32>,
    keys: &mut Tensor<Vector<F, N>>,
    values: &mut Tensor<Vector<F, N>>,
    out: &mut Tensor<Vector<F, N>>,
    since: u32,
    scale: f32,
    #[comptime] vectors: usize,
    #[comptime] blueprint: Blueprint,
    #[define(F)] _precision: ElemType,
) {
    let (head, row) = (CUBE_POS_X as usize, CUBE_POS_Y as usize);
    let (heads, kv_heads, capacity) = (query.shape(1), keys.shape(1), keys.shape(2));
    let units = comptime!(blueprint.units as usize);
    let half = comptime!(vectors / 2);
    let unit = UNIT_POS as usize;
    let kv_head = head * kv_heads / heads;
    let cache = (row * kv_heads + kv_head) * capacity * vectors;
    let (first, new) = ((row * heads + head) * vectors, (row * kv_heads + kv_head) * vectors);

    let mut asked = Shared::<[Vector<f32, N>]>::new_slice(vectors);
    let mut turned = Shared::<[Vector<f32, N>]>::new_slice(vectors);
    let mut made = Array::<Vector<f32, N>>::new(comptime!(vectors.div_ceil(units)));
    let mut channel = unit;
    while channel < half {
        let (c, s) = (cos[row * half + channel], sin[row * half + channel]);
        let a = Vector::<f32, N>::cast_from(query[first + channel]);
        let b = Vector::<f32, N>::cast_from(query[first + half + channel]);
        asked[channel] = a * c - b * s;
        asked[half + channel] = b * c + a * s;
        let a = Vector::<f32, N>::cast_from(key[new + channel]);
        let b = Vector::<f32, N>::cast_from(key[new + half + channel]);
        // As the cache will have it.
        turned[channel] = Vector::<f32, N>::cast_from(Vector::<F, N>::cast_from(a * c - b * s));
        turned[half + channel] = Vector::<f32, N>::cast_from(Vector::<F, N>::cast_from(b * c + a * s));
        channel += units;
    }
    sync_cube();
    let (start, length) = place(places, row, since, capacity);
    // Others may write the newest column at this very moment: it is not read from there.
    let older = length - 1;
    let found = over_cache::<F, N>(
        &asked, &*keys, &*values, cache, start, older, scale, &mut made, vectors, blueprint,
    );
    let score = inner_product::<N>(&asked, &turned, vectors) * scale;
    let most = max(found.largest, score);
    let (kept, weight) = ((found.largest - most).exp(), (score - most).exp());
    let open = cache + (start + older) % capacity * vectors;
    let mut channel = unit;
    for c in 0..comptime!(vectors.div_ceil(units)) {
        if channel < vectors {
            let fresh = value[new + channel];
            made[c] = made[c] * Vector::<f32, N>::new(kept)
                + Vector::<f32, N>::cast_from(fresh) * Vector::<f32, N>::new(weight);
            if head % (heads / kv_heads) == 0 {
                keys[open + channel] = Vector::<F, N>::cast_from(turned[channel]);
                values[open + channel] = fresh;
            }
        }
        channel += units;
    }
    write::<F, N>(out, first, &made, found.sum * kept + weight, vectors, blueprint);
}

/// Where a sequence begins in the ring, and how many columns it has.
#[cube]
fn place(places: &Tensor<i32>, row: usize, since: u32, capacity: usize) -> (usize, usize) {
    let start = places[row * comptime!(PLACES)] as usize;
    let length = places[row * comptime!(PLACES) + 1] as usize + since as usize;
    (start, min(length, capacity))
}

/// Largest score, and the sum of the weights relative to it.
#[derive(CubeType)]
struct Weighed {
    largest: f32,
    sum: f32,
}

/// Goes over `length` columns of the cache from `start` on; `made` gets the weighted sum of the channels that are this unit's.
/// By age and not by column, so that the order of the sums does not depend on how far the ring has turned.
#[cube]
fn over_cache<F: Float, N: Size>(
    asked: &Shared<[Vector<f32, N>]>,
    keys: &Tensor<Vector<F, N>>,
    values: &Tensor<Vector<F, N>>,
    cache: usize,
    start: usize,
    length: usize,
    scale: f32,
    made: &mut Array<Vector<f32, N>>,
    #[comptime] vectors: usize,
    #[comptime] blueprint: Blueprint,
) -> Weighed {
    let units = comptime!(blueprint.units as usize);
    let channels = comptime!(vectors.div_ceil(units));
    let (unit, capacity) = (UNIT_POS as usize, keys.shape(2));
    let mut weights = Shared::<[f32]>::new_slice(units);
    let mut scratch = Shared::<[f32]>::new_slice(units);
    for c in 0..channels {
        made[c] = Vector::<f32, N>::zeroed();
    }
    let mut largest = LOWEST.runtime();
    let mut sum = 0.0f32;
    let mut from = 0usize;
    while from < length {
        let mut score = LOWEST.runtime();
        if from + unit < length {
            let key = cache + (start + from + unit) % capacity * vectors;
            let mut sums = Vector::<f32, N>::zeroed();
            for channel in 0..vectors {
                sums += asked[channel] * Vector::<f32, N>::cast_from(keys[key + channel]);
            }
            score = total::<N>(sums) * scale;
        }
        let most = max(largest, reduce(score, &mut scratch, By::Largest, blueprint));
        // What was read of the piece before is read: `reduce` has all units wait.
        weights[unit] = select(from + unit < length, (score - most).exp(), 0.0);
        let added = reduce(weights[unit], &mut scratch, By::Sum, blueprint);
        let kept = (largest - most).exp();
        sum = sum * kept + added;
        largest = most;
        let count = min(units, length - from);
        for c in 0..channels {
            let channel = unit + c * units;
            if channel < vectors {
                let mut sums = made[c] * Vector::<f32, N>::new(kept);
                for column in 0..count {
                    let value = cache + (start + from + column) % capacity * vectors + channel;
                    sums +=
                        Vector::<f32, N>::new(weights[column]) * Vector::<f32, N>::cast_from(values[value]);
                }
                made[c] = sums;
            }
        }
        from += units;
    }
    Weighed { largest, sum }
}

#[cube]
fn inner_product<N: Size>(
    a: &Shared<[Vector<f32, N>]>,
    b: &Shared<[Vector<f32, N>]>,
    #[comptime] vectors: usize,
) -> f32 {
    let mut sums = Vector::<f32, N>::zeroed();
    for channel in 0..vectors {
        sums += a[channel] * b[channel];
    }
    total::<N>(sums)
}

/// The channels that are this unit's, by the sum of the weights; zero where there are none.
#[cube]
fn write<F: Float, N: Size>(
    out: &mut Tensor<Vector<F, N>>,
    first: usize,
    made: &Array<Vector<f32, N>>,
    sum: f32,
    #[comptime] vectors: usize,
    #[comptime] blueprint: Blueprint,
) {
    let units = comptime!(blueprint.units as usize);
    for c in 0..comptime!(vectors.div_ceil(units)) {
        let channel = UNIT_POS as usize + c * units;
        if channel < vectors {
            let mut values = Vector::<f32, N>::zeroed();
            if sum > 0.0 {
                values = made[c] / Vector::<f32, N>::new(sum);
            }
            out[first + channel] = Vector::<F, N>::cast_from(values);
        }
    }
}
