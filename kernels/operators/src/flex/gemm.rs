//! Products of matrices that lie in memory as they please, added to what is there already.

#![allow(unsafe_code)] // The library's product takes pointers.

use gemm::Parallelism;

/// A matrix within some values: element (i, j) at `i · row_stride + j · column_stride`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Matrix<'a> {
    values: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// A matrix whose rows begin `stride` values apart.
    ///
    /// # Panics
    /// If it does not lie within the values.
    pub(super) fn new(values: &'a [f32], [rows, columns]: [usize; 2], stride: usize) -> Self {
        assert!(
            rows == 0 || columns == 0 || (rows - 1) * stride + columns <= values.len(),
            "within its values"
        );
        Self { values, rows, columns, row_stride: stride, column_stride: 1 }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Its transpose.
    pub(super) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// Who computes a product.
#[derive(Clone, Copy, Debug)]
pub(super) enum Threads {
    /// The calling one.
    One,
    /// All of the pool, if the product is worth it.
    All,
}

/// `out ← kept·out + factor·a·b`, rows of `out` beginning `stride` values apart. Where `kept` is zero, `out` is not read.
///
/// # Panics
/// If shapes do not fit.
pub(super) fn product(
    out: &mut [f32],
    stride: usize,
    kept: f32,
    factor: f32,
    [a, b]: [Matrix; 2],
    threads: Threads,
) {
    /// Multiplications from which waking other threads pays.
    const WORTH_IT: usize = 192 * 192 * 192;
    let (rows, inner, columns) = (a.rows, a.columns, b.columns);
    assert_eq!(inner, b.rows, "the inner sides of a product");
    if rows == 0 || columns == 0 {
        return;
    }
    assert!(columns <= stride && (rows - 1) * stride + columns <= out.len(), "within the result");
    let threads = match threads {
        Threads::All if rows.saturating_mul(inner).saturating_mul(columns) >= WORTH_IT => {
            Parallelism::Rayon(0)
        }
        _ => Parallelism::None,
    };
    // SAFETY: `a`, `b` and `out` lie within their slices: `Matrix::new` has checked the last element of `a` and `b`,
    // a transpose has the same elements, and that of `out` is checked above. `out` is borrowed mutably, so it
    // overlaps neither, and its rows do not overlap each other as `columns <= stride`.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            inner,
            out.as_mut_ptr(),
            1,
            stride as isize,
            kept != 0.0,
            a.values.as_ptr(),
            a.column_stride as isize,
            a.row_stride as isize,
            b.values.as_ptr(),
            b.column_stride as isize,
            b.row_stride as isize,
            kept,
            factor,
            false,
            false,
            false,
            threads,
        );
    }
}
