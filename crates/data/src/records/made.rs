//! The records of a file whatever its kind, and the rows that they are.

use std::path::Path;

use vigos_layouts::Reader;
use vigos_recipe::row::BadRow;

use super::input::{Input, Kind};
use super::record::Record;
use super::{lines, list, table};
use crate::error::DatasetError;
use crate::row_result::RowResult;

/// Records in their order; after an error nothing follows.
pub(super) type Records = Box<dyn Iterator<Item = Result<Record, DatasetError>>>;

/// The records of a file.
///
/// # Errors
/// If its beginning cannot be read.
pub(super) fn records(input: Input) -> Result<Records, DatasetError> {
    Ok(match input.kind() {
        Kind::Lines => Box::new(lines::records(input)),
        Kind::List => Box::new(list::records(input)),
        Kind::Table { separator } => Box::new(table::records(input, separator)?),
    })
}

/// The rows of a record whose image paths are relative to `root`: one at least, and be it a bad one.
pub(super) fn made(record: &Record, reader: &Reader, root: &Path) -> Vec<RowResult> {
    match &record.fields {
        Ok(fields) => reader.rows(fields, &record.origin, record.number, root),
        Err(reason) => vec![Err(BadRow::new(record.origin.clone(), &record.number.to_string(), reason))],
    }
}
