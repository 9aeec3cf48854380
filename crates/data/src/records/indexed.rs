//! Plain JSON: the places of its rows, which are read again when they are asked for.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value};
use vigos_core::files::{self, FileError, folder_of};
use vigos_layouts::Reader;

use super::input::{Input, Kind};
use super::made::{made, records};
use super::record::{Bytes, Record};
use super::syntax;
use crate::error::DatasetError;
use crate::reading::Reading;
use crate::row_result::RowResult;
use crate::stored::Stored;
use crate::tally::Tally;
use vigos_core::order::RowGroup;

/// Files of JSON with the places of their records.
#[derive(Debug)]
pub(crate) struct Indexed {
    files: Vec<TextFile>,
    places: Vec<Place>,
    reader: Reader,
    image_root: Option<PathBuf>,
}

#[derive(Debug)]
struct TextFile {
    path: PathBuf,
    file: Mutex<File>,
    /// Whether a record is a line; otherwise it is an element of an array.
    has_lines: bool,
}

/// Where a record stands.
#[derive(Clone, Copy, Debug)]
struct Place {
    file: u32,
    /// Its line, or its number in the array, from 1 on.
    number: usize,
    /// Of its text; of a record that is too long there is none.
    bytes: Bytes,
}

/// Reads and checks all records of these files, and keeps where they stand.
///
/// # Errors
/// As [`super::read_rows`].
pub(super) fn read(
    path: &Path,
    inputs: Vec<Input>,
    reader: &Reader,
    reading: Reading,
) -> Result<Indexed, DatasetError> {
    let limit = reading.limit.unwrap_or(usize::MAX);
    let mut tally = Tally::of(path, reading.max_bad_share);
    let mut index = Indexed {
        files: Vec::new(),
        places: Vec::new(),
        reader: reader.clone(),
        image_root: reading.image_root.map(Path::to_owned),
    };
    for (number, input) in inputs.into_iter().enumerate() {
        let (path, has_lines) = (input.path.clone(), input.kind() == Kind::Lines);
        let file = files::open(&path).map_err(|e| FileError::io("open", &path, e))?;
        let root = reading.image_root.unwrap_or_else(|| folder_of(&path)).to_owned();
        for record in records(input)?.take(limit - index.places.len()) {
            let record = record?;
            made(&record, reader, &root).iter().try_for_each(|row| tally.add(row))?;
            let file = u32::try_from(number).unwrap_or(u32::MAX);
            index.places.push(Place { file, number: record.number, bytes: record.bytes });
        }
        index.files.push(TextFile { path, file: Mutex::new(file), has_lines });
    }
    tally.finish()?;
    Ok(index)
}

impl Indexed {
    /// Record `index` with the folder of its file; none beyond the last.
    fn record(&self, index: usize) -> Option<(Record, &Path)> {
        let Place { file, number, bytes } = *self.places.get(index)?;
        let file = self.files.get(usize::try_from(file).ok()?)?;
        let origin = match file.has_lines {
            true => format!("{}:{number}", file.path.display()),
            false => format!("{}: row {number}", file.path.display()),
        };
        let fields = match bytes.length {
            0 => Err("the line has more bytes than a row has; is this a JSON Lines file?".into()),
            _ => file.read(bytes).and_then(|text| syntax::object(&text)),
        };
        let root = self.image_root.as_deref().unwrap_or_else(|| folder_of(&file.path));
        Some((Record { origin, number, bytes, fields }, root))
    }
}

impl TextFile {
    fn read(&self, bytes: Bytes) -> Result<Vec<u8>, String> {
        let mut text = vec![0; bytes.length];
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(bytes.start))
            .and_then(|_| file.read_exact(&mut text))
            .map_err(|e| format!("it cannot be read any more, was the file changed? {e}"))?;
        Ok(text)
    }
}

impl Stored for Indexed {
    fn records(&self) -> usize {
        self.places.len()
    }

    fn rows(&self, index: usize) -> Result<Option<Vec<RowResult>>, DatasetError> {
        Ok(self.record(index).map(|(record, root)| made(&record, &self.reader, root)))
    }

    fn groups(&self) -> Option<Vec<RowGroup>> {
        None
    }

    fn fields(&self, index: usize) -> Result<Option<Map<String, Value>>, DatasetError> {
        Ok(self.record(index).and_then(|(record, _)| record.fields.ok()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vigos_layouts::RowFields;
    use vigos_recipe::{BadRow, Fields};

    #[test]
    fn a_row_is_read_again_as_it_was_read_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.json");
        let row = |n: usize| format!(r#"{{"image": "a.png", "problem": "p{n}", "answer": "ü, {n}]"}}"#);
        std::fs::write(&path, format!("\u{feff} [\n{} ,\n {}]", row(0), row(1))).unwrap();
        let input = vec![Input::open(&path).unwrap()];
        let reading = Reading::default();
        let reader = reading.reader(&RowFields::from(&Fields::default()));
        let index = read(&path, input, &reader, reading).unwrap();
        for n in 0..2 {
            let rows = index.rows(n).unwrap().unwrap();
            let Ok(row) = &rows[0] else { panic!("{rows:?}") };
            assert_eq!(
                (row.problem.as_str(), row.answer.as_str()),
                (&*format!("p{n}"), &*format!("ü, {n}]"))
            );
            assert_eq!(row.id, (n + 1).to_string());
        }
        std::fs::write(&path, "").unwrap();
        let rows = index.rows(0).unwrap().unwrap();
        assert!(matches!(&rows[0], Err(BadRow { reason, .. }) if reason.contains("was the file changed")));
    }
}
