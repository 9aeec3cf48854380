//! Rows that cannot be used: written down with the reason, and too many of them end the run.

use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use vigos_core::jsonl::{JsonLines, ReadOptions, read_lines};
use vigos_data::BadRow;
use vigos_rollout::RunError;

/// Rows to read before the share of bad ones says something.
const ENOUGH: u64 = 20;

/// `quarantine.jsonl` of a run; there is none as long as every row can be used.
#[derive(Debug)]
pub(crate) struct Quarantine {
    path: PathBuf,
    share: f64,
    lines: Option<JsonLines>,
    last: Option<Line>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Line {
    origin: String,
    id: String,
    reason: String,
}

impl Quarantine {
    /// Continues the file at `path` after its first `lines` lines. Up to `share` of the rows read, from 0 to 1,
    /// may be bad.
    ///
    /// # Errors
    /// If the file has fewer lines or cannot be written.
    pub(crate) fn open(path: &Path, lines: u64, share: f64) -> Result<Self, RunError> {
        let (mut file, mut last) = (None, None);
        if lines > 0 || path.exists() {
            file = Some(JsonLines::resume(path, lines)?);
            for line in read_lines::<Line>(path, ReadOptions::default())? {
                last = Some(line?.1);
            }
        }
        Ok(Self { path: path.to_owned(), share, lines: file, last })
    }

    /// Rows written down so far.
    pub(crate) fn lines(&self) -> u64 {
        self.lines.as_ref().map_or(0, JsonLines::lines)
    }

    /// Writes down a bad row, the last of `seen` rows read.
    ///
    /// # Errors
    /// [`RunError::BadRows`] if there are now too many, or the file cannot be written.
    pub(crate) fn add(&mut self, row: &BadRow, seen: u64) -> Result<(), RunError> {
        let lines = match &mut self.lines {
            Some(lines) => lines,
            none => none.insert(JsonLines::resume(&self.path, 0)?),
        };
        let BadRow { origin, id, reason } = row.clone();
        let line = Line { origin, id, reason };
        lines.write(&line)?;
        self.last = Some(line);
        // Where nothing bad is allowed the first bad row says it all.
        if seen >= ENOUGH || self.share == 0.0 { self.close(seen) } else { Ok(()) }
    }

    /// Forces what was written to disk.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub(crate) fn sync(&self) -> Result<(), RunError> {
        self.lines.as_ref().map_or(Ok(()), |lines| Ok(lines.sync()?))
    }

    /// The verdict at the end of a run that has read `seen` rows, however few.
    ///
    /// # Errors
    /// [`RunError::BadRows`].
    pub(crate) fn close(&self, seen: u64) -> Result<(), RunError> {
        let (bad, share) = (self.lines(), self.share);
        match &self.last {
            Some(Line { origin, id, reason }) if bad as f64 > share * seen as f64 => {
                let last = format!("{origin} (id `{id}`): {reason}");
                Err(RunError::BadRows { last, bad, seen, share, quarantine: self.path.clone() })
            }
            _ => Ok(()),
        }
    }
}
