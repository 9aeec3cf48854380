//! Attention over packed sequences on the CPU, tile by tile.
//!
//! A task is a tile of query rows with all of their heads, so that it alone writes its rows of the output; in the
//! backward's second pass it is a tile of key rows. The scores of a tile are all that is ever held of them, and nothing
//! depends on the number of threads.

use super::share::{dense, tensor, values, zeros};
use super::vector::{dot, exp, filled, load, store};
use crate::attention::fused::AttentionBackend;
use crate::attention::{Segment, Segments};
use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use macerator::{Scalar, Simd, Vector};
use rayon::prelude::*;
use std::ops::Range;
use vigos_products::{Matrix, Threads, product};

/// Rows of a tile that a task is made of.
const TILE: usize = 64;
/// Rows on the other side that it meets at once: the scores take 64 KiB.
const ACROSS: usize = 256;

impl AttentionBackend for Flex {
    fn attend(
        query: FlexTensor,
        key: FlexTensor,
        value: FlexTensor,
        segments: Segments,
        is_causal: bool,
    ) -> FlexTensor {
        Self::attend_kept(query, key, value, segments, is_causal).0
    }

    fn attend_kept(
        query: FlexTensor,
        key: FlexTensor,
        value: FlexTensor,
        segments: Segments,
        is_causal: bool,
    ) -> (FlexTensor, FlexTensor) {
        let (query, key, value) = (dense(query), dense(key), dense(value));
        let problem = Problem::new(&query, &key, &value, is_causal);
        let (rows, heads, width) = (problem.rows, problem.heads, problem.width);
        let (mut output, mut log_sums) = (zeros(rows * heads * width), vec![0.0f32; rows * heads]);
        let tiles = tiles(&segments);
        let lengths = || tiles.iter().map(|tile| tile.rows.len());
        let outputs = cut(&mut output, lengths().map(|rows| rows * heads * width));
        let sums = cut(&mut log_sums, lengths().map(|rows| rows * heads));
        tiles.par_iter().zip(outputs).zip(sums).for_each_init(
            Scratch::default,
            |scratch, ((tile, out), sums)| {
                for head in 0..heads {
                    problem.forward(tile, head, out, sums, scratch);
                }
            },
        );
        (tensor(output, [rows, heads * width]), tensor(log_sums, [rows, heads]))
    }

    fn attend_back(
        query: FlexTensor,
        key: FlexTensor,
        value: FlexTensor,
        output: FlexTensor,
        log_sums: FlexTensor,
        upstream: FlexTensor,
        segments: Segments,
        is_causal: bool,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let [query, key, value, output, log_sums, upstream] =
            [query, key, value, output, log_sums, upstream].map(dense);
        let problem = Problem::new(&query, &key, &value, is_causal);
        let (rows, heads, kv_heads, width) = (problem.rows, problem.heads, problem.kv_heads, problem.width);
        let (output, upstream) = (values(&output), values(&upstream));
        // Σ over the head of ∂output·output, which is Σ over the keys of weight·∂weight.
        let means: Vec<f32> = output
            .par_chunks_exact(width)
            .zip(upstream.par_chunks_exact(width))
            .map(|(output, upstream)| inner(output, upstream))
            .collect();
        let back = Back { problem, log_sums: values(&log_sums), upstream, means: &means };

        let tiles = tiles(&segments);
        let lengths = || tiles.iter().map(|tile| tile.rows.len());
        let mut of_query = zeros(rows * heads * width);
        let parts = cut(&mut of_query, lengths().map(|rows| rows * heads * width));
        tiles.par_iter().zip(parts).for_each_init(Scratch::default, |scratch, (tile, out)| {
            for head in 0..heads {
                back.query(tile, head, out, scratch);
            }
        });
        let (mut of_key, mut of_value) = (zeros(rows * kv_heads * width), zeros(rows * kv_heads * width));
        let of_keys = cut(&mut of_key, lengths().map(|rows| rows * kv_heads * width));
        let of_values = cut(&mut of_value, lengths().map(|rows| rows * kv_heads * width));
        tiles.par_iter().zip(of_keys).zip(of_values).for_each_init(
            Scratch::default,
            |scratch, ((tile, of_key), of_value)| {
                for head in 0..heads {
                    back.key_value(tile, head, of_key, of_value, scratch);
                }
            },
        );
        let kv_shape = [rows, kv_heads, width];
        (tensor(of_query, [rows, heads, width]), tensor(of_key, kv_shape), tensor(of_value, kv_shape))
    }
}

