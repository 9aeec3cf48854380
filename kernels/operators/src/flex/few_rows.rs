//! The product of few rows with a frozen weight, `x·Wᵀ`: decoding. The weight is read from memory once, and nothing
//! of its size is written.
//!
//! Every value of the result is one dot product, summed in the same order whatever the other rows are and however the
//! work is cut into threads: a sequence decodes to the same bits alone and in a batch.

#![allow(unsafe_code)] // Loads whose bounds are checked once a row and not once a vector.

use macerator::{Scalar, Simd, Vector};
use rayon::prelude::*;

/// The most rows that are worth it: with more, a product that packs the weight once for all of them is faster.
pub(super) const MOST_ROWS: usize = crate::placement::EXACT_ROWS;

/// Values of the weight that one thread takes at a time: 256 KiB in f32, half of what a core's own cache holds.
const TASK_VALUES: usize = 64 << 10;
/// Rows of x whose sums are kept from part to part.
const ROWS: usize = 16;
/// Values of a row that are multiplied before others: with all rows, and those of the weight, 48 KiB.
const PART: usize = 512;
/// Rows of the weight that are multiplied at once, where there are registers for it; half of them elsewhere.
const GROUP: usize = 8;

/// `x·Wᵀ` for `x`, `[T, inputs]`, and `weight`, `[outputs, inputs]`, both row-major: `[T, outputs]`.
pub(super) fn few_rows(x: &[f32], weight: &[f32], inputs: usize) -> Vec<f32> {
    let (rows, outputs) = (x.len() / inputs.max(1), weight.len() / inputs.max(1));
    in_tasks([rows, outputs, inputs], |first, columns| {
        let weight = &weight[first * inputs..(first + columns.len() / rows) * inputs];
        task_products(x, weight, columns, inputs, rows);
    })
}

/// Makes a product of these rows, outputs and inputs in tasks on all cores: `work` is given the first output's number and
/// what takes the products, `[outputs of the task, rows]`. The result is `[rows, outputs]`.
pub(super) fn in_tasks(
    [rows, outputs, inputs]: [usize; 3],
    work: impl Fn(usize, &mut [f32]) + Sync,
) -> Vec<f32> {
    let task = (TASK_VALUES / inputs.max(1)).next_multiple_of(GROUP).max(GROUP);
    // [outputs, T]: a task's results lie together.
    let mut columns = vec![0.0f32; outputs * rows];
    let chunks = columns.par_chunks_mut((task * rows).max(1)).enumerate();
    chunks.for_each(|(number, columns)| work(number * task, columns));
    if rows == 1 {
        return columns;
    }
    let mut products = vec![0.0f32; rows * outputs];
    products.par_chunks_mut(outputs.max(1)).enumerate().for_each(|(row, products)| {
        for (product, column) in products.iter_mut().zip(columns.chunks_exact(rows)) {
            *product = column[row];
        }
    });
    products
}

/// `W·xᵀ` on the calling thread: `columns` is `[outputs, T]`.
pub(super) fn products(x: &[f32], weight: &[f32], columns: &mut [f32], inputs: usize, rows: usize) {
    task_products(x, weight, columns, inputs, rows);
}

/// Products of all rows of `x` with some rows of the weight: `columns` is `[rows of the weight, T]`.
#[macerator::with_simd]
fn task_products<S: Simd>(x: &[f32], weight: &[f32], columns: &mut [f32], inputs: usize, rows: usize) {
    // AVX-512 has 32 registers of 16 lanes; what has fewer lanes has 16, or needs as many for the same work.
    let group = if f32::lanes::<S>() >= 16 { GROUP } else { GROUP / 2 };
    for (weight, columns) in weight.chunks(group * inputs).zip(columns.chunks_mut(group * rows)) {
        let count = weight.len() / inputs;
        if count == GROUP {
            all_rows::<S, GROUP>(x, weight, columns, inputs, rows);
        } else if count == GROUP / 2 {
            all_rows::<S, { GROUP / 2 }>(x, weight, columns, inputs, rows);
        } else {
            for (weight, columns) in weight.chunks_exact(inputs).zip(columns.chunks_exact_mut(rows)) {
                all_rows::<S, 1>(x, weight, columns, inputs, rows);
            }
        }
    }
}

/// Products of all rows of `x` with `W` rows of the weight: a part of both that the nearest cache holds after the other.
#[inline(always)]
fn all_rows<S: Simd, const W: usize>(
    x: &[f32],
    weight: &[f32],
    columns: &mut [f32],
    inputs: usize,
    rows: usize,
) {
    let whole = inputs - inputs % f32::lanes::<S>();
    let mut first = 0;
    while first < rows {
        let last = rows.min(first + ROWS);
        let mut sums = [[0.0f32.splat::<S>(); W]; ROWS];
        let mut from = 0;
        while from < whole {
            // Two rows have their whole length at once: nothing is read twice.
            let to = if rows <= 2 { whole } else { whole.min(from + PART) };
            let mut row = first;
            while row + 2 <= last {
                let sums = &mut sums[row - first..row - first + 2];
                tile::<S, W, 2>(&x[row * inputs..(row + 2) * inputs], weight, sums, [from, to], inputs);
                row += 2;
            }
            if row < last {
                let sums = &mut sums[row - first..row - first + 1];
                tile::<S, W, 1>(&x[row * inputs..(row + 1) * inputs], weight, sums, [from, to], inputs);
            }
            from = to;
        }
        for (row, sums) in (first..last).zip(&sums) {
            for (w, sum) in sums.iter().enumerate() {
                let mut rest = 0.0f32;
                for at in whole..inputs {
                    rest += weight[w * inputs + at] * x[row * inputs + at];
                }
                columns[w * rows + row] = sum.reduce_add() + rest;
            }
        }
        first = last;
    }
}

/// Adds a part of `W` by `X` dot products, whole vectors from one value to another, to their sums.
#[inline(always)]
fn tile<S: Simd, const W: usize, const X: usize>(
    x: &[f32],
    weight: &[f32],
    kept: &mut [[Vector<S, f32>; W]],
    [from, to]: [usize; 2],
    inputs: usize,
) {
    let lanes = f32::lanes::<S>();
    assert!(x.len() == X * inputs && weight.len() == W * inputs && kept.len() == X, "whole rows");
    assert!(to <= inputs && (to - from).is_multiple_of(lanes), "whole vectors");
    let mut sums = [[0.0f32.splat::<S>(); W]; X];
    sums.copy_from_slice(kept);
    let mut at = from;
    // Loops over numbers: a closure would not be compiled for the vector units.
    while at < to {
        let mut of_x = [0.0f32.splat::<S>(); X];
        for (i, of_x) in of_x.iter_mut().enumerate() {
            // SAFETY: row `i < X` of `x` has `inputs` values, as asserted above, and `at + lanes <= to <= inputs`.
            *of_x = unsafe { f32::vload_unaligned::<S>(x.as_ptr().add(i * inputs + at)) };
        }
        for w in 0..W {
            // SAFETY: row `w < W` of `weight` has `inputs` values, as asserted above, and `at + lanes <= inputs`.
            let weight = unsafe { f32::vload_unaligned::<S>(weight.as_ptr().add(w * inputs + at)) };
            for (sums, x) in sums.iter_mut().zip(&of_x) {
                sums[w] = weight.mul_add(*x, sums[w]);
            }
        }
        at += lanes;
    }
    kept.copy_from_slice(&sums);
}
