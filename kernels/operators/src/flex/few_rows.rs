//! The product of few rows with a frozen weight, `x·Wᵀ`: decoding. The weight is read from memory once, and nothing
//! of its size is written.
//!
//! Every value of the result is one dot product, summed in the same order whatever the other rows are and however the
//! work is cut into threads: a sequence decodes to the same bits alone and in a batch.

#![allow(unsafe_code)] // Loads whose bounds are checked once a row and not once a vector.

use macerator::{Scalar, Simd};
use rayon::prelude::*;

/// The most rows that are worth it: with more, a product that packs the weight once for all of them is faster.
pub(super) const MOST_ROWS: usize = crate::placement::EXACT_ROWS;

/// Values of the weight that one thread takes at a time: 256 KiB in f32, half of what a core's own cache holds.
const TASK_VALUES: usize = 64 << 10;
/// Rows of the weight that are multiplied at once.
const GROUP: usize = 4;

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
    for (weight, columns) in weight.chunks(GROUP * inputs).zip(columns.chunks_mut(GROUP * rows)) {
        match weight.len() / inputs {
            GROUP => all_rows::<S, GROUP>(x, weight, columns, inputs, rows),
            _ => {
                for (weight, columns) in weight.chunks_exact(inputs).zip(columns.chunks_exact_mut(rows)) {
                    all_rows::<S, 1>(x, weight, columns, inputs, rows);
                }
            }
        }
    }
}

/// Products of all rows of `x` with `W` rows of the weight.
#[inline(always)]
fn all_rows<S: Simd, const W: usize>(
    x: &[f32],
    weight: &[f32],
    columns: &mut [f32],
    inputs: usize,
    rows: usize,
) {
    let mut row = 0;
    while row + 2 <= rows {
        tile::<S, W, 2>(&x[row * inputs..(row + 2) * inputs], weight, &mut columns[row..], inputs, rows);
        row += 2;
    }
    if row < rows {
        tile::<S, W, 1>(&x[row * inputs..(row + 1) * inputs], weight, &mut columns[row..], inputs, rows);
    }
}

/// `W` by `X` dot products at once, each in a vector of sums of its own. `columns[w·rows + x]` takes them.
#[inline(always)]
fn tile<S: Simd, const W: usize, const X: usize>(
    x: &[f32],
    weight: &[f32],
    columns: &mut [f32],
    inputs: usize,
    rows: usize,
) {
    let lanes = f32::lanes::<S>();
    assert!(x.len() == X * inputs && weight.len() == W * inputs, "whole rows");
    let mut sums = [[0.0f32.splat::<S>(); X]; W];
    let whole = inputs - inputs % lanes;
    let mut at = 0;
    // Loops over numbers: a closure would not be compiled for the vector units.
    while at < whole {
        let mut of_x = [0.0f32.splat::<S>(); X];
        for (i, of_x) in of_x.iter_mut().enumerate() {
            // SAFETY: row `i < X` of `x` has `inputs` values, as asserted above, and `at + lanes <= whole <= inputs`.
            *of_x = unsafe { f32::vload_unaligned::<S>(x.as_ptr().add(i * inputs + at)) };
        }
        for (w, sums) in sums.iter_mut().enumerate() {
            // SAFETY: row `w < W` of `weight` has `inputs` values, as asserted above, and `at + lanes <= inputs`.
            let weight = unsafe { f32::vload_unaligned::<S>(weight.as_ptr().add(w * inputs + at)) };
            for (sum, x) in sums.iter_mut().zip(&of_x) {
                *sum = weight.mul_add(*x, *sum);
            }
        }
        at += lanes;
    }
    for (w, sums) in sums.iter().enumerate() {
        for (i, sum) in sums.iter().enumerate() {
            let mut rest = 0.0f32;
            for at in whole..inputs {
                rest += weight[w * inputs + at] * x[i * inputs + at];
            }
            columns[w * rows + i] = sum.reduce_add() + rest;
        }
    }
}
