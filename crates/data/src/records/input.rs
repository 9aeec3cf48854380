//! A file of rows as text, with what can be told of it from its first bytes.

use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};

use vigos_core::files::{self, FileError};
use vigos_core::pointer;

use crate::error::DatasetError;
use crate::format::ending;
use crate::packing::Packing;

/// Bytes that are looked at before anything is read.
const LOOK: u64 = 4 << 10;
/// What some programs write before a text in UTF-8.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// An open file, decompressed, at its first byte that is text.
pub(super) struct Input {
    pub(super) path: PathBuf,
    pub(super) reader: Box<dyn BufRead>,
    /// Bytes before the text that are none of it.
    pub(super) skipped: u64,
    /// Whether it is compressed.
    pub(super) is_packed: bool,
    start: Vec<u8>,
}

/// How rows follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A JSON object a line.
    Lines,
    /// A JSON array of objects.
    List,
    /// A line of names, then one of cells for each row.
    Table {
        /// What stands between two cells.
        separator: u8,
    },
}

impl Input {
    pub(super) fn open(path: &Path) -> Result<Self, DatasetError> {
        let failed = |action| move |e| DatasetError::from(FileError::io(action, path, e));
        let mut reader: Box<dyn BufRead> =
            Box::new(BufReader::new(files::open(path).map_err(failed("open"))?));
        let mut start = look(&mut reader).map_err(failed("read"))?;
        let packing = Packing::of(&start);
        if let Some(packing) = packing {
            let whole = Cursor::new(start).chain(reader);
            reader = Box::new(BufReader::new(packing.unpacked(whole).map_err(failed("unpack"))?));
            start = look(&mut reader).map_err(failed("read"))?;
        }
        if let Some((found, wanted)) = foreign(&start) {
            return Err(DatasetError::NoText { path: path.to_owned(), found, wanted });
        }
        let text = start.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&start).to_vec();
        let skipped = (start.len() - text.len()) as u64;
        let reader = Box::new(Cursor::new(text.clone()).chain(reader));
        Ok(Self { path: path.to_owned(), reader, skipped, is_packed: packing.is_some(), start: text })
    }

    /// A table is told by its name, a list by its bracket.
    pub(super) fn kind(&self) -> Kind {
        match ending(&self.path).as_deref() {
            Some("tsv") => Kind::Table { separator: b'\t' },
            Some("csv") => Kind::Table { separator: self.separator() },
            _ if self.start.trim_ascii_start().starts_with(b"[") => Kind::List,
            _ => Kind::Lines,
        }
    }

    /// Which of the usual separators the first line has most of.
    fn separator(&self) -> u8 {
        let line = self.start.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let count = |separator: u8| line.iter().filter(|byte| **byte == separator).count();
        let usual = [b'\t', b';', b','];
        usual.into_iter().max_by_key(|separator| count(*separator)).unwrap_or(b',')
    }
}

/// The first bytes, taken out of the reader.
fn look(reader: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut start = Vec::new();
    reader.take(LOOK).read_to_end(&mut start)?;
    Ok(start)
}

/// What a file is instead of text in UTF-8, and what to do about it.
fn foreign(start: &[u8]) -> Option<(&'static str, &'static str)> {
    const CONVERT: &str = "UTF-8: convert it with `iconv -f UTF-16 -t UTF-8`, or in PowerShell by \
                           `Get-Content FILE | Set-Content -Encoding utf8 NEW`";
    let is_wide = matches!(start, [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [0, _, ..] | [_, 0, ..]);
    Some(match start {
        _ if pointer::is_pointer(start) => ("a Git LFS pointer in its place", pointer::ADVICE),
        [first, ..] if start.iter().all(|byte| byte == first) && *first == 0 => {
            ("nothing but zero bytes", "rows: was the file only half copied?")
        }
        _ if is_wide => ("text in UTF-16 or UTF-32", CONVERT),
        [b'P', b'A', b'R', b'1', ..] => ("a Parquet file", "the name to end with .parquet"),
        [b'P', b'K', 3, 4, ..] => {
            ("a zip archive or a spreadsheet", "JSON Lines or CSV: unpack or export it")
        }
        [b'A', b'R', b'R', b'O', b'W', b'1', ..] => ("an Arrow file", "the name to end with .arrow"),
        _ if start.trim_ascii_start().starts_with(b"<") => {
            ("a web page or XML", "rows: was a page saved in the place of the file?")
        }
        _ => return None,
    })
}
