//! A factor's values in bf16, in the tiles that the matrix unit takes.

#![allow(unsafe_code)] // Vectors of AVX-512, from and to slices.

use crate::matrix::{Matrix, Value};
use half::bf16;
use rayon::prelude::*;
use std::arch::x86_64::*;
use std::ops::Range;

/// Values of the inner side that a tile holds.
pub(super) const DEEP: usize = 32;
/// Rows of the left factor, or columns of the right one, that are packed together: two tiles.
pub(super) const WIDE: usize = 32;
/// Rows of a tile, and words of one of its rows: pairs in bf16.
const ROWS: usize = 16;

/// One of the unit's registers in memory.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(64))]
pub(super) struct Tile([u32; ROWS * ROWS]);

impl Tile {
    pub(super) const ZERO: Self = Self([0; ROWS * ROWS]);

    #[target_feature(enable = "avx512f,avx512bw,avx512dq")]
    fn write(&mut self, row: usize, words: __m512i) {
        let row = &mut self.0[row * ROWS..(row + 1) * ROWS];
        // SAFETY: a row has as many words as a vector.
        unsafe { _mm512_storeu_si512(row.as_mut_ptr().cast(), words) };
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq")]
    fn transpose(&mut self) {
        let mut rows = [_mm512_setzero_si512(); ROWS];
        for (row, words) in rows.iter_mut().zip(self.0.chunks_exact(ROWS)) {
            // SAFETY: a row has as many words as a vector.
            *row = unsafe { _mm512_loadu_si512(words.as_ptr().cast()) };
        }
        for (number, words) in transposed(rows).into_iter().enumerate() {
            self.write(number, words);
        }
    }
}

/// `out ← kept·out + factor·sums`; where `kept` is zero, `out` is not read.
///
/// # Safety
/// For processors with AVX-512.
#[target_feature(enable = "avx512f,avx512bw,avx512dq")]
pub(super) unsafe fn add(out: &mut [f32], sums: &[f32], kept: f32, factor: f32) {
    if kept == 0.0 {
        out.iter_mut().zip(sums).for_each(|(out, sum)| *out = factor * sum);
    } else {
        out.iter_mut().zip(sums).for_each(|(out, sum)| *out = kept * *out + factor * sum);
    }
}

/// How the tiles of a factor lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// A row of a tile is a row of the factor: the left one.
    Rows,
    /// A row of a tile is two rows of the factor, in pairs: the right one.
    Pairs,
}

/// A vector of sixteen pairs for each part of the values.
type Pairs = [__m512i; 3];

/// What a factor is kept in, and how it is split.
pub(crate) trait Source: Value {
    /// Parts in bf16 whose sum a value is.
    const PARTS: usize;
    /// Parts of the left factor's values that are multiplied with a right one kept like this.
    const LEFT: usize;

    /// Up to 32 neighbours, two and two; zero where there are none.
    ///
    /// # Safety
    /// For processors with AVX-512 F, BW and DQ.
    unsafe fn along(values: &[Self]) -> Pairs;

    /// One value of each, up to 16 times; zero where there are none.
    ///
    /// # Safety
    /// For processors with AVX-512 F, BW and DQ.
    unsafe fn across(first: &[Self], second: &[Self]) -> Pairs;
}

impl Source for f32 {
    const PARTS: usize = 3;
    const LEFT: usize = 3;

    #[target_feature(enable = "avx512f,avx512bw,avx512dq")]
    unsafe fn along(values: &[Self]) -> Pairs {
        /// The upper halves of two vectors' lanes.
        const UPPER: [u16; 32] = {
            let mut upper = [0; 32];
            let mut i = 0;
            while i < 32 {
                upper[i] = 2 * i as u16 + 1;
                i += 1;
            }
            upper
        };
        // SAFETY: as many halves as a vector has.
        let upper = unsafe { _mm512_loadu_epi16(UPPER.as_ptr().cast()) };
        let (low, high) = values.split_at(values.len().min(ROWS));
        let (low, high) = (split(load(low)), split(load(high)));
        [0, 1, 2].map(|part| _mm512_permutex2var_epi16(low[part], upper, high[part]))
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq")]
    unsafe fn across(first: &[Self], second: &[Self]) -> Pairs {
        let (first, second) = (split(load(first)), split(load(second)));
        [0, 1, 2].map(|part| together(_mm512_srli_epi32(first[part], 16), second[part]))
    }
}

impl Source for bf16 {
    const PARTS: usize = 1;
    // Of 16 bits: 2⁻¹⁸ of the value is left.
    const LEFT: usize = 2;

