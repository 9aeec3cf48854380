//! Attention over a key/value cache on the CPU: a task is one row and one key/value head, with the query heads that share
//! it.

#![allow(clippy::extra_unused_type_parameters)] // Plain loops, compiled for each width of the vector units.

use super::few_rows::products;
use super::share::{dense, tensor, values as values_of};
use super::vector::{exp, filled, load, store};
use crate::decode::Columns;
use crate::decode::fused::DecodeBackend;
use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use macerator::{Scalar, Simd};
use rayon::prelude::*;

/// Multiplications that are worth waking another thread.
const WORTH_IT: usize = 64 << 10;

impl DecodeBackend for Flex {
    fn decode_attend(
        query: FlexTensor,
        keys: FlexTensor,
        values: FlexTensor,
        columns: Columns,
    ) -> FlexTensor {
        let (query, keys, values) = (dense(query), dense(keys), dense(values));
        let shape = query.layout().shape();
        let (rows, heads, width) = (shape[0], shape[1], shape[2]);
        let (kv_heads, capacity) = (keys.layout().shape()[1], keys.layout().shape()[2]);
        let (query, keys, values) = (values_of(&query), values_of(&keys), values_of(&values));
        // Heads that share keys lie together, in the queries and in the output.
        let group = heads / kv_heads * width;
        let mut output = vec![0.0f32; rows * heads * width];
        let task = |(number, output): (usize, &mut [f32])| {
            let parts = columns.parts(number / kv_heads);
            let first = number * capacity;
            let own = parts.map(|part| (first + part.start) * width..(first + part.end) * width);
            let [keys, values] = [keys, values].map(|all| own.clone().map(|part| &all[part]));
            let query = &query[number * group..(number + 1) * group];
            attend(query, keys, values, width, output);
        };
        let most = columns.longest();
        if rows * heads * width * most < WORTH_IT {
            output.chunks_exact_mut(group.max(1)).enumerate().for_each(task);
        } else {
            output.par_chunks_exact_mut(group.max(1)).enumerate().for_each(task);
        }
        tensor(output, [rows, heads * width])
    }
}

/// Queries `[G, C]` over keys and values `[L, C]`, which lie in two parts; `output` is `[G, C]`. Where a sequence is cut into
/// its parts does not enter its sums.
fn attend(query: &[f32], keys: [&[f32]; 2], values: [&[f32]; 2], width: usize, output: &mut [f32]) {
    let (group, length) = (query.len() / width, (keys[0].len() + keys[1].len()) / width);
    if length == 0 {
        return;
    }
    // [L, G]
    let mut scores = vec![0.0f32; length * group];
    let (older, newer) = scores.split_at_mut(keys[0].len() / width * group);
    products(query, keys[0], older, width, group);
    products(query, keys[1], newer, width, group);
    let mut weights = vec![0.0f32; length];
    for (head, output) in output.chunks_exact_mut(width).enumerate() {
        for (weight, scores) in weights.iter_mut().zip(scores.chunks_exact(group)) {
            *weight = scores[head];
        }
        let sum = softmax(&mut weights, 1.0 / (width as f32).sqrt());
        let (older, newer) = weights.split_at(values[0].len() / width);
        output.fill(0.0);
        mix(older, values[0], output);
        mix(newer, values[1], output);
        for output in output.iter_mut() {
            *output /= sum;
        }
    }
}

/// Replaces scores by exp(scale·(score − largest)): their sum.
#[macerator::with_simd]
fn softmax<S: Simd>(scores: &mut [f32], scale: f32) -> f32 {
    let mut most = f32::NEG_INFINITY;
    for score in scores.iter() {
        most = most.max(*score);
    }
    let most = if most == f32::NEG_INFINITY { 0.0 } else { most };
    let lanes = f32::lanes::<S>();
    let whole = scores.len() - scores.len() % lanes;
    let (vectors, rest) = scores.split_at_mut(whole);
    let mut last = filled(rest, f32::NEG_INFINITY);
    let (most, scale, mut sum) = (most.splat::<S>(), scale.splat::<S>(), 0.0f32.splat::<S>());
    for values in vectors.chunks_exact_mut(lanes).chain(last.chunks_exact_mut(lanes)) {
        let value = exp::<S>((load::<S>(values) - most) * scale);
        sum += value;
        store::<S>(value, values);
    }
    rest.copy_from_slice(&last[..rest.len()]);
    sum.reduce_add()
}

/// `output ← output + Σ weight·value`
#[macerator::with_simd]
fn mix<S: Simd>(weights: &[f32], values: &[f32], output: &mut [f32]) {
    for (weight, value) in weights.iter().zip(values.chunks_exact(output.len())) {
        for (output, value) in output.iter_mut().zip(value) {
            *output += weight * value;
        }
    }
}
