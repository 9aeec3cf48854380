//! The product of few rows with a frozen weight that is kept in less than f32: its words are read once, and turned into
//! f32 in registers.
//!
//! As in `few_rows`, every value is one dot product whose order of summation depends on nothing but its inputs.

#![allow(unsafe_code)] // Loads whose bounds are checked once a row and not once a vector.

use super::few_rows::in_tasks;
use crate::weight::BLOCK;
use macerator::{Scalar, Simd, Vector, vload_unaligned};
use std::borrow::Cow;

/// How a word of 32 bits holds values.
pub(super) trait Format: Copy + Default + Send + Sync {
    /// Values of a word.
    const PARTS: usize;
    /// Groups of a block of 16 words that have a scale of their own; 0: there are no scales.
    const GROUPS: usize;
    /// What [`Format::part`] has to be multiplied with.
    const FACTOR: f32;

    /// One value of every word, in f32.
    fn part<S: Simd>(words: Vector<S, u32>, part: usize) -> Vector<S, f32>;
}

/// Two neighbours in bf16, the first one in the low half.
#[derive(Clone, Copy, Default)]
pub(super) struct Halves;

impl Format for Halves {
    const PARTS: usize = 2;
    const GROUPS: usize = 0;
    const FACTOR: f32 = 1.0;

    #[inline(always)]
    fn part<S: Simd>(words: Vector<S, u32>, part: usize) -> Vector<S, f32> {
        match part {
            0 => (words << 16).reinterpret::<f32>(),
            _ => (words & 0xffff_0000u32.splat::<S>()).reinterpret::<f32>(),
        }
    }
}

/// Four whole numbers of eight bits.
#[derive(Clone, Copy, Default)]
pub(super) struct Bytes;

impl Format for Bytes {
    const PARTS: usize = 4;
    const GROUPS: usize = 1;
    const FACTOR: f32 = 1.0 / (1u32 << 24) as f32;

    #[inline(always)]
    fn part<S: Simd>(words: Vector<S, u32>, part: usize) -> Vector<S, f32> {
        highest(words << (24 - 8 * part as u32), 0xff00_0000)
    }
}

/// Eight whole numbers of four bits.
#[derive(Clone, Copy, Default)]
pub(super) struct Nibbles;

impl Format for Nibbles {
    const PARTS: usize = 8;
    const GROUPS: usize = 2;
    const FACTOR: f32 = 1.0 / (1u32 << 28) as f32;

    #[inline(always)]
    fn part<S: Simd>(words: Vector<S, u32>, part: usize) -> Vector<S, f32> {
        highest(words << (28 - 4 * part as u32), 0xf000_0000)
    }
}

/// The highest bits as a signed number, times what they stand for; exact, as they are few.
#[inline(always)]
fn highest<S: Simd>(words: Vector<S, u32>, mask: u32) -> Vector<S, f32> {
    (words & mask.splat::<S>()).reinterpret::<i32>().to_float()
}

/// A weight's rows as bytes.
#[derive(Clone, Copy)]
pub(super) struct Packed<'a> {
    /// `O` rows of `stride` bytes.
    pub(super) bytes: &'a [u8],
    pub(super) stride: usize,
    /// `[O, groups]`; empty without scales.
    pub(super) scales: &'a [f32],
    pub(super) outputs: usize,
    pub(super) inputs: usize,
}

/// `x·Wᵀ` for `x`, `[T, inputs]`: `[T, outputs]`.
pub(super) fn few_rows<F: Format>(x: &[f32], weight: Packed) -> Vec<f32> {
    let Packed { inputs, outputs, .. } = weight;
    let rows = x.len() / inputs.max(1);
    let x = arranged::<F>(x, inputs);
    let width = x.len() / rows.max(1);
    in_tasks([rows, outputs, inputs], |first, columns| {
        let Packed { bytes, stride, scales, .. } = weight;
        task(F::default(), &x, bytes, scales, columns, Task { stride, outputs, inputs, first, rows, width });
    })
}

/// A part of a product: the weight's sizes, its first row, and the rows of x and their width.
#[derive(Clone, Copy)]
struct Task {
    stride: usize,
    outputs: usize,
    inputs: usize,
    first: usize,
    rows: usize,
    width: usize,
}

/// Blocks of 16 words that are read whole; what is behind them is not, where there are no scales.
fn blocks<F: Format>(inputs: usize) -> usize {
    let block = BLOCK * F::PARTS;
    if F::GROUPS == 0 { inputs / block } else { inputs.div_ceil(block) }
}

/// The rows as the weight's words have them: quantised rows are filled up to whole blocks; of halves, the first ones of a
/// block's words come before the second ones.
fn arranged<F: Format>(x: &[f32], inputs: usize) -> Cow<'_, [f32]> {
    let block = BLOCK * F::PARTS;
    if F::GROUPS > 0 {
        let width = blocks::<F>(inputs) * block;
        if width == inputs {
            return Cow::Borrowed(x);
        }
        let mut padded = vec![0.0; x.len() / inputs.max(1) * width];
        for (padded, x) in padded.chunks_exact_mut(width.max(1)).zip(x.chunks_exact(inputs.max(1))) {
            padded[..inputs].copy_from_slice(x);
        }
        return Cow::Owned(padded);
    }
    let mut x = x.to_vec();
    let mut copy = vec![0.0f32; block];
    for row in x.chunks_exact_mut(inputs.max(1)) {
        for values in row.chunks_exact_mut(block) {
            copy.copy_from_slice(values);
            for (at, value) in copy.iter().enumerate() {
                values[at % F::PARTS * BLOCK + at / F::PARTS] = *value;
            }
        }
    }
    Cow::Owned(x)
}