/// Some rows of a segment.
struct Tile {
    rows: Range<usize>,
    segment: Segment,
    /// The rows of segments that go on from this one.
    readers: Vec<Range<usize>>,
}

fn tiles(segments: &Segments) -> Vec<Tile> {
    let of_segment = |segment: &Segment| {
        let segment = segment.clone();
        let goes_on = |s: &&Segment| s.before == segment.rows;
        let readers: Vec<Range<usize>> = segments.iter().filter(goes_on).map(|s| s.rows.clone()).collect();
        segment.rows.clone().step_by(TILE).map(move |start| Tile {
            rows: start..segment.rows.end.min(start + TILE),
            segment: segment.clone(),
            readers: readers.clone(),
        })
    };
    segments.iter().flat_map(of_segment).collect()
}

/// Cuts values into parts of these lengths.
fn cut(mut values: &mut [f32], lengths: impl Iterator<Item = usize>) -> Vec<&mut [f32]> {
    let mut parts = Vec::new();
    for length in lengths {
        let (part, rest) = std::mem::take(&mut values).split_at_mut(length);
        parts.push(part);
        values = rest;
    }
    parts
}

/// What a task needs besides its rows; kept from one to the next.
#[derive(Default)]
struct Scratch {
    scores: Vec<f32>,
    slopes: Vec<f32>,
    /// Largest score and sum of exponentials of each row.
    largest: Vec<f32>,
    sums: Vec<f32>,
}

/// Queries, keys and values.
#[derive(Clone, Copy)]
struct Problem<'a> {
    query: &'a [f32],
    key: &'a [f32],
    value: &'a [f32],
    rows: usize,
    heads: usize,
    kv_heads: usize,
    width: usize,
    /// 1/√C
    scale: f32,
    is_causal: bool,
}

impl<'a> Problem<'a> {
    fn new(query: &'a FlexTensor, key: &'a FlexTensor, value: &'a FlexTensor, is_causal: bool) -> Self {
        let shape = query.layout().shape();
        let (rows, heads, width) = (shape[0], shape[1], shape[2]);
        Self {
            query: values(query),
            key: values(key),
            value: values(value),
            rows,
            heads,
            kv_heads: key.layout().shape()[1],
            width,
            scale: 1.0 / (width as f32).sqrt(),
            is_causal,
        }
    }

