//! Where the lines of a result go.

use crate::error::TerminalError;
use crate::output;
use serde::Serialize;
use std::path::Path;
use vigos_core::jsonl::{JsonLines, JsonLinesError};

/// A file of JSON Lines, or stdout.
#[derive(Debug)]
pub enum Sink {
    /// Stdout.
    Stdout,
    /// A file, empty at the start.
    File(JsonLines),
}

impl Sink {
    /// What `--output` names: a file, or `-` for stdout.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn open(path: &Path) -> Result<Self, JsonLinesError> {
        match path == Path::new("-") {
            true => Ok(Self::Stdout),
            false => Ok(Self::File(JsonLines::resume(path, 0)?)),
        }
    }

    /// Writes a line.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&mut self, line: &impl Serialize) -> Result<(), TerminalError> {
        match self {
            Self::Stdout => output::json(line),
            Self::File(lines) => Ok(lines.write(line)?),
        }
    }

    /// Forces what was written to disk.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub fn finish(&self) -> Result<(), TerminalError> {
        match self {
            Self::Stdout => Ok(()),
            Self::File(lines) => Ok(lines.sync()?),
        }
    }
}
