//! Counts rows that cannot be used while a file is read, and judges whether they are too many.

use std::path::{Path, PathBuf};

use vigos_recipe::row::BadRow;

use crate::error::DatasetError;
use crate::row_result::RowResult;

/// The rows so far.
#[derive(Debug)]
pub(crate) struct Tally {
    path: PathBuf,
    /// Share of them that may be bad.
    share: f64,
    rows: usize,
    bad: usize,
    first: Option<BadRow>,
}

impl Tally {
    pub(crate) fn of(path: &Path, share: f64) -> Self {
        Self { path: path.to_owned(), share, rows: 0, bad: 0, first: None }
    }

    /// One more row.
    ///
    /// # Errors
    /// [`DatasetError::Row`], if it is bad and none may be: nothing that follows could mend it.
    pub(crate) fn add(&mut self, row: &RowResult) -> Result<(), DatasetError> {
        self.rows += 1;
        if let Err(bad) = row {
            if self.share == 0.0 {
                return Err(DatasetError::Row(bad.clone()));
            }
            self.bad += 1;
            self.first.get_or_insert_with(|| bad.clone());
        }
        Ok(())
    }

    /// There are no more rows.
    ///
    /// # Errors
    /// [`DatasetError::BadRows`], if more are bad than may be, or all.
    pub(crate) fn finish(self) -> Result<(), DatasetError> {
        let Self { path, share, rows, bad, first } = self;
        match first {
            Some(first) if share <= 1.0 && (bad == rows || bad as f64 > share * rows as f64) => {
                Err(DatasetError::BadRows { path, bad, rows, share, first })
            }
            _ => Ok(()),
        }
    }
}
