//! Rows that are nowhere: made when they are asked for.

use std::fmt::{self, Debug, Formatter};

use vigos_recipe::row::BadRow;

type Make<T> = dyn Fn(usize) -> Result<T, BadRow> + Send + Sync;

/// So many rows, each a function of its index.
pub(crate) struct Made<T> {
    rows: usize,
    make: Box<Make<T>>,
}

impl<T> Made<T> {
    pub(crate) fn new(
        rows: usize,
        make: impl Fn(usize) -> Result<T, BadRow> + Send + Sync + 'static,
    ) -> Self {
        Self { rows, make: Box::new(make) }
    }

    /// Row `index`, or why it cannot be made; none beyond the last.
    pub(crate) fn load(&self, index: usize) -> Option<Result<T, BadRow>> {
        (index < self.rows).then(|| (self.make)(index))
    }
}

impl<T> Debug for Made<T> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.debug_struct("Made").field("rows", &self.rows).finish_non_exhaustive()
    }
}
