//! Items in parts of fixed size: dealt to ranks, and written down in their order by the first.

use crate::folder::Observer;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::sync::atomic::{AtomicBool, Ordering};
use vigos_core::jsonl::JsonLines;
use vigos_ranks::{Ranks, shared};
use vigos_rollout::RunError;
use vigos_rollout::agreed::all_of;

/// Items that are to be done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts {
    /// Those that are done already.
    pub(crate) done: usize,
    /// Those that there are.
    pub(crate) total: usize,
    /// Those of a part; what is computed together is one rank's, so that it is the same for any number of them.
    pub(crate) part: usize,
}

impl Parts {
    /// Does all parts and writes their lines to `file`, which the first rank has; how many items are done, fewer than all if
    /// any rank is to stop. `work` gives the lines of the items from one to another, nothing if it was stopped; `told` is what
    /// a person should know of a line.
    ///
    /// # Errors
    /// Those of `work` on any rank; if a line cannot be written.
    pub(crate) fn each<L: Serialize + DeserializeOwned + Clone>(
        self,
        ranks: &dyn Ranks,
        file: &mut Option<JsonLines>,
        observer: &mut dyn Observer,
        stop: &AtomicBool,
        mut work: impl FnMut(usize, usize, &mut dyn Observer) -> Result<Option<Vec<L>>, RunError>,
        told: impl Fn(&L) -> Option<String>,
    ) -> Result<usize, RunError> {
        let Self { mut done, total, part } = self;
        observer.started(done, total);
        while done < total {
            let stopped = shared(ranks, &stop.load(Ordering::SeqCst))?.contains(&true);
            if stopped {
                break;
            }
            // A part for each rank.
            let end = |start: usize| (start + part).min(total);
            let start = (done + ranks.rank() * part).min(total);
            let own = match start < total {
                true => work(start, end(start), observer),
                false => Ok(Some(Vec::new())),
            };
            let (own, mut parts) = all_of(ranks, own, Clone::clone)?;
            parts.push((ranks.rank(), own));
            parts.sort_by_key(|(rank, _)| *rank);
            for (_, lines) in parts {
                let Some(lines) = lines else { return Ok(done) };
                for line in &lines {
                    if let Some(text) = told(line) {
                        observer.note(&text);
                    }
                    if let Some(file) = file {
                        file.write(line)?;
                    }
                }
                done = end(done);
            }
            observer.items(done);
        }
        if let Some(file) = file {
            file.sync()?;
        }
        Ok(done)
    }
}
