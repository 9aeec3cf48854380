//! JSON Lines: one JSON value a line.
//!
//! The writer puts every line down by one write that ends with the line break, so that a file can be read
//! while it grows: what has its line break is whole. The reader names the file and the line of whatever is
//! wrong.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::files::{self, FileError};

/// Why lines could not be written or read. Lines count from 1.
#[derive(Debug, Error)]
pub enum JsonLinesError {
    /// The file itself.
    #[error(transparent)]
    File(#[from] FileError),
    /// A value has no JSON form, such as a map whose keys are no strings.
    #[error("cannot write a line of {}: {reason}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What is wrong with the value.
        reason: String,
    },
    /// A line is not the JSON value wanted.
    #[error("{}:{line}: {reason}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// What was found and wanted, and the column.
        reason: String,
    },
    /// A line is longer than the reader takes.
    #[error("{}:{line}: the line has more than {limit} bytes; is this a JSON Lines file?", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
        /// The most bytes that a line may have.
        limit: usize,
    },
    /// The last line has no line break, so its writer may have been cut off.
    #[error(
        "{}:{line}: the last line has no line break, its writer may have been cut off; \
         complete or remove the line",
        path.display()
    )]
    Unfinished {
        /// The file.
        path: PathBuf,
        /// The line.
        line: usize,
    },
    /// A file to be cut to its first lines has fewer.
    #[error(
        "{} has {found} whole lines, at least {wanted} wanted; it is not the file that was being written",
        path.display()
    )]
    TooFew {
        /// The file.
        path: PathBuf,
        /// Lines in the file.
        found: u64,
        /// Lines that it should have at least.
        wanted: u64,
    },
}

impl JsonLinesError {
    /// Whether the user's input is at fault, rather than the machine.
    pub fn is_input(&self) -> bool {
        match self {
            Self::File(error) => error.is_input(),
            _ => true,
        }
    }
}

/// A JSON Lines file being written. Only one writer may have a file at a time; readers may be many.
#[derive(Debug)]
pub struct JsonLines {
    path: PathBuf,
    file: File,
    lines: u64,
    bytes: u64,
}

impl JsonLines {
    /// Opens `path` to add lines at its end, creating it if there is none. An unfinished last line, left by
    /// a writer that was cut off, is removed.
    ///
    /// # Errors
    /// [`JsonLinesError::File`].
    pub fn append(path: &Path) -> Result<Self, JsonLinesError> {
        Self::open(path, None)
    }

    /// Opens `path` to continue after its first `lines` lines; what follows them is removed. Zero empties
    /// the file or creates it.
    ///
    /// # Errors
    /// [`JsonLinesError::TooFew`] if the file has fewer lines, [`JsonLinesError::File`].
    pub fn resume(path: &Path, lines: u64) -> Result<Self, JsonLinesError> {
        Self::open(path, Some(lines))
    }

    /// Writes `value` as one line, by a single unbuffered write.
    ///
    /// A reader may catch the system half way through the write of a long line. It sees no line break then,
    /// and leaves the part out with [`LastLine::Dropped`].
    ///
    /// # Errors
    /// [`JsonLinesError::Unwritable`], or [`JsonLinesError::File`], such as a full disk, after which the
    /// line is not in the file.
    pub fn write<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), JsonLinesError> {
        let mut line = serde_json::to_vec(value)
            .map_err(|e| JsonLinesError::Unwritable { path: self.path.clone(), reason: e.to_string() })?;
        line.push(b'\n');
        let written = loop {
            match self.file.write(&line) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        let outcome = match written {
            Ok(n) if n == line.len() => self.file.flush(),
            Ok(n) => Err(io::Error::other(format!("only {n} of {} bytes fitted", line.len()))),
            Err(e) => Err(e),
        };
        if let Err(e) = outcome {
            // The part that fitted would spoil the next line. If even this fails, the first error tells why.
            let _ = cut(&self.path, self.bytes);
            return Err(FileError::io("write a line to", &self.path, e).into());
        }
        self.lines += 1;
        self.bytes += line.len() as u64;
        Ok(())
    }

    /// Lines in the file, to be given to [`JsonLines::resume`] later.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// Forces what was written to disk.
    ///
    /// # Errors
    /// [`JsonLinesError::File`].
    pub fn sync(&self) -> Result<(), JsonLinesError> {
        Ok(self.file.sync_data().map_err(|e| FileError::io("sync", &self.path, e))?)
    }

    fn open(path: &Path, keep: Option<u64>) -> Result<Self, JsonLinesError> {
        let failed = |e| FileError::io("open", path, e);
        // Asked before opening: a pipe would wait for its reader, and a link may lead to what is somebody else's.
        if std::fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) {
            return Err(FileError::NotAFile { path: path.to_owned() }.into());
        }
        let file = File::options().append(true).create(true).open(path).map_err(failed)?;
        let length = file.metadata().map_err(failed)?.len();
        let (lines, bytes) = File::open(path)
            .and_then(|f| measure(f, keep.unwrap_or(u64::MAX)))
            .map_err(|e| FileError::io("read", path, e))?;
        if let Some(wanted) = keep.filter(|wanted| lines < *wanted) {
            return Err(JsonLinesError::TooFew { path: path.to_owned(), found: lines, wanted });
        }
        if bytes < length {
            cut(path, bytes).map_err(|e| FileError::io("shorten", path, e))?;
        }
        Ok(Self { path: path.to_owned(), file, lines, bytes })
    }
}

