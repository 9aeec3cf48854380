//! A row of a text file before its fields are understood.

use serde_json::{Map, Value};

/// Most bytes of a row.
pub(crate) const MAX_ROW: usize = 64 << 20;
/// What a file has in the place of a row: fields, or why there are none.
pub(super) struct Record {
    /// Where it stands.
    pub(super) origin: String,
    /// Its name where it has none of its own.
    pub(super) number: usize,
    /// Its bytes in the text, where they can be found again.
    pub(super) bytes: Bytes,
    pub(super) fields: Result<Map<String, Value>, String>,
}

/// Where the bytes of a row are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bytes {
    /// The first.
    pub(super) start: u64,
    /// How many there are.
    pub(super) length: usize,
}
