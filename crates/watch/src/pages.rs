//! Pages that are made when files have changed, and not more often than they are worth.

use crate::error::WatchError;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use vigos_report::{Limits, served_page, stamp};

/// Most pages that are kept; each has at most 10 MB.
const KEPT: usize = 4;
/// Least time between two pages of a run.
const INTERVAL: Duration = Duration::from_secs(3);
/// A run whose page takes long to make has one so many times as rarely.
const RARELY: u32 = 10;
/// What keeps the page up to date in the browser; `VERSION` becomes that of the page.
const SCRIPT: &str = include_str!("page/live.js");

/// Pages of runs.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    made: Vec<Made>,
}

#[derive(Debug)]
struct Made {
    run: PathBuf,
    stamp: u64,
    page: String,
    at: Instant,
    pause: Duration,
}

impl Pages {
    /// The page of a run as it is now, or was a moment ago.
    ///
    /// # Errors
    /// If there is nothing of a run in the folder any more.
    pub(crate) fn page(&mut self, run: &Path) -> Result<String, WatchError> {
        let due = self.due(run);
        if let (None, Some(made)) = (due, self.of(run)) {
            return Ok(made.page.clone());
        }
        let (stamp, begin) = (due.unwrap_or_else(|| stamp(run)), Instant::now());
        let script = SCRIPT.replace("VERSION", &version(stamp));
        let page = served_page(&[run.to_owned()], &Limits::default(), &script)?;
        let pause = INTERVAL.max(begin.elapsed() * RARELY);
        self.made.retain(|made| made.run != run);
        if self.made.len() >= KEPT {
            self.made.remove(0);
        }
        self.made.push(Made { run: run.to_owned(), stamp, page: page.clone(), at: Instant::now(), pause });
        Ok(page)
    }

    /// The version of the page that [`Self::page`] would give.
    pub(crate) fn version(&self, run: &Path) -> String {
        version(self.due(run).or_else(|| self.of(run).map(|made| made.stamp)).unwrap_or_else(|| stamp(run)))
    }

    fn of(&self, run: &Path) -> Option<&Made> {
        self.made.iter().find(|made| made.run == run)
    }

    /// The stamp of files that have changed, where it is time to look.
    fn due(&self, run: &Path) -> Option<u64> {
        let made = self.of(run).filter(|made| made.at.elapsed() >= made.pause)?;
        Some(stamp(run)).filter(|now| *now != made.stamp)
    }
}

fn version(stamp: u64) -> String {
    format!("{stamp:016x}")
}
