//! Attention over a key/value cache on the CPU: a task is one row and one key/value head, with the query heads that share
//! it.

#![allow(clippy::extra_unused_type_parameters)] // Plain loops, compiled for each width of the vector units.

use super::few_rows::products;
use super::share::{dense, tensor, values as values_of};
use super::vector::{exp, filled, load, store};
use crate::decode::fused::DecodeBackend;
use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use macerator::{Scalar, Simd};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;

/// Multiplications that are worth waking another thread.
const WORTH_IT: usize = 64 << 10;

impl DecodeBackend for Flex {
    fn decode_attend(
        query: FlexTensor,
        keys: FlexTensor,
        values: FlexTensor,
        columns: Arc<[Range<usize>]>,
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
            let columns = &columns[number / kv_heads];
            let own = |all: &'_ [f32]| -> Range<usize> {
                debug_assert_eq!(all.len(), rows * kv_heads * capacity * width);
                let first = number * capacity;
                (first + columns.start) * width..(first + columns.end) * width
            };
            let query = &query[number * group..(number + 1) * group];
            attend(query, &keys[own(keys)], &values[own(values)], width, output);
        };
        let most = columns.iter().map(Range::len).max().unwrap_or(0);
        if rows * heads * width * most < WORTH_IT {
            output.chunks_exact_mut(group.max(1)).enumerate().for_each(task);
        } else {
            output.par_chunks_exact_mut(group.max(1)).enumerate().for_each(task);
        }
        tensor(output, [rows, heads * width])
    }
}

/// Queries `[G, C]` over keys and values `[L, C]`; `output` is `[G, C]`.
fn attend(query: &[f32], keys: &[f32], values: &[f32], width: usize, output: &mut [f32]) {
    let (group, length) = (query.len() / width, keys.len() / width);
    if length == 0 {
        return;
    }
    // [L, G]
    let mut scores = vec![0.0f32; length * group];
    products(query, keys, &mut scores, width, group);
    let mut weights = vec![0.0f32; length];
    for (head, output) in output.chunks_exact_mut(width).enumerate() {
        for (weight, scores) in weights.iter_mut().zip(scores.chunks_exact(group)) {
            *weight = scores[head];
        }
        let sum = softmax(&mut weights, 1.0 / (width as f32).sqrt());
        mix(&weights, values, sum, output);
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

/// `output ← Σ weight·value / sum`
#[macerator::with_simd]
fn mix<S: Simd>(weights: &[f32], values: &[f32], sum: f32, output: &mut [f32]) {
    output.fill(0.0);
    for (weight, value) in weights.iter().zip(values.chunks_exact(output.len())) {
        for (output, value) in output.iter_mut().zip(value) {
            *output += weight * value;
        }
    }
    for output in output.iter_mut() {
        *output /= sum;
    }
}