    #[target_feature(enable = "avx512f,avx512bw,avx512dq")]
    unsafe fn along(values: &[Self]) -> Pairs {
        [load_halves(values); 3]
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512dq")]
    unsafe fn across(first: &[Self], second: &[Self]) -> Pairs {
        let wide = |halves| _mm512_cvtepu16_epi32(_mm512_castsi512_si256(halves));
        let (first, second) = (wide(load_halves(first)), wide(load_halves(second)));
        [together(first, _mm512_slli_epi32(second, 16)); 3]
    }
}

/// The lower halves of the first words, with the upper ones of the second words.
#[target_feature(enable = "avx512f,avx512bw,avx512dq")]
fn together(lower: __m512i, upper: __m512i) -> __m512i {
    _mm512_mask_blend_epi16(0xaaaa_aaaa, lower, upper)
}

/// Three vectors of f32 that bf16 has and whose sum is the given one: each the nearest to what those before it leave. What is
/// not finite is the first part alone.
#[target_feature(enable = "avx512f,avx512bw,avx512dq")]
fn split(values: __m512) -> [__m512i; 3] {
    /// Magnitudes from here on, as bits, would be rounded out of the range, or are no numbers.
    const LARGEST: i32 = 0x7f7f_8000;
    let bits = _mm512_castps_si512(values);
    let large = _mm512_cmpge_epi32_mask(
        _mm512_and_si512(bits, _mm512_set1_epi32(i32::MAX)),
        _mm512_set1_epi32(LARGEST),
    );
    let mut first = rounded(bits);
    if large != 0 {
        // What marks a NaN may be in the half that is cut off.
        let nan = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(values, values);
        first = _mm512_mask_and_epi32(first, large, bits, _mm512_set1_epi32(UPPER_HALF));
        first = _mm512_mask_or_epi32(first, nan, first, _mm512_set1_epi32(0x0040_0000));
    }
    let left = |from: __m512, part| _mm512_sub_ps(from, _mm512_castsi512_ps(part));
    let mut rest = left(values, first);
    if large != 0 {
        rest = _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_ORD_Q>(rest, rest), rest);
    }
    let second = rounded(_mm512_castps_si512(rest));
    [first, second, _mm512_castps_si512(left(rest, second))]
}

const UPPER_HALF: i32 = 0xffff_0000_u32 as i32;

/// The bits of the nearest values that bf16 has, to even ones where two are as near.
#[target_feature(enable = "avx512f,avx512bw,avx512dq")]
fn rounded(bits: __m512i) -> __m512i {
    let odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    let up = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
    _mm512_and_si512(up, _mm512_set1_epi32(UPPER_HALF))
}

/// Up to 16 values, and zeros.
#[target_feature(enable = "avx512f,avx512bw,avx512dq")]
fn load(values: &[f32]) -> __m512 {
    let mask = ((1u32 << values.len().min(ROWS)) - 1) as u16;
    // SAFETY: lanes beyond the slice are not read.
    unsafe { _mm512_maskz_loadu_ps(mask, values.as_ptr()) }
}

/// Up to 32 values, and zeros.
#[target_feature(enable = "avx512f,avx512bw,avx512dq")]
fn load_halves(values: &[bf16]) -> __m512i {
    let mask = ((1u64 << values.len().min(32)) - 1) as u32;
    // SAFETY: lanes beyond the slice are not read.
    unsafe { _mm512_maskz_loadu_epi16(mask, values.as_ptr().cast()) }
}

/// Sixteen by sixteen words, rows for columns.
#[target_feature(enable = "avx512f,avx512bw,avx512dq")]
fn transposed(rows: [__m512i; ROWS]) -> [__m512i; ROWS] {
    let zero = [_mm512_setzero_si512(); ROWS];
    let (mut pairs, mut fours, mut eights, mut columns) = (zero, zero, zero, zero);
    for i in 0..8 {
        pairs[2 * i] = _mm512_unpacklo_epi32(rows[2 * i], rows[2 * i + 1]);
        pairs[2 * i + 1] = _mm512_unpackhi_epi32(rows[2 * i], rows[2 * i + 1]);
    }
    // fours[4i + j] has columns j, 4 + j, 8 + j and 12 + j of rows 4i to 4i + 3.
    for i in 0..4 {
        for j in 0..2 {
            fours[4 * i + 2 * j] = _mm512_unpacklo_epi64(pairs[4 * i + j], pairs[4 * i + 2 + j]);
            fours[4 * i + 2 * j + 1] = _mm512_unpackhi_epi64(pairs[4 * i + j], pairs[4 * i + 2 + j]);
        }
    }
    // eights[j] and eights[4 + j] have the even and the odd ones of those for the upper eight rows, the next eight the lower.
    for j in 0..4 {
        for half in 0..2 {
            let (above, below) = (fours[8 * half + j], fours[8 * half + 4 + j]);
            eights[8 * half + j] = _mm512_shuffle_i32x4::<0x88>(above, below);
            eights[8 * half + 4 + j] = _mm512_shuffle_i32x4::<0xdd>(above, below);
        }
    }
    for j in 0..8 {
        columns[j] = _mm512_shuffle_i32x4::<0x88>(eights[j], eights[8 + j]);
        columns[8 + j] = _mm512_shuffle_i32x4::<0xdd>(eights[j], eights[8 + j]);
    }
    columns
}

/// A factor as the tiles see it: rows of the left one, or columns of the right one, and how far they reach along the inner
/// side.
pub(super) struct Side<'a, T> {
    values: &'a [T],
    count: usize,
    depth: usize,
    stride: usize,
    /// Whether neighbours along the inner side are neighbours in memory; otherwise those of different rows or columns are.
    is_along: bool,
    parts: usize,
    order: Order,
}

