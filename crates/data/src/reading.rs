//! How much of a data set is read, how, and what of it may be bad.

use std::path::Path;

use vigos_layouts::{Reader, RowFields};
use vigos_links::Links;
use vigos_recipe::{DataLayout, Turns};

/// Which rows are read, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reading<'a> {
    /// Use the first so many rows only.
    pub limit: Option<usize>,
    /// The folder that image paths are relative to, instead of the data set's own.
    pub image_root: Option<&'a Path>,
    /// Share of the rows that may be unusable; with 0 the first one is an error, where all are read on opening. Above 1
    /// nothing is judged, not even if none can be used.
    pub max_bad_share: f64,
    /// Where rows say what.
    pub layout: DataLayout,
    /// What becomes of conversations of several questions.
    pub turns: Turns,
    /// The links of pictures that are followed; nothing: none.
    pub links: Option<&'a Links>,
}

impl Reading<'_> {
    /// What makes rows with these fields of records.
    pub(crate) fn reader(&self, fields: &RowFields) -> Reader {
        let links = self.links.cloned().unwrap_or_default();
        Reader { fields: fields.clone(), layout: self.layout, turns: self.turns, links }
    }
}
