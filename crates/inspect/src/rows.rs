//! Rows to be written anew: those that can be used, one after another, and what became of all.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use vigos_core::files::FileError;
use vigos_data::{BadRow, Dataset, Row, Speaker};

use crate::error::InspectError;
use crate::pictures::{self, Picture};

/// Bad rows that are named.
const NAMED: usize = 10;

/// What was written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Converted {
    /// Rows that were written.
    pub rows: usize,
    /// Image files that were written beside them.
    pub images: usize,
    /// Rows with an answer before their question.
    pub histories: usize,
    /// Rows that were left out, as they cannot be used.
    pub bad: usize,
    /// The first of them.
    pub first_bad: Vec<BadRow>,
}

impl Converted {
    /// What was written to `out`, in words.
    pub fn told(&self, out: &Path) -> String {
        let Self { rows, images, histories, bad, .. } = self;
        let left_out = if *bad > 0 { format!(", {bad} left out") } else { String::new() };
        let beside = if *images > 0 { format!(", {images} images written beside it") } else { String::new() };
        let history = match histories {
            0 => String::new(),
            _ => format!(
                "; {histories} of them ask after earlier questions: read the file with data.turns = \"last\""
            ),
        };
        format!("{rows} rows written to {}{left_out}{beside}{history}", out.display())
    }
}

/// Rows to be written, one after another.
pub(crate) struct Rows<'a> {
    pub(crate) dataset: &'a Dataset,
    /// Pixels of the largest image that is taken.
    pub(crate) max_pixels: u64,
    /// Share of all rows that may be bad.
    pub(crate) share: f64,
    /// Sees how many of how many rows are done.
    pub(crate) progress: &'a mut dyn FnMut(usize, usize),
    /// Raised when the work is to end.
    pub(crate) stop: &'a AtomicBool,
    /// The number of the next row.
    pub(crate) next: usize,
    pub(crate) converted: Converted,
}

/// Refuses a place that something is at.
pub(crate) fn unused(out: &Path) -> Result<(), InspectError> {
    match out.symlink_metadata() {
        Ok(_) => Err(InspectError::Out {
            path: out.to_owned(),
            found: "something there".into(),
            wanted: "a new file, and a new folder of its images",
        }),
        Err(_) => Ok(()),
    }
}

/// The folder beside `out` that images go to.
pub(crate) fn images_of(out: &Path) -> PathBuf {
    let mut name = out.file_stem().unwrap_or_default().to_owned();
    name.push("-images");
    out.with_file_name(name)
}

impl Rows<'_> {
    /// The next row that can be used, with its number; none at the end.
    ///
    /// # Errors
    /// If more rows are bad than may be, the data set cannot be read on, or the work is to end.
    pub(crate) fn next(&mut self) -> Result<Option<(usize, Row)>, InspectError> {
        let count = self.dataset.count().get();
        while self.next < count {
            if self.stop.load(Ordering::SeqCst) {
                return Err(InspectError::Stopped);
            }
            let number = self.next;
            self.next += 1;
            if number.is_multiple_of(64) {
                (self.progress)(number, count);
            }
            let bad = match self.dataset.load(number)? {
                Err(bad) => bad,
                Ok(row) => {
                    let fault =
                        row.images.iter().find_map(|image| match pictures::look(image, self.max_pixels) {
                            Picture::Sound(_) => None,
                            Picture::Missing(reason) | Picture::Broken(reason) => Some(reason),
                        });
                    match fault {
                        None => {
                            self.converted.rows += 1;
                            let has_history =
                                row.before.iter().any(|turn| turn.speaker == Speaker::Assistant);
                            self.converted.histories += usize::from(has_history);
                            return Ok(Some((number, row)));
                        }
                        Some(reason) => BadRow::new(row.origin, &row.id, &reason),
                    }
                }
            };
            if self.share == 0.0 {
                return Err(InspectError::Row(bad));
            }
            self.converted.bad += 1;
            if self.converted.first_bad.len() < NAMED {
                self.converted.first_bad.push(bad);
            }
        }
        (self.progress)(count, count);
        Ok(None)
    }

    /// So many image files were written beside the rows.
    pub(crate) fn wrote_images(&mut self, count: usize) {
        self.converted.images += count;
    }

    /// What was written, when all rows have been.
    ///
    /// # Errors
    /// If more rows are bad than may be.
    pub(crate) fn finish(self) -> Result<Converted, InspectError> {
        let (rows, share, bad) = (self.dataset.count().get(), self.share, self.converted.bad);
        match bad as f64 > share * rows as f64 || bad == rows {
            true => Err(InspectError::BadRows { bad, rows, share }),
            false => Ok(self.converted),
        }
    }
}

/// Makes a folder; one that is there is fine.
pub(crate) fn make_folder(folder: &Path) -> Result<(), InspectError> {
    Ok(fs::create_dir_all(folder).map_err(|e| FileError::io("create", folder, e))?)
}
