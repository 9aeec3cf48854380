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
    /// The file, once there is a row in it; there is never one where another rank writes it.
    lines: Option<JsonLines>,
    writes: bool,
    /// Where the rows stand that were written down.
    known: HashSet<String>,
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
        let (mut file, mut known) = (None, HashSet::new());
        if lines > 0 || path.exists() {
            file = Some(JsonLines::resume(path, lines)?);
            for line in read_lines::<Line>(path, ReadOptions::default())? {
                known.insert(line?.1.origin);
            }
        }
        Ok(Self { path: path.to_owned(), share, lines: file, writes: true, known })
    }

    /// Goes on beside the rank that continues the file at `path` after its first `lines` lines: rows are known, and counted,
    /// and not written down.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(crate) fn reading(path: &Path, lines: u64, share: f64) -> Result<Self, RunError> {
        let mut known = HashSet::new();
        if lines > 0 {
            let most = usize::try_from(lines).unwrap_or(usize::MAX);
            for line in read_lines::<Line>(path, ReadOptions::default())?.take(most) {
                known.insert(line?.1.origin);
            }
        }
        Ok(Self { path: path.to_owned(), share, lines: None, writes: false, known })
    }

    /// Rows written down so far.
    pub(crate) fn lines(&self) -> u64 {
        self.lines.as_ref().map_or(0, JsonLines::lines)
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
        if self.writes {
            let lines = match &mut self.lines {
                Some(lines) => lines,
                none => none.insert(JsonLines::resume(&self.path, 0)?),
            };
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
        self.lines.as_ref().map_or(Ok(()), |lines| Ok(lines.sync()?))
    }
}
