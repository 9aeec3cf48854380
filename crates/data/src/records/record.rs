//! A row of a text file before its fields are understood.

use serde_json::{Map, Value};

/// Most bytes of a row.
pub(super) const MAX_ROW: usize = 64 << 20;
/// What a file has in the place of a row: fields, or why there are none.
pub(super) struct Record {
    /// Where it stands.
    pub(super) origin: String,
    /// Its name where it has none of its own.
    pub(super) number: usize,
    pub(super) fields: Result<Map<String, Value>, String>,
}
