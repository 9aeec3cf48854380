//! Where the lines of a result go.

use crate::error::TerminalError;
use crate::output;
use serde::Serialize;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use vigos_core::files::{FileError, Unfinished};
use vigos_core::jsonl::JsonLinesError;

/// A file of JSON Lines, or stdout.
#[derive(Debug)]
pub enum Sink {
    /// Stdout.
    Stdout,
    /// A pipe or another device, line by line.
    Device {
        /// Its name.
        path: PathBuf,
        /// It, opened.
        device: File,
    },
    /// A file, there when it is whole.
    File {
        /// Its name.
        path: PathBuf,
        /// What there is of it.
        lines: Box<BufWriter<Unfinished>>,
    },
}

impl Sink {
    /// What `--output` names: a file, or `-` for stdout. A file that is there stays as it is until [`Self::finish`];
    /// behind a symbolic link it is the one that the link leads to.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn open(path: &Path) -> Result<Self, JsonLinesError> {
        if path == Path::new("-") {
            return Ok(Self::Stdout);
        }
        match fs::metadata(path) {
            Ok(found) if !found.is_file() && !found.is_dir() => {
                let device = File::options().write(true).open(path);
                let device = device.map_err(|e| FileError::io("open", path, e))?;
                Ok(Self::Device { path: path.to_owned(), device })
            }
            _ => {
                let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
                let unfinished = Unfinished::begin(&path).map_err(|error| match error {
                    // It is the file that was named.
                    FileError::Io { source, .. } => FileError::io("open", &path, source),
                    other => other,
                })?;
                Ok(Self::File { path, lines: Box::new(BufWriter::new(unfinished)) })
            }
        }
    }

    /// Writes a line.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn write(&mut self, line: &impl Serialize) -> Result<(), TerminalError> {
        match self {
            Self::Stdout => output::json(line),
            Self::Device { path, device } => put(device, path, line),
            Self::File { path, lines } => put(lines, path, line),
        }
    }

    /// Forces what was written to disk, and gives a file its name.
    ///
    /// # Errors
    /// If the disk does not take it; what had the name is then whole.
    pub fn finish(self) -> Result<(), TerminalError> {
        match self {
            Self::Stdout | Self::Device { .. } => Ok(()),
            Self::File { path, lines } => {
                let failed = |e: io::IntoInnerError<_>| FileError::io("write", &path, e.into_error());
                let unfinished = lines.into_inner().map_err(failed).map_err(JsonLinesError::from)?;
                Ok(unfinished.finish().map_err(JsonLinesError::from)?)
            }
        }
    }
}

/// Writes a line by one call, so that a reader of a pipe gets it whole.
fn put(to: &mut impl Write, path: &Path, line: &impl Serialize) -> Result<(), TerminalError> {
    let written = serde_json::to_string(line).map_err(io::Error::from);
    let written = written.and_then(|text| to.write_all(format!("{text}\n").as_bytes()));
    written.map_err(|e| JsonLinesError::from(FileError::io("write", path, e)).into())
}

#[cfg(test)]
mod tests {
    use super::Sink;
    use std::fs;

    #[test]
    fn an_older_result_stays_until_the_new_one_is_whole() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let (path, twin) = (folder.path().join("scores.jsonl"), folder.path().join("twin.jsonl"));
        fs::write(&path, "old\n")?;
        fs::hard_link(&path, &twin)?;
        let mut cut = Sink::open(&path)?;
        cut.write(&1)?;
        assert_eq!(fs::read_to_string(&path)?, "old\n");
        drop(cut);
        assert_eq!(fs::read_dir(folder.path())?.count(), 2, "nothing is left of what was not finished");
        let mut whole = Sink::open(&path)?;
        (1..=2).try_for_each(|line| whole.write(&line))?;
        whole.finish()?;
        assert_eq!(fs::read_to_string(&path)?, "1\n2\n");
        assert_eq!(fs::read_to_string(&twin)?, "old\n", "a file of another name is left alone");
        Ok(())
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let (path, link) = (folder.path().join("scores.jsonl"), folder.path().join("link"));
        fs::write(&path, "old\n")?;
        std::os::unix::fs::symlink(&path, &link)?;
        Sink::open(&link)?.finish()?;
        assert!(link.is_symlink() && fs::read(&path)?.is_empty());
        Ok(())
    }
}
