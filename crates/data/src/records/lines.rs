//! Records of JSON Lines: an object a line.

use std::io::{BufRead, Read};

use vigos_core::files::FileError;

use super::input::Input;
use super::record::{Bytes, MAX_ROW, Record};
use super::syntax;
use crate::error::DatasetError;

/// The records of a file; blank lines are none. The last line need not have a line break.
pub(super) fn records(input: Input) -> impl Iterator<Item = Result<Record, DatasetError>> {
    let offset = input.skipped;
    let mut lines = Lines { input, line: 0, offset, ended: false };
    std::iter::from_fn(move || lines.next_record().transpose())
}

struct Lines {
    input: Input,
    line: usize,
    /// Bytes of the text that were read.
    offset: u64,
    ended: bool,
}

impl Lines {
    fn next_record(&mut self) -> Result<Option<Record>, DatasetError> {
        while !self.ended {
            let start = self.offset;
            let text = match self.next_line() {
                Ok(text) => text,
                Err(e) => {
                    self.ended = true;
                    return Err(FileError::io("read", &self.input.path, e).into());
                }
            };
            let fields = match &text {
                Ok(text) if text.trim_ascii().is_empty() => continue,
                Ok(text) => syntax::object(text),
                Err(reason) => Err(reason.clone()),
            };
            let origin = format!("{}:{}", self.input.path.display(), self.line);
            let bytes = Bytes { start, length: text.as_ref().map_or(0, Vec::len) };
            return Ok(Some(Record { origin, number: self.line, bytes, fields }));
        }
        Ok(None)
    }

    /// The next line without its line break, or why it is not taken.
    fn next_line(&mut self) -> std::io::Result<Result<Vec<u8>, String>> {
        self.line += 1;
        let mut text = Vec::new();
        // Two more than the limit: a line break, and a byte that shows that the line is too long.
        let read = (&mut self.input.reader).take(MAX_ROW as u64 + 2).read_until(b'\n', &mut text)?;
        self.offset += read as u64;
        let whole = text.pop_if(|byte| *byte == b'\n').is_some();
        if text.len() <= MAX_ROW {
            self.ended = !whole;
            return Ok(Ok(text));
        }
        if !whole {
            self.ended = !self.skip_line()?;
        }
        Ok(Err(format!(
            "the line has more than {MAX_ROW} bytes, which no row has; is this a JSON Lines file?"
        )))
    }

    /// Passes over the rest of a line; whether it ended with a line break.
    fn skip_line(&mut self) -> std::io::Result<bool> {
        loop {
            let buffer = self.input.reader.fill_buf()?;
            if buffer.is_empty() {
                return Ok(false);
            }
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let used = end.map_or(buffer.len(), |at| at + 1);
            self.input.reader.consume(used);
            self.offset += used as u64;
            if end.is_some() {
                return Ok(true);
            }
        }
    }
}
