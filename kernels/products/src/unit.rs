//! Products on the processor's matrix unit.
//!
//! [`DEPTH`] values of the inner side at a time, both factors are packed into tiles, each once. A task multiplies [`TALL`] rows,
//! whose tiles stay in a core's own cache from task to task, by [`WIDE`] columns.

#![allow(unsafe_code)] // Tasks write parts of one result.

mod machine;
mod parts;

use crate::matrix::Matrix;
use crate::task::{Target, Threads, is_shared};
pub(crate) use machine::is_there;
pub(crate) use parts::Source;
use parts::{DEEP, Side, Tile, WIDE, add, step};
use rayon::prelude::*;
use std::cell::RefCell;
use std::ops::Range;

/// Values of the inner side that are packed at a time.
const DEPTH: usize = 512;
/// Rows of the left factor, and columns of the right one, that are packed at a time at most: 12 MiB of tiles each.
const SPAN: usize = 4096;
/// Rows of a task at most: 768 KiB of tiles.
const TALL: usize = 256;

thread_local! {
    /// The tiles of both factors; kept for the thread's next product.
    static PACKED: RefCell<[Vec<Tile>; 2]> = const { RefCell::new([const { Vec::new() }; 2]) };
    /// The sums of a task.
    static SUMS: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Whether packing both factors pays: measured against the vector units.
pub(crate) fn is_worth_it(rows: usize, inner: usize, columns: usize) -> bool {
    rows >= 96 && columns >= 192 && inner >= 4 * DEEP && is_there()
}

/// # Panics
/// If there is no matrix unit, or no inner side.
pub(crate) fn product<B: Source>(into: Target, a: Matrix, b: Matrix<B>, threads: Threads) {
    let (rows, inner, columns) = (a.rows(), a.columns(), b.columns());
    assert!(is_there() && inner > 0, "a matrix unit, and something to sum");
    let is_shared = is_shared(threads, rows, inner, columns);
    let (left, right) = (Side::left(&a, B::LEFT), Side::right(&b));
    let Target { out, stride, kept, factor } = into;
    let mut out = Output { first: out.as_mut_ptr(), stride, kept, factor };
    let [mut left_tiles, mut right_tiles] = PACKED.take();
    for from in (0..inner).step_by(DEPTH) {
        let steps = DEPTH.min(inner - from).div_ceil(DEEP);
        let (of_left, of_right) = (steps * step(B::LEFT), steps * step(B::PARTS));
        for columns in spans(columns) {
            right.pack(&columns, from, steps, &mut right_tiles, is_shared);
            for rows in spans(rows) {
                left.pack(&rows, from, steps, &mut left_tiles, is_shared);
                let across = columns.len().div_ceil(WIDE);
                let height = rows.len().div_ceil(rows.len().div_ceil(TALL)).next_multiple_of(WIDE);
                let task = |number: usize| {
                    let (first, block) = (number / across * height, number % across);
                    let count = height.min(rows.len() - first);
                    let part = Part {
                        left: &left_tiles[first / WIDE * of_left..][..count.div_ceil(WIDE) * of_left],
                        right: &right_tiles[block * of_right..][..of_right],
                        steps,
                        rows: rows.start + first..rows.start + first + count,
                        columns: columns.start + block * WIDE
                            ..columns.end.min(columns.start + (block + 1) * WIDE),
                    };
                    // SAFETY: the rows and columns are the result's, and no other task has the same of both.
                    unsafe { part.multiply::<B>(&out) };
                };
                let tasks = rows.len().div_ceil(height) * across;
                if is_shared {
                    (0..tasks).into_par_iter().for_each(task);
                } else {
                    (0..tasks).for_each(task);
                }
            }
        }
        out.kept = 1.0;
    }
    PACKED.set([left_tiles, right_tiles]);
}

/// So many rows or columns in parts of [`SPAN`].
fn spans(count: usize) -> impl Iterator<Item = Range<usize>> {
    (0..count).step_by(SPAN).map(move |first| first..count.min(first + SPAN))
}

/// Where tasks write: `[rows, stride]`.
struct Output {
    first: *mut f32,
    stride: usize,
    kept: f32,
    factor: f32,
}

// SAFETY: the pointer is that of a borrowed result, and tasks write parts of their own.
unsafe impl Send for Output {}
// SAFETY: as above.
unsafe impl Sync for Output {}

/// A part of the result, and the tiles that it is made of.
struct Part<'a> {
    left: &'a [Tile],
    right: &'a [Tile],
    /// Of both along the inner side.
    steps: usize,
    rows: Range<usize>,
    columns: Range<usize>,
}

impl Part<'_> {
    /// Adds the product of the tiles to the part of the result.
    ///
    /// # Safety
    /// The result has the rows and the columns, and nobody else uses where they meet.
    unsafe fn multiply<B: Source>(&self, out: &Output) {
        let mut sums = SUMS.take();
        sums.resize(self.rows.len().next_multiple_of(WIDE) * WIDE, 0.0);
        machine::multiply::<B>(self.left, self.right, self.steps, &mut sums);
        let Output { first, stride, kept, factor } = *out;
        for (row, sums) in self.rows.clone().zip(sums.chunks_exact(WIDE)) {
            let at = row * stride + self.columns.start;
            // SAFETY: the row lies within the result, as the caller says, and nobody else uses its columns; processors
            // with the matrix unit have AVX-512.
            unsafe {
                let out = std::slice::from_raw_parts_mut(first.add(at), self.columns.len());
                add(out, sums, kept, factor);
            }
        }
        SUMS.set(sums);
    }
}
