//! Rows that are stored nowhere: generated when they are asked for.

use std::fmt::{self, Debug, Formatter};

use vigos_recipe::row::{BadRow, Row};

type Generate = dyn Fn(usize) -> Result<Row, BadRow> + Send + Sync;

/// So many rows, each a function of its index.
pub(crate) struct Generated {
    rows: usize,
    generate: Box<Generate>,
}

impl Generated {
    pub(crate) fn new(
        rows: usize,
        generate: impl Fn(usize) -> Result<Row, BadRow> + Send + Sync + 'static,
    ) -> Self {
        Self { rows, generate: Box::new(generate) }
    }

    /// Row `index`, or why it cannot be generated; none beyond the last.
    pub(crate) fn load(&self, index: usize) -> Option<Result<Row, BadRow>> {
        (index < self.rows).then(|| (self.generate)(index))
    }
}

impl Debug for Generated {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.debug_struct("Generated").field("rows", &self.rows).finish_non_exhaustive()
    }
}
