//! What every format of files that are read again and again promises: records by number, each one or more rows.

use std::fmt::Debug;

use serde_json::{Map, Value};

use crate::error::DatasetError;
use crate::row_result::RowResult;
use vigos_core::order::RowGroup;

/// The fields of a record, or why there are none.
pub(crate) type RecordFields = Result<Map<String, Value>, String>;

/// Records that are read when they are asked for.
pub(crate) trait Stored: Debug + Send + Sync {
    /// How many there are.
    fn records(&self) -> usize;

    /// The rows of record `index`, one at least; none beyond the last record.
    ///
    /// # Errors
    /// For a file that cannot be read any more, or a part of it that is too large.
    fn rows(&self, index: usize) -> Result<Option<Vec<RowResult>>, DatasetError>;

    /// The groups that records are stored in, in order, if reading one record reads all of its group.
    fn groups(&self) -> Option<Vec<RowGroup>>;

    /// The fields of record `index`, where it is read by its layout, or their names alone.
    ///
    /// # Errors
    /// As [`Stored::rows`].
    fn fields(&self, index: usize) -> Result<Option<Map<String, Value>>, DatasetError>;
}
