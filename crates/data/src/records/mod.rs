//! A data set as text files with image files beside them: JSON Lines, a JSON array, or a table with separators, plain or
//! compressed by gzip or Zstandard.
//!
//! All rows are read and checked when the file is opened. Of plain JSON the places of its rows stay in memory, of tables
//! and compressed files the rows themselves. Images stay on disk. A row's fault is its own: it is kept with the reason,
//! and too many of them are one of the file.

mod indexed;
mod input;
mod lines;
mod list;
mod made;
mod record;
mod syntax;
mod table;

pub(crate) use indexed::Indexed;
pub(crate) use record::MAX_ROW;
pub(crate) use syntax::object;

use std::path::{Path, PathBuf};

use crate::error::DatasetError;
use crate::reading::Reading;
use crate::row_result::RowResult;
use crate::tally::Tally;
use input::{Input, Kind};
use made::{made, records};
use serde_json::{Map, Value};
use vigos_core::files::folder_of;
use vigos_layouts::{Reader, RowFields};
use vigos_recipe::row::{BadRow, ImageSource, Row};

/// Most bytes of pictures that rows hold themselves, all together.
const MAX_INLINE: usize = 1 << 30;
/// Most bytes of memory that rows take, all together.
const MAX_HELD: usize = 4 << 30;

/// Rows of text files.
pub(crate) enum Texts {
    /// Where they stand.
    Indexed(Indexed),
    /// All of them.
    Held(Held),
}

/// Rows in memory.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) rows: Vec<RowResult>,
    /// The fields of the first.
    pub(crate) fields: Option<Map<String, Value>>,
}

/// Reads the rows of these files as one data set that `path` stands for. Images need not be there yet.
///
/// # Errors
/// If a file cannot be read, or more rows are bad than may be, or all.
pub(crate) fn read_rows(
    path: &Path,
    files: &[PathBuf],
    fields: &RowFields,
    reading: Reading,
) -> Result<Texts, DatasetError> {
    let reader = reading.reader(fields);
    let inputs = files.iter().map(|file| Input::open(file)).collect::<Result<Vec<_>, _>>()?;
    let is_plain = |input: &Input| !input.is_packed && !matches!(input.kind(), Kind::Table { .. });
    match inputs.iter().all(is_plain) {
        true => indexed::read(path, inputs, &reader, reading).map(Texts::Indexed),
        false => held(path, inputs, &reader, reading).map(Texts::Held),
    }
}

/// All rows, kept in memory.
fn held(path: &Path, inputs: Vec<Input>, reader: &Reader, reading: Reading) -> Result<Held, DatasetError> {
    let limit = reading.limit.unwrap_or(usize::MAX);
    let mut first = None;
    let mut rows = Holding::of(path, reading.max_bad_share, MAX_HELD);
    for input in inputs {
        let root = reading.image_root.unwrap_or_else(|| folder_of(&input.path)).to_owned();
        for record in records(input)?.take(limit - rows.rows.len()) {
            let record = record?;
            for row in made(&record, reader, &root).into_iter().take(limit - rows.rows.len()) {
                rows.add(row)?;
            }
            first = first.or(record.fields.ok());
        }
    }
    Ok(Held { rows: rows.finish()?, fields: first })
}

/// The rows so far.
struct Holding {
    path: PathBuf,
    tally: Tally,
    /// Most bytes of memory.
    most: usize,
    rows: Vec<RowResult>,
    /// Bytes of pictures.
    inline: usize,
    /// Bytes of memory.
    held: usize,
}

impl Holding {
    fn of(path: &Path, share: f64, most: usize) -> Self {
        let tally = Tally::of(path, share);
        Self { path: path.to_owned(), tally, most, rows: Vec::new(), inline: 0, held: 0 }
    }

    fn add(&mut self, row: RowResult) -> Result<(), DatasetError> {
        self.tally.add(&row)?;
        if let Ok(row) = &row {
            let inline = row.images.iter().map(|image| match image {
                ImageSource::Bytes(bytes) => bytes.len(),
                ImageSource::File(_) | ImageSource::Link(_) => 0,
            });
            self.inline = inline.fold(self.inline, usize::saturating_add);
        }
        self.held = self.held.saturating_add(size(&row));
        let too_much =
            |what, limit, advice| Err(DatasetError::TooMuch { path: self.path.clone(), what, limit, advice });
        if self.inline > MAX_INLINE {
            let advice = "keep them as files beside it, in plain JSON Lines, or in Parquet";
            return too_much("the pictures in its rows", MAX_INLINE, advice);
        }
        if self.held > self.most {
            let advice = "keep them in plain JSON Lines or Parquet, of which a part is in memory at a time, or take fewer by data.limit";
            return too_much("its rows", self.most, advice);
        }
        self.rows.push(row);
        Ok(())
    }

    fn finish(self) -> Result<Vec<RowResult>, DatasetError> {
        self.tally.finish()?;
        Ok(self.rows)
    }
}

/// About the bytes of memory that a row takes.
fn size(row: &RowResult) -> usize {
    let texts = match row {
        Err(BadRow { origin, id, reason }) => origin.len() + id.len() + reason.len(),
        Ok(Row { id, problem, before, answer, images, origin, demonstration, .. }) => {
            let image = |image: &ImageSource| {
                size_of::<ImageSource>()
                    + match image {
                        ImageSource::Bytes(bytes) => bytes.len(),
                        ImageSource::File(path) => path.as_os_str().len(),
                        ImageSource::Link(link) => link.len(),
                    }
            };
            let learnt = demonstration.as_ref().map_or(0, |d| d.prefill.len() + d.completion.len());
            let said: usize = before.iter().map(|turn| size_of_val(turn) + turn.text.len()).sum();
            let texts = id.len() + problem.len() + said + answer.len() + origin.len() + learnt;
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
        let mut rows = Holding::of(Path::new("rows.jsonl"), 1.0, 2500);
        rows.add(bad()).unwrap();
        let message = rows.add(bad()).unwrap_err().to_string();
        for part in ["rows.jsonl: its rows take more than 2500 bytes", "Parquet", "data.limit"] {
            assert!(message.contains(part), "{message}");
        }
    }
}