/// Tiles of [`WIDE`] rows or columns, one step along the inner side, in so many parts.
pub(super) const fn step(parts: usize) -> usize {
    2 * parts
}

impl<'a, T: Source> Side<'a, T> {
    /// The left factor, in so many parts.
    pub(super) fn left(matrix: &Matrix<'a, T>, parts: usize) -> Self {
        let [of_rows, of_columns] = matrix.strides();
        Self::new(matrix, [matrix.rows(), matrix.columns()], [of_rows, of_columns], parts, Order::Rows)
    }

    /// The right factor, in all of its parts.
    pub(super) fn right(matrix: &Matrix<'a, T>) -> Self {
        let [of_rows, of_columns] = matrix.strides();
        Self::new(matrix, [matrix.columns(), matrix.rows()], [of_columns, of_rows], T::PARTS, Order::Pairs)
    }

    /// Sizes and strides across, and along the inner side.
    fn new(
        matrix: &Matrix<'a, T>,
        [count, depth]: [usize; 2],
        [across, along]: [usize; 2],
        parts: usize,
        order: Order,
    ) -> Self {
        let is_along = along == 1;
        let stride = if is_along { across } else { along };
        Self { values: matrix.values(), count, depth, stride, is_along, parts, order }
    }

    /// Packs some rows or columns, from one value of the inner side on: blocks of [`WIDE`], each of them step by step, and each
    /// step part by part, two tiles.
    pub(super) fn pack(
        &self,
        range: &Range<usize>,
        from: usize,
        steps: usize,
        tiles: &mut Vec<Tile>,
        is_shared: bool,
    ) {
        /// Blocks that are packed together, so that what lies together in memory is read together.
        const TOGETHER: usize = 4;
        let step_tiles = step(self.parts);
        let block = steps * step_tiles;
        tiles.resize(range.len().div_ceil(WIDE) * block, Tile::ZERO);
        let pack = |(number, tiles): (usize, &mut [Tile])| {
            let (first, blocks) = (range.start + number * TOGETHER * WIDE, tiles.len() / block);
            let mut one = |number: usize, step: usize| {
                let tiles = &mut tiles[number * block + step * step_tiles..][..step_tiles];
                for half in 0..2 {
                    let first = first + number * WIDE + half * ROWS;
                    // SAFETY: processors with the matrix unit have AVX-512 with all of it.
                    unsafe { self.tiles(first, from + step * DEEP, &mut tiles[half..]) };
                }
            };
            if self.is_along {
                (0..blocks).for_each(|number| (0..steps).for_each(|step| one(number, step)));
            } else {
                (0..steps).for_each(|step| (0..blocks).for_each(|number| one(number, step)));
            }
        };
        if is_shared {
            tiles.par_chunks_mut(TOGETHER * block).enumerate().for_each(pack);
        } else {
            tiles.chunks_mut(TOGETHER * block).enumerate().for_each(pack);
        }
    }

    /// Packs sixteen of them into every second tile.
    #[target_feature(enable = "avx512f,avx512bw,avx512dq")]
    unsafe fn tiles(&self, first: usize, from: usize, tiles: &mut [Tile]) {
        let (last, end) = (self.count.min(first + ROWS), self.depth.min(from + DEEP));
        for i in 0..ROWS {
            // SAFETY: as the caller says.
            let pairs = unsafe {
                if self.is_along {
                    T::along(self.run(first + i, last, from, end))
                } else {
                    let row = from + 2 * i;
                    T::across(self.run(row, end, first, last), self.run(row + 1, end, first, last))
                }
            };
            for (tile, pairs) in tiles.iter_mut().step_by(2).zip(pairs).take(self.parts) {
                tile.write(i, pairs);
            }
        }
        if self.is_along != (self.order == Order::Rows) {
            tiles.iter_mut().step_by(2).take(self.parts).for_each(|tile| tile.transpose());
        }
    }

    /// Neighbours in memory, from the first to before the last; none from a line that is not there.
    fn run(&self, line: usize, lines: usize, first: usize, last: usize) -> &[T] {
        if line < lines && first < last {
            &self.values[line * self.stride + first..line * self.stride + last]
        } else {
            &[]
        }
    }
}
