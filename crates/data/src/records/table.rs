//! Records of a table with separators (CSV): its lines behind the line of names.

use std::cell::Cell;
use std::collections::HashSet;
use std::io::{self, Read};
use std::path::Path;
use std::rc::Rc;

use csv::ByteRecord;
use serde_json::{Map, Value};
use vigos_core::files::FileError;
use vigos_core::text::one_line;

use super::input::Input;
use super::record::{Bytes, MAX_ROW, Record};
use crate::error::DatasetError;

/// Columns whose cells may be JSON: what other layouts keep in lists.
const NESTED: [&str; 9] =
    ["image", "images", "conversations", "messages", "prompt", "completion", "choices", "options", "answers"];

/// The records of a file.
///
/// # Errors
/// If its first line cannot be read.
pub(super) fn records(
    input: Input,
    separator: u8,
) -> Result<impl Iterator<Item = Result<Record, DatasetError>>, DatasetError> {
    let Input { path, reader, .. } = input;
    let left = Rc::new(Cell::new(MAX_ROW));
    let bounded = Bounded { reader, left: left.clone() };
    let mut table = csv::ReaderBuilder::new().delimiter(separator).from_reader(bounded);
    let fault = |path: &Path, e: csv::Error| match e.into_kind() {
        csv::ErrorKind::Io(e) => DatasetError::from(FileError::io("read", path, e)),
        other => DatasetError::List {
            path: path.to_owned(),
            line: 1,
            row: 1,
            reason: format!("it cannot be read as a table: {other:?}"),
        },
    };
    let names = table.byte_headers().map_err(|e| fault(&path, e))?.clone();
    let names = names.iter().map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect::<Vec<_>>();
    // Columns without a name are left by spreadsheets, and nothing reads them.
    let mut known = HashSet::new();
    if let Some(twice) = names.iter().find(|name| !name.is_empty() && !known.insert(name.as_str())) {
        let reason = format!("found two columns {:?}, wanted one of that name", one_line(twice, 80));
        return Err(DatasetError::List { path, line: 1, row: 1, reason });
    }

    let mut ended = false;
    Ok(std::iter::from_fn(move || {
        let mut cells = ByteRecord::new();
        left.set(MAX_ROW);
        let read = if ended { Ok(false) } else { table.read_byte_record(&mut cells) };
        let line = cells.position().map_or(0, |position| position.line() as usize);
        // A cell may have line breaks and quotes: its bytes are not looked for again.
        let at = |line: usize, fields| Record {
            origin: format!("{}:{line}", path.display()),
            number: line,
            bytes: Bytes::default(),
            fields,
        };
        match read {
            Ok(false) => None,
            Ok(true) => Some(Ok(at(line, fields(&names, &cells)))),
            Err(e) => match e.kind() {
                csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
                    let line = pos.as_ref().map_or(line, |position| position.line() as usize);
                    let is_open = cells.iter().any(|cell| cell.contains(&b'\n'));
                    let hint =
                        if is_open { "; one has line breaks: is a closing quote missing?" } else { "" };
                    let reason =
                        format!("found {len} cells, wanted {expected_len} as the first line has names{hint}");
                    Some(Ok(at(line, Err(reason))))
                }
                _ => {
                    ended = true;
                    Some(Err(fault(&path, e)))
                }
            },
        }
    }))
}

/// The cells by their names; an empty one is null.
fn fields(names: &[String], cells: &ByteRecord) -> Result<Map<String, Value>, String> {
    let mut fields = Map::new();
    for (name, cell) in names.iter().zip(cells) {
        let text = std::str::from_utf8(cell).map_err(|_| {
            format!(
                "field {name:?}: found text that is not UTF-8; convert the file, for example with \
                     `iconv -f LATIN1 -t UTF-8`"
            )
        })?;
        let nested = || {
            let is_nested = NESTED.contains(&name.as_str()) && text.trim_start().starts_with(['[', '{']);
            is_nested.then(|| serde_json::from_str(text).ok()).flatten()
        };
        let value = match text {
            "" => Value::Null,
            _ => nested().unwrap_or_else(|| Value::String(text.to_owned())),
        };
        fields.insert(name.clone(), value);
    }
    Ok(fields)
}

/// A reader that gives so many bytes for a row: without its closing quote a cell would be the rest of the file.
struct Bounded<R> {
    reader: R,
    left: Rc<Cell<usize>>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.get();
        if left == 0 && !buffer.is_empty() {
            let reason = format!("a row has more than {MAX_ROW} bytes; is a closing quote missing?");
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        let most = buffer.len().min(left);
        let read = self.reader.read(&mut buffer[..most])?;
        self.left.set(left - read);
        Ok(read)
    }
}