/// Products of all rows of `x` with some rows of the weight, from `first` on: `columns` is `[rows of the weight, T]`.
#[macerator::with_simd]
fn task<S: Simd, F: Format>(
    _format: F,
    x: &[f32],
    bytes: &[u8],
    scales: &[f32],
    columns: &mut [f32],
    part: Task,
) {
    let Task { stride, outputs, inputs, first, rows, width } = part;
    let weight = Packed { bytes, stride, scales, outputs, inputs };
    let count = columns.len() / rows;
    let mut at = 0;
    while at + 2 <= count {
        all_rows::<S, F, 2>(x, weight, first + at, &mut columns[at * rows..(at + 2) * rows], rows, width);
        at += 2;
    }
    if at < count {
        all_rows::<S, F, 1>(x, weight, first + at, &mut columns[at * rows..], rows, width);
    }
}

/// Products of all rows of `x` with `W` rows of the weight.
#[inline(always)]
fn all_rows<S: Simd, F: Format, const W: usize>(
    x: &[f32],
    weight: Packed,
    first: usize,
    columns: &mut [f32],
    rows: usize,
    width: usize,
) {
    let mut row = 0;
    while row + 4 <= rows {
        tile::<S, F, W, 4>(
            &x[row * width..(row + 4) * width],
            weight,
            first,
            &mut columns[row..],
            rows,
            width,
        );
        row += 4;
    }
    if row + 2 <= rows {
        tile::<S, F, W, 2>(
            &x[row * width..(row + 2) * width],
            weight,
            first,
            &mut columns[row..],
            rows,
            width,
        );
        row += 2;
    }
    if row < rows {
        tile::<S, F, W, 1>(
            &x[row * width..(row + 1) * width],
            weight,
            first,
            &mut columns[row..],
            rows,
            width,
        );
    }
}

/// `W` by `X` dot products at once. `columns[w·rows + x]` takes them.
#[inline(always)]
fn tile<S: Simd, F: Format, const W: usize, const X: usize>(
    x: &[f32],
    weight: Packed,
    first: usize,
    columns: &mut [f32],
    rows: usize,
    width: usize,
) {
    let Packed { stride, inputs, scales, .. } = weight;
    let (lanes, blocks) = (f32::lanes::<S>(), blocks::<F>(inputs));
    let words = &weight.bytes[first * stride..(first + W) * stride];
    let groups = blocks * F::GROUPS;
    assert!(BLOCK.is_multiple_of(lanes) && blocks * BLOCK * 4 <= stride, "whole vectors, whole rows");
    assert!(x.len() == X * width && blocks * BLOCK * F::PARTS <= width, "whole rows");
    let scales = if F::GROUPS > 0 { &scales[first * groups..(first + W) * groups] } else { scales };
    let mut totals = [[0.0f32.splat::<S>(); X]; W];
    // Loops over numbers: a closure would not be compiled for the vector units.
    for block in 0..blocks {
        let parts = F::PARTS / F::GROUPS.max(1);
        for group in 0..F::GROUPS.max(1) {
            let mut sums = if F::GROUPS > 0 { [[0.0f32.splat::<S>(); X]; W] } else { totals };
            let mut at = 0;
            while at < BLOCK {
                let mut of_w = [0u32.splat::<S>(); W];
                for (w, of_w) in of_w.iter_mut().enumerate() {
                    // SAFETY: row `w < W` of `words` has `stride` bytes, as it was cut, and this vector ends at or before
                    // the row's `blocks * BLOCK * 4` bytes, which are no more than that, as asserted above.
                    *of_w = unsafe {
                        let from = words.as_ptr().add(w * stride + (block * BLOCK + at) * 4);
                        vload_unaligned::<S, u32>(from.cast())
                    };
                }
                for part in group * parts..(group + 1) * parts {
                    let mut of_x = [0.0f32.splat::<S>(); X];
                    for (i, of_x) in of_x.iter_mut().enumerate() {
                        let from = i * width + (block * F::PARTS + part) * BLOCK + at;
                        // SAFETY: row `i < X` of `x` has `width` values, and this vector ends at or before its
                        // `blocks * BLOCK * PARTS`, which are no more than that, as asserted above.
                        *of_x = unsafe { vload_unaligned::<S, f32>(x.as_ptr().add(from)) };
                    }
                    for (of_w, sums) in of_w.iter().zip(&mut sums) {
                        let value = F::part::<S>(*of_w, part);
                        for (sum, x) in sums.iter_mut().zip(&of_x) {
                            *sum = value.mul_add(*x, *sum);
                        }
                    }
                }
                at += lanes;
            }
            if F::GROUPS == 0 {
                totals = sums;
                continue;
            }
            for (w, (totals, sums)) in totals.iter_mut().zip(&sums).enumerate() {
                let scale = (scales[w * groups + block * F::GROUPS + group] * F::FACTOR).splat::<S>();
                for (total, sum) in totals.iter_mut().zip(sums) {
                    *total = sum.mul_add(scale, *total);
                }
            }
        }
    }
    let whole = blocks * BLOCK * F::PARTS;
    for (w, totals) in totals.iter().enumerate() {
        for (i, total) in totals.iter().enumerate() {
            let mut rest = 0.0f32;
            // Only halves have a rest.
            for at in whole..inputs {
                let from = w * stride + 2 * at;
                let half = u16::from_le_bytes([words[from], words[from + 1]]);
                rest += f32::from_bits(u32::from(half) << 16) * x[i * width + at];
            }
            columns[w * rows + i] = total.reduce_add() + rest;
        }
    }
}
