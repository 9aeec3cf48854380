//! A data set as a text file with image files beside it: JSON Lines, a JSON array, or a table with separators, plain
//! or compressed by gzip.
//!
//! A row is `{"id", "image": "relative path" | "images": [...], "problem", "answer"}`, or has one of the layouts that
//! other trainers read. A demonstration has `"prompt", "prefill", "completion"` in the place of problem and answer;
//! `prompt` and `prefill` may be empty or absent. Other fields are left alone, and each field may have another name.
//! All rows are read and checked when the file is opened, texts stay in memory, images stay on disk. A row's fault is
//! its own: it is kept with the reason, and too many of them are one of the file.

mod entry;
mod input;
mod layout;
mod lines;
mod list;
mod picture;
mod record;
mod syntax;
mod table;

pub(crate) use input::is_text;

use std::path::{Path, PathBuf};

use crate::error::DatasetError;
use crate::fields::RowFields;
use crate::reading::Reading;
use entry::Entry;
use input::{Input, Kind};
use record::Record;
use vigos_core::files::folder_of;
use vigos_recipe::row::{BadRow, ImageSource, Row};

/// Most bytes of pictures that rows hold themselves, all together.
const MAX_INLINE: usize = 1 << 30;
/// Most bytes of memory that rows take, all together.
const MAX_HELD: usize = 4 << 30;

/// A row, or why it cannot be used.
pub(crate) type RowResult = Result<Row, BadRow>;

/// Records in their order; after an error nothing follows.
type Records = Box<dyn Iterator<Item = Result<Record, DatasetError>>>;

/// Reads the rows of the file at `path`, the first `limit` of them if given. Images need not be there yet.
///
/// # Errors
/// If the file cannot be read, or more rows are bad than may be, or all.
pub(crate) fn read_rows(
    path: &Path,
    fields: &RowFields,
    reading: Reading,
) -> Result<Vec<RowResult>, DatasetError> {
    let input = Input::open(path)?;
    let records: Records = match input.kind() {
        Kind::Lines => Box::new(lines::records(input)),
        Kind::List => Box::new(list::records(input)),
        Kind::Table { separator } => Box::new(table::records(input, separator)?),
    };
    let root = reading.image_root.unwrap_or_else(|| folder_of(path)).to_owned();
    let mut rows = Rows::of(path, reading.max_bad_share, MAX_HELD);
    for record in records.take(reading.limit.unwrap_or(usize::MAX)) {
        rows.add(row(record?, fields, &root))?;
    }
    rows.finish()
}

fn row(record: Record, fields: &RowFields, root: &Path) -> RowResult {
    let Record { origin, number, fields: object } = record;
    let number = number.to_string();
    let object = match object {
        Ok(object) => object,
        Err(reason) => return Err(BadRow::new(origin, &number, &reason)),
    };
    let entry = Entry { object: &object, root };
    let id = match entry.id(fields) {
        Ok(id) => id.unwrap_or(number),
        Err(reason) => return Err(BadRow::new(origin, &number, &reason)),
    };
    let made = match fields {
        RowFields::Questions(names) => entry.question(names),
        RowFields::Demonstrations(names) => entry.demonstration(names),
    };
    match made {
        Ok(row) => Ok(Row { id, origin, ..row }),
        Err(reason) => Err(BadRow::new(origin, &id, &reason)),
    }
}

/// The rows so far.
struct Rows {
    path: PathBuf,
    share: f64,
    /// Most bytes of memory.
    most: usize,
    rows: Vec<RowResult>,
    bad: usize,
    /// Bytes of pictures.
    inline: usize,
    /// Bytes of memory.
    held: usize,
}

impl Rows {
    fn of(path: &Path, share: f64, most: usize) -> Self {
        Self { path: path.to_owned(), share, most, rows: Vec::new(), bad: 0, inline: 0, held: 0 }
    }

    fn add(&mut self, row: RowResult) -> Result<(), DatasetError> {
        match &row {
            Ok(row) => {
                let inline = row.images.iter().map(|image| match image {
                    ImageSource::Bytes(bytes) => bytes.len(),
                    ImageSource::File(_) => 0,
                });
                self.inline = inline.fold(self.inline, usize::saturating_add);
            }
            // Nothing that follows could mend it.
            Err(bad) if self.share == 0.0 => return Err(DatasetError::Row(bad.clone())),
            Err(_) => self.bad += 1,
        }
        self.held = self.held.saturating_add(held(&row));
        let too_much =
            |what, limit, advice| Err(DatasetError::TooMuch { path: self.path.clone(), what, limit, advice });
        if self.inline > MAX_INLINE {
            let advice = "keep them as files beside it, or in Parquet";
            return too_much("the pictures in its rows", MAX_INLINE, advice);
        }
        if self.held > self.most {
            let advice =
                "keep them in Parquet, of which a part is in memory at a time, or take fewer by data.limit";
            return too_much("its rows", self.most, advice);
        }
        self.rows.push(row);
        Ok(())
    }

    fn finish(self) -> Result<Vec<RowResult>, DatasetError> {
        let Self { path, share, rows, bad, .. } = self;
        let first = rows.iter().find_map(|row| row.as_ref().err());
        match first {
            Some(first) if bad == rows.len() || bad as f64 > share * rows.len() as f64 => {
                Err(DatasetError::BadRows { path, bad, rows: rows.len(), share, first: first.clone() })
            }
            _ => Ok(rows),
        }
    }
}

/// About the bytes of memory that a row takes.
fn held(row: &RowResult) -> usize {
    let texts = match row {
        Err(BadRow { origin, id, reason }) => origin.len() + id.len() + reason.len(),
        Ok(Row { id, problem, answer, images, origin, demonstration, .. }) => {
            let image = |image: &ImageSource| {
                size_of::<ImageSource>()
                    + match image {
                        ImageSource::Bytes(bytes) => bytes.len(),
                        ImageSource::File(path) => path.as_os_str().len(),
                    }
            };
            let learnt = demonstration.as_ref().map_or(0, |d| d.prefill.len() + d.completion.len());
            let texts = id.len() + problem.len() + answer.len() + origin.len() + learnt;
            texts + images.iter().map(image).sum::<usize>()
        }
    };
    size_of::<RowResult>() + texts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_that_take_more_memory_than_they_may_are_refused_with_a_way_out() {
        let bad = || Err(BadRow { origin: "a".into(), id: "b".into(), reason: "c".repeat(1000) });
        let mut rows = Rows::of(Path::new("rows.jsonl"), 1.0, 2500);
        rows.add(bad()).unwrap();
        let message = rows.add(bad()).unwrap_err().to_string();
        for part in ["rows.jsonl: its rows take more than 2500 bytes", "Parquet", "data.limit"] {
            assert!(message.contains(part), "{message}");
        }
    }
}