    /// The queries, or what has their shape, of some rows and one head. `[rows, C]`
    fn of_query(&self, values: &'a [f32], rows: &Range<usize>, head: usize) -> Matrix<'a> {
        strided(values, rows, head, self.heads, self.width)
    }

    /// The keys or values of some rows that a query head reads. `[rows, C]`
    fn of_key(&self, values: &'a [f32], rows: &Range<usize>, head: usize) -> Matrix<'a> {
        strided(values, rows, head * self.kv_heads / self.heads, self.kv_heads, self.width)
    }

    /// The rows that a query tile reads, in pieces.
    fn read_by(&self, tile: &Tile) -> impl Iterator<Item = Range<usize>> + use<> {
        let Segment { rows, before } = &tile.segment;
        let own = rows.start..if self.is_causal { tile.rows.end } else { rows.end };
        pieces(before.clone()).chain(pieces(own))
    }

    /// The rows that read a key tile, in pieces.
    fn reading(&self, tile: &Tile) -> impl Iterator<Item = Range<usize>> {
        let rows = &tile.segment.rows;
        let own = if self.is_causal { tile.rows.start } else { rows.start }..rows.end;
        pieces(own).chain(tile.readers.clone().into_iter().flat_map(pieces))
    }

    /// Scores of queries with keys, `[queries, keys]`; −∞ where a key comes after its query.
    fn scores(&self, head: usize, queries: &Range<usize>, keys: &Range<usize>, scores: &mut Vec<f32>) {
        let (count, across) = (queries.len(), keys.len());
        scores.resize(count * across, 0.0);
        let factors =
            [self.of_query(self.query, queries, head), self.of_key(self.key, keys, head).transposed()];
        product(scores, across, 0.0, self.scale, factors, Threads::One);
        if self.is_causal && keys.end > queries.start + 1 {
            for (query, scores) in queries.clone().zip(scores.chunks_exact_mut(across)) {
                let seen = (query + 1).saturating_sub(keys.start).min(across);
                scores[seen..].fill(f32::NEG_INFINITY);
            }
        }
    }

    /// Output and log-sum-exp of one head of a tile. `out` is `[rows, H·C]`, `log_sums` `[rows, H]`.
    fn forward(
        &self,
        tile: &Tile,
        head: usize,
        out: &mut [f32],
        log_sums: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let (heads, width, count) = (self.heads, self.width, tile.rows.len());
        let Scratch { scores, largest, sums, .. } = scratch;
        largest.clear();
        largest.resize(count, f32::NEG_INFINITY);
        sums.clear();
        sums.resize(count, 0.0);
        let stride = heads * width;
        let own = |row: usize| row * stride + head * width..row * stride + (head + 1) * width;
        for keys in self.read_by(tile) {
            self.scores(head, &tile.rows, &keys, scores);
            for (row, scores) in scores.chunks_exact_mut(keys.len()).enumerate() {
                let (largest, sum) = (&mut largest[row], &mut sums[row]);
                let (raised, added) = exponentials(scores, *largest);
                let kept = if raised > *largest { (*largest - raised).exp() } else { 1.0 };
                if kept != 1.0 && *sum > 0.0 {
                    out[own(row)].iter_mut().for_each(|value| *value *= kept);
                }
                *sum = *sum * kept + added;
                *largest = raised;
            }
            let weights = Matrix::new(scores, [count, keys.len()], keys.len());
            let factors = [weights, self.of_key(self.value, &keys, head)];
            product(&mut out[head * width..], stride, 1.0, 1.0, factors, Threads::One);
        }
        for row in 0..count {
            let inverse = 1.0 / sums[row];
            out[own(row)].iter_mut().for_each(|value| *value *= inverse);
            log_sums[row * heads + head] = largest[row] + sums[row].ln();
        }
    }
}

/// What the backward needs besides.
struct Back<'a> {
    problem: Problem<'a>,
    /// `[T, H]`
    log_sums: &'a [f32],
    /// `[T, H·C]`
    upstream: &'a [f32],
    /// `[T, H]`
    means: &'a [f32],
}

impl Back<'_> {
    /// Weights of queries and keys, and the gradient of their scores: weight·(∂output·value − mean).
    fn slopes(&self, head: usize, queries: &Range<usize>, keys: &Range<usize>, scratch: &mut Scratch) {
        let Self { problem, log_sums, upstream, means } = self;
        let (heads, across) = (problem.heads, keys.len());
        problem.scores(head, queries, keys, &mut scratch.scores);
        scratch.slopes.resize(queries.len() * across, 0.0);
        let factors = [
            problem.of_query(upstream, queries, head),
            problem.of_key(problem.value, keys, head).transposed(),
        ];
        product(&mut scratch.slopes, across, 0.0, 1.0, factors, Threads::One);
        let rows = scratch.scores.chunks_exact_mut(across).zip(scratch.slopes.chunks_exact_mut(across));
        for (query, (scores, slopes)) in queries.clone().zip(rows) {
            let at = query * heads + head;
            weights_and_slopes(scores, slopes, log_sums[at], means[at]);
        }
    }

    /// Adds the gradient of one head of a tile's queries. `out` is `[rows, H·C]`.
    fn query(&self, tile: &Tile, head: usize, out: &mut [f32], scratch: &mut Scratch) {
        let problem = &self.problem;
        let width = problem.width;
        for keys in problem.read_by(tile) {
            self.slopes(head, &tile.rows, &keys, scratch);
            let slopes = Matrix::new(&scratch.slopes, [tile.rows.len(), keys.len()], keys.len());
            let factors = [slopes, problem.of_key(problem.key, &keys, head)];
            let stride = problem.heads * width;
            product(&mut out[head * width..], stride, 1.0, problem.scale, factors, Threads::One);
        }
    }

