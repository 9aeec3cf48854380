//! A row, or why there is none.

use vigos_recipe::row::{BadRow, Row};

/// A row, or why it cannot be used.
pub(crate) type RowResult = Result<Row, BadRow>;
