//! What a product is asked for beside its factors.

use crate::matrix::{Matrix, Value};

/// Who computes a product.
#[derive(Clone, Copy, Debug)]
pub enum Threads {
    /// The calling one.
    One,
    /// All of the pool, if the product is worth it.
    All,
}

/// Where a product goes, and how.
pub(crate) struct Target<'a> {
    pub(crate) out: &'a mut [f32],
    pub(crate) stride: usize,
    pub(crate) kept: f32,
    pub(crate) factor: f32,
}

impl Target<'_> {
    /// Whether there is anything to do.
    ///
    /// # Panics
    /// If shapes do not fit.
    pub(crate) fn fits<B: Value>(&self, a: &Matrix, b: &Matrix<B>) -> bool {
        let (rows, columns) = (a.rows(), b.columns());
        assert_eq!(a.columns(), b.rows(), "the inner sides of a product");
        if rows == 0 || columns == 0 {
            return false;
        }
        assert!(
            columns <= self.stride && (rows - 1) * self.stride + columns <= self.out.len(),
            "within the result"
        );
        true
    }
}

/// Whether all of the pool is worth a product of these sides.
pub(crate) fn is_shared(threads: Threads, rows: usize, inner: usize, columns: usize) -> bool {
    /// Multiplications from which waking other threads pays.
    const WORTH_IT: usize = 192 * 192 * 192;
    matches!(threads, Threads::All) && rows.saturating_mul(inner).saturating_mul(columns) >= WORTH_IT
}