/// Whole lines at the start of a file, at most `most`, and the bytes that they take.
fn measure(file: File, most: u64) -> io::Result<(u64, u64)> {
    let mut reader = BufReader::new(file);
    let (mut lines, mut bytes) = (0, 0);
    while lines < most {
        // Not `read_until`: a line is only counted, and may be of any length.
        let (length, whole) = skip_line(&mut reader)?;
        if !whole {
            break;
        }
        lines += 1;
        bytes += length;
    }
    Ok((lines, bytes))
}

/// Skips to the end of a line: its length, and whether it ended with a line break.
fn skip_line(reader: &mut impl BufRead) -> io::Result<(u64, bool)> {
    let mut length = 0;
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok((length, false));
        }
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(buffer.len(), |at| at + 1);
        reader.consume(used);
        length += used as u64;
        if end.is_some() {
            return Ok((length, true));
        }
    }
}

/// Cuts the file at `path` to `bytes`. By its own handle: one opened to append may not be cut everywhere.
fn cut(path: &Path, bytes: u64) -> io::Result<()> {
    let file = File::options().write(true).open(path)?;
    file.set_len(bytes)?;
    file.sync_all()
}

/// What to do with a last line that has no line break.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LastLine {
    /// An error: the file is not whole.
    #[default]
    Finished,
    /// Leave it out: a writer is at it, or was cut off.
    Dropped,
    /// Read it like any other, as for files that people and other tools write.
    Taken,
}

/// How lines are read.
#[derive(Clone, Copy, Debug)]
pub struct ReadOptions {
    /// The most bytes that a line may have, without its line break.
    pub max_line_bytes: usize,
    /// What a last line without a line break means.
    pub last_line: LastLine,
}

impl Default for ReadOptions {
    /// Lines of at most 16 MiB, all of them finished.
    fn default() -> Self {
        Self { max_line_bytes: 16 << 20, last_line: LastLine::default() }
    }
}

/// Reads a JSON Lines file: (line, counted from 1; value) for every line that is not blank. A byte order
/// mark at the start is passed over. After an error nothing follows.
///
/// # Errors
/// [`JsonLinesError::File`] if the file does not open; each item has its own error.
pub fn read_lines<T: DeserializeOwned>(
    path: &Path,
    options: ReadOptions,
) -> Result<Lines<T>, JsonLinesError> {
    let file = files::open(path).map_err(|e| FileError::io("open", path, e))?;
    Ok(Lines {
        path: path.to_owned(),
        reader: BufReader::new(file),
        options,
        line: 0,
        ended: false,
        value: PhantomData,
    })
}

/// The lines of a file, see [`read_lines`].
#[derive(Debug)]
pub struct Lines<T> {
    path: PathBuf,
    reader: BufReader<File>,
    options: ReadOptions,
    line: usize,
    ended: bool,
    value: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Iterator for Lines<T> {
    type Item = Result<(usize, T), JsonLinesError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            match self.advance() {
                Ok(Some(value)) => return Some(Ok((self.line, value))),
                Ok(None) => {}
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

impl<T: DeserializeOwned> Lines<T> {
    /// Reads one line; none if it is blank or the file has ended.
    fn advance(&mut self) -> Result<Option<T>, JsonLinesError> {
        self.line += 1;
        let limit = self.options.max_line_bytes;
        let mut text = Vec::new();
        // Two more than the limit: a line break, and a byte that shows that the line is too long.
        let mut bounded = (&mut self.reader).take((limit as u64).saturating_add(2));
        bounded.read_until(b'\n', &mut text).map_err(|e| FileError::io("read", &self.path, e))?;
        let whole = text.pop_if(|byte| *byte == b'\n').is_some();
        if text.len() > limit {
            return Err(JsonLinesError::TooLong { path: self.path.clone(), line: self.line, limit });
        }
        self.ended = !whole;
        let text = if self.line == 1 { text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text) } else { &text };
        if text.trim_ascii().is_empty() {
            return Ok(None);
        }
        match self.options.last_line {
            LastLine::Finished if !whole => {
                return Err(JsonLinesError::Unfinished { path: self.path.clone(), line: self.line });
            }
            LastLine::Dropped if !whole => return Ok(None),
            _ => {}
        }
        serde_json::from_slice(text).map(Some).map_err(|e| JsonLinesError::Line {
            path: self.path.clone(),
            line: self.line,
            reason: reason(&e),
        })
    }
}

/// The parser's message without its line number, which within one line is always 1.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((message, _)) if error.column() > 0 => format!("{message} at column {}", error.column()),
        _ => text,
    }
}

#[cfg(test)]
#[path = "jsonl_tests.rs"]
mod tests;
