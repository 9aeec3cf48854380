//! How much of a data set is read, and what of it may be bad.

use std::path::Path;

/// Which rows are read, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading<'a> {
    /// Use the first so many rows only.
    pub limit: Option<usize>,
    /// The folder that image paths are relative to, instead of the data set's own.
    pub image_root: Option<&'a Path>,
    /// Share of the rows that may be unusable; with 0 the first one is an error, where all are read on opening.
    pub max_bad_share: f64,
}