    /// Adds what one query head gives to the gradients of a tile's keys and values, each `[rows, Hkv·C]`.
    fn key_value(
        &self,
        tile: &Tile,
        head: usize,
        of_key: &mut [f32],
        of_value: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let problem = &self.problem;
        let (width, stride) = (problem.width, problem.kv_heads * problem.width);
        let first = head * problem.kv_heads / problem.heads * width;
        for queries in problem.reading(tile) {
            self.slopes(head, &queries, &tile.rows, scratch);
            let shape = [queries.len(), tile.rows.len()];
            let weights = Matrix::new(&scratch.scores, shape, tile.rows.len()).transposed();
            let upstream = problem.of_query(self.upstream, &queries, head);
            product(&mut of_value[first..], stride, 1.0, 1.0, [weights, upstream], Threads::One);
            let slopes = Matrix::new(&scratch.slopes, shape, tile.rows.len()).transposed();
            let query = problem.of_query(problem.query, &queries, head);
            product(&mut of_key[first..], stride, 1.0, problem.scale, [slopes, query], Threads::One);
        }
    }
}

/// Some rows of one head of `[T, heads, C]`.
fn strided<'a>(
    values: &'a [f32],
    rows: &Range<usize>,
    head: usize,
    heads: usize,
    width: usize,
) -> Matrix<'a> {
    Matrix::new(&values[(rows.start * heads + head) * width..], [rows.len(), width], heads * width)
}

/// A range in pieces of [`ACROSS`].
fn pieces(rows: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    rows.clone().step_by(ACROSS).map(move |start| start..rows.end.min(start + ACROSS))
}

/// Σ a·b
#[macerator::with_simd]
fn inner<S: Simd>(a: &[f32], b: &[f32]) -> f32 {
    dot::<S>(a, b)
}

/// Replaces scores by exp(score − m), where m is the largest of them and of `before`: m, and their sum.
#[macerator::with_simd]
fn exponentials<S: Simd>(scores: &mut [f32], before: f32) -> (f32, f32) {
    let lanes = f32::lanes::<S>();
    let whole = scores.len() - scores.len() % lanes;
    let (vectors, rest) = scores.split_at_mut(whole);
    let mut most = before.splat::<S>();
    for values in vectors.chunks_exact(lanes) {
        most = load::<S>(values).max(most);
    }
    let mut most = most.reduce_max();
    for score in rest.iter() {
        most = most.max(*score);
    }
    let centre = if most == f32::NEG_INFINITY { 0.0 } else { most };
    let mut last = filled(rest, f32::NEG_INFINITY);
    let sum = exponentials_of_vectors::<S>(vectors, centre) + exponentials_of_vectors::<S>(&mut last, centre);
    rest.copy_from_slice(&last[..rest.len()]);
    (most, sum.reduce_add())
}

/// Replaces scores by their weights exp(score − log-sum), and slopes by weight·(slope − mean).
#[macerator::with_simd]
fn weights_and_slopes<S: Simd>(scores: &mut [f32], slopes: &mut [f32], log_sum: f32, mean: f32) {
    let whole = scores.len() - scores.len() % f32::lanes::<S>();
    let (vectors, rest) = scores.split_at_mut(whole);
    let mut last = filled(rest, f32::NEG_INFINITY);
    exponentials_of_vectors::<S>(vectors, log_sum);
    exponentials_of_vectors::<S>(&mut last, log_sum);
    rest.copy_from_slice(&last[..rest.len()]);
    for (slope, weight) in slopes.iter_mut().zip(scores.iter()) {
        *slope = *weight * (*slope - mean);
    }
}

/// Replaces whole vectors of scores by exp(score − centre): the sum of the vectors.
#[inline(always)]
fn exponentials_of_vectors<S: Simd>(scores: &mut [f32], centre: f32) -> Vector<S, f32> {
    let (centre, mut sum) = (centre.splat::<S>(), 0.0f32.splat::<S>());
    for values in scores.chunks_exact_mut(f32::lanes::<S>()) {
        let value = exp::<S>(load::<S>(values) - centre);
        sum += value;
        store::<S>(value, values);
    }
    sum
}
