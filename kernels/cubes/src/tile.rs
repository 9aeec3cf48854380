//! What the kernels of attention share: a tile of rows in shared memory, and which row reads which.
//!
//! A cube has as many units along a tile's rows as across them. Unit (x, y) works on rows y, y + side, … and on columns, or on
//! vectors of channels, x, x + side, …

#![allow(missing_docs, reason = "the macro makes items of its own beside the documented ones")]

use cubecl::ir::HardwareProperties;
use cubecl::prelude::*;

/// Columns of the table that says which rows a row reads: all from the first up to the second, and all from the third up to
/// the fourth; and from the fifth up to the sixth are all that read it, and maybe others.
pub const RANGES: usize = 6;
/// Below every score; far enough from the end of f32 that a difference of two scores stays finite.
pub(crate) const LOWEST: f32 = -1e30;
/// Units along each side of a cube, at most.
const SIDE: u32 = 16;

/// The shape of a launch: of a tile, and of the heads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Tiling {
    /// Rows of a tile, of queries and of keys.
    pub rows: usize,
    /// Units along each side of a cube; divides `rows`.
    pub side: usize,
    /// Vectors of a row of a head.
    pub vectors: usize,
}

impl Tiling {
    /// The largest tile of which `held`, of `width` channels in f32 each, and three of scores fit in a cube's shared memory.
    pub(crate) fn fitting(hardware: &HardwareProperties, held: usize, width: usize, vector: usize) -> Self {
        let units = hardware.max_units_per_cube.min(hardware.max_cube_dim.0).max(1);
        let fits = |rows: u32| {
            let (side, rows) = (rows.min(SIDE), rows as usize);
            let numbers = held * rows * (width + vector) + 2 * rows * (rows + 1);
            side * side <= units && numbers * 4 <= hardware.max_shared_memory_size
        };
        let rows = [32, 16, 8, 4, 2].into_iter().find(|&rows| fits(rows)).unwrap_or(1);
        Self { rows: rows as usize, side: rows.min(SIDE) as usize, vectors: width / vector }
    }

    /// Units of a cube.
    pub(crate) fn units(&self) -> CubeDim {
        CubeDim::new_1d((self.side * self.side) as u32)
    }
}

/// How many neighbouring channels go together.
pub(crate) fn channels_together(width: usize) -> usize {
    if width.is_multiple_of(4) { 4 } else { 1 }
}

/// Copies rows `first` to `first + tile` of a head of `x`, `[T, heads·C]`, to shared memory; those at `end` and behind it are
/// zero.
#[cube]
pub(crate) fn fetch<F: Float, N: Size>(
    x: &Tensor<Vector<F, N>>,
    held: &mut Shared<[Vector<f32, N>]>,
    first: usize,
    end: usize,
    head: usize,
    heads: usize,
    #[comptime] tiling: Tiling,
) {
    let vectors = comptime!(tiling.vectors);
    let mut i = UNIT_POS as usize;
    while i < comptime!(tiling.rows * tiling.vectors) {
        let (row, channel) = (i / vectors, i % vectors);
        let mut values = Vector::<f32, N>::zeroed();
        if first + row < end {
            values = Vector::<f32, N>::cast_from(x[((first + row) * heads + head) * vectors + channel]);
        }
        held[row * (vectors + 1) + channel] = values;
        i += CUBE_DIM as usize;
    }
}

/// Σ over the channels of a row of one tile and a row of another.
#[cube]
pub(crate) fn inner<N: Size>(
    a: &Shared<[Vector<f32, N>]>,
    b: &Shared<[Vector<f32, N>]>,
    row: usize,
    other: usize,
    #[comptime] tiling: Tiling,
) -> f32 {
    let stride = comptime!(tiling.vectors + 1);
    let mut sums = Vector::<f32, N>::zeroed();
    for channel in 0..comptime!(tiling.vectors) {
        sums += a[row * stride + channel] * b[other * stride + channel];
    }
    total::<N>(sums)
}

/// The sum of a vector's values.
#[cube]
pub(crate) fn total<N: Size>(values: Vector<f32, N>) -> f32 {
    let mut sum = 0.0f32;
    #[unroll]
    for lane in 0..N::value() {
        sum += values.extract(lane);
    }
    sum
}

/// Whether a row reads a key, by one of the two halves of the table.
#[cube]
pub(crate) fn reads(
    ranges: &Tensor<i32>,
    row: usize,
    rows: usize,
    key: usize,
    #[comptime] part: usize,
) -> bool {
    let mut found = false;
    if row < rows {
        let at = row * comptime!(RANGES) + comptime!(2 * part);
        found = key >= ranges[at] as usize && key < ranges[at + 1] as usize;
    }
    found
}

/// The smallest start and the largest end of two columns of the table over the rows of a tile; nothing where all are empty.
#[cube]
pub(crate) fn spanned(
    ranges: &Tensor<i32>,
    first: usize,
    rows: usize,
    #[comptime] column: usize,
    #[comptime] tiling: Tiling,
) -> (usize, usize) {
    let mut start = rows;
    let mut end = 0usize;
    for i in 0..comptime!(tiling.rows) {
        if first + i < rows {
            let at = (first + i) * comptime!(RANGES) + column;
            let (from, to) = (ranges[at] as usize, ranges[at + 1] as usize);
            if from < to {
                start = min(start, from);
                end = max(end, to);
            }
        }
    }
    (start, end)
}
