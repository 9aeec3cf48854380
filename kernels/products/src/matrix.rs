//! A matrix within some values.

use half::bf16;

/// What a factor is kept in.
pub trait Value: Copy + Send + Sync {}

impl Value for f32 {}
impl Value for bf16 {}

/// A matrix within some values: element (i, j) at `i · row_stride + j · column_stride`, and one of the strides is one.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a, T = f32> {
    values: &'a [T],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a, T: Value> Matrix<'a, T> {
    /// A matrix whose rows begin `stride` values apart.
    ///
    /// # Panics
    /// If it does not lie within the values.
    pub fn new(values: &'a [T], [rows, columns]: [usize; 2], stride: usize) -> Self {
        assert!(
            rows == 0 || columns == 0 || (rows - 1) * stride + columns <= values.len(),
            "within its values"
        );
        Self { values, rows, columns, row_stride: stride, column_stride: 1 }
    }

    /// Rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Its transpose.
    #[must_use]
    pub fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }

    pub(crate) fn values(&self) -> &'a [T] {
        self.values
    }

    /// Between the starts of two rows, and of two columns.
    pub(crate) fn strides(&self) -> [usize; 2] {
        [self.row_stride, self.column_stride]
    }

    /// The same matrix within other values, as many.
    pub(crate) fn with<U>(self, values: &[U]) -> Matrix<'_, U> {
        assert_eq!(values.len(), self.values.len(), "one value for each");
        let Self { rows, columns, row_stride, column_stride, .. } = self;
        Matrix { values, rows, columns, row_stride, column_stride }
    }
}
