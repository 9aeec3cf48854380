//! Records of a JSON array: its elements, one at a time.

use std::io::BufRead;

use vigos_core::files::FileError;

use super::input::Input;
use super::record::{Bytes, MAX_ROW, Record};
use super::syntax;
use crate::error::DatasetError;

/// The records of a file whose first letter is a bracket.
pub(super) fn records(input: Input) -> impl Iterator<Item = Result<Record, DatasetError>> {
    let offset = input.skipped;
    let mut list = List { input, number: 0, line: 1, offset, put_back: None, ended: false };
    std::iter::from_fn(move || {
        if list.ended {
            return None;
        }
        let record = list.next_record();
        list.ended = !matches!(record, Ok(Some(_)));
        record.transpose()
    })
}

struct List {
    input: Input,
    /// Elements begun.
    number: usize,
    line: usize,
    /// Bytes of the text that were read.
    offset: u64,
    /// A byte to be read again.
    put_back: Option<u8>,
    ended: bool,
}

/// Where a byte stands within an element.
#[derive(Default)]
struct Nesting {
    depth: usize,
    in_text: bool,
    escaped: bool,
}

impl List {
    fn next_record(&mut self) -> Result<Option<Record>, DatasetError> {
        if self.number == 0 {
            self.next_letter()?;
        }
        let Some(first) = self.next_letter()? else { return Err(self.unfinished()) };
        if first == b']' {
            return match self.next_letter()? {
                None => Ok(None),
                Some(_) => Err(self.fault("found text after the array's end, wanted none")),
            };
        }
        self.number += 1;
        let start = self.offset.saturating_sub(1);
        let (text, end) = self.element(first)?;
        let origin = format!("{}: row {}", self.input.path.display(), self.number);
        let bytes = Bytes { start, length: text.len() };
        let record = Record { origin, number: self.number, bytes, fields: syntax::object(&text) };
        // A comma was all there is between two elements; a bracket ends the next one before it begins.
        self.put_back = Some(end).filter(|end| *end == b']');
        Ok(Some(record))
    }

    /// The text of an element that begins with `first`, and the comma or bracket behind it.
    fn element(&mut self, first: u8) -> Result<(Vec<u8>, u8), DatasetError> {
        let mut text = Vec::new();
        let mut nesting = Nesting::default();
        let mut next = Some(first);
        while let Some(byte) = next {
            if nesting.ends_at(byte) {
                return Ok((text, byte));
            }
            text.push(byte);
            if text.len() > MAX_ROW {
                return Err(
                    self.fault("a row has more bytes than any should; is a quote or bracket missing?")
                );
            }
            next = self.next_byte()?;
        }
        Err(self.unfinished())
    }

    fn next_letter(&mut self) -> Result<Option<u8>, DatasetError> {
        loop {
            match self.next_byte()? {
                Some(byte) if byte.is_ascii_whitespace() => {}
                other => return Ok(other),
            }
        }
    }

    fn next_byte(&mut self) -> Result<Option<u8>, DatasetError> {
        if let Some(byte) = self.put_back.take() {
            return Ok(Some(byte));
        }
        let buffer = self.input.reader.fill_buf().map_err(|e| FileError::io("read", &self.input.path, e))?;
        let Some(byte) = buffer.first().copied() else { return Ok(None) };
        self.input.reader.consume(1);
        self.offset += 1;
        self.line += usize::from(byte == b'\n');
        Ok(Some(byte))
    }

    fn unfinished(&self) -> DatasetError {
        self.fault("found the file's end within its JSON array, wanted a closing bracket; is it cut off?")
    }

    fn fault(&self, reason: &str) -> DatasetError {
        let path = self.input.path.clone();
        DatasetError::List { path, line: self.line, row: self.number.max(1), reason: reason.to_owned() }
    }
}

impl Nesting {
    /// Whether the element ends before this byte.
    fn ends_at(&mut self, byte: u8) -> bool {
        if self.in_text {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = true,
                b'"' => self.in_text = false,
                _ => {}
            }
            return false;
        }
        match byte {
            b'"' => self.in_text = true,
            b'{' | b'[' => self.depth += 1,
            b',' | b']' if self.depth == 0 => return true,
            b'}' | b']' => self.depth = self.depth.saturating_sub(1),
            _ => {}
        }
        false
    }
}
