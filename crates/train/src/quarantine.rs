//! Rows that cannot be used: written down with the reason, and too many of them end the run.

use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use vigos_core::jsonl::{JsonLines, ReadOptions, read_lines};
use vigos_data::BadRow;
use vigos_rollout::RunError;

/// `quarantine.jsonl` of a run; there is none as long as every row can be used.
#[derive(Debug)]
pub(crate) struct Quarantine {
    path: PathBuf,
    share: f64,
    file: Lines,
    /// Where the rows stand that were written down.
    known: HashSet<String>,
}

/// The file.
#[derive(Debug)]
enum Lines {
    /// There is no row in it yet.
    None,
    /// This rank writes it.
    Own(JsonLines),
    /// Another rank does.
    Elsewhere,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Line {
    origin: String,
    id: String,
    reason: String,
}

impl Quarantine {
    /// Continues the file at `path` after its first `lines` lines. Up to `share` of the data set's rows, from 0 to 1,
    /// may be bad.
    ///
    /// # Errors
    /// If the file has fewer lines or cannot be written.
    pub(crate) fn open(path: &Path, lines: u64, share: f64) -> Result<Self, RunError> {
        let file = match lines > 0 || path.exists() {
            true => Lines::Own(JsonLines::resume(path, lines)?),
            false => Lines::None,
        };
        Ok(Self { path: path.to_owned(), share, file, known: known(path, lines)? })
    }

    /// Goes on beside the rank that continues the file at `path` after its first `lines` lines: rows are known, and counted,
    /// and not written down.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(crate) fn reading(path: &Path, lines: u64, share: f64) -> Result<Self, RunError> {
        let known = known(path, lines)?;
        Ok(Self { path: path.to_owned(), share, file: Lines::Elsewhere, known })
    }

    /// Rows written down so far.
    pub(crate) fn lines(&self) -> u64 {
        match &self.file {
            Lines::Own(lines) => lines.lines(),
            Lines::None | Lines::Elsewhere => 0,
        }
    }

    /// Writes down a bad row of a data set of `rows` rows, and whether that is news: it may have come in an earlier
    /// epoch.
    ///
    /// # Errors
    /// [`RunError::BadRows`] if there are now too many, or the file cannot be written.
    pub(crate) fn add(&mut self, row: &BadRow, rows: usize) -> Result<bool, RunError> {
        let BadRow { origin, id, reason } = row.clone();
        if !self.known.insert(origin.clone()) {
            return Ok(false);
        }
        if matches!(self.file, Lines::None) {
            self.file = Lines::Own(JsonLines::resume(&self.path, 0)?);
        }
        if let Lines::Own(lines) = &mut self.file {
            lines.write(&Line { origin: origin.clone(), id: id.clone(), reason: reason.clone() })?;
        }
        let (bad, seen, share) = (self.known.len() as u64, rows as u64, self.share);
        if bad as f64 > share * seen as f64 {
            let last = format!("{origin} (id `{id}`): {reason}");
            return Err(RunError::BadRows { last, bad, seen, share, quarantine: self.path.clone() });
        }
        Ok(true)
    }

    /// Forces what was written to disk.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub(crate) fn sync(&self) -> Result<(), RunError> {
        match &self.file {
            Lines::Own(lines) => Ok(lines.sync()?),
            Lines::None | Lines::Elsewhere => Ok(()),
        }
    }
}

/// Where the rows of the first `lines` lines of a file stand.
fn known(path: &Path, lines: u64) -> Result<HashSet<String>, RunError> {
    let mut known = HashSet::new();
    if lines > 0 {
        let most = usize::try_from(lines).unwrap_or(usize::MAX);
        for line in read_lines::<Line>(path, ReadOptions::default())?.take(most) {
            known.insert(line?.1.origin);
        }
    }
    Ok(known)
}
