//! Rows in order, each made a sample, or left out and written down. Those of the next step are made on a thread of their own
//! while a step computes.

use crate::observer::Observer;
use crate::quarantine::Quarantine;
use rayon::prelude::*;
use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::Scope;
use vigos_checkpoint::State;
use vigos_data::{BadRow, Dataset, Order, Row};
use vigos_recipe::demonstration::DemonstrationMaker;
use vigos_recipe::sample::{Sample, SampleError, SampleMaker, Skip, UserTexts};
use vigos_rollout::RunError;

/// Makes a sample of a row: prompts, images, perhaps the answer to learn.
pub(crate) trait Prepare: Send + Sync {
    /// The sample of a row with this number in the run, or why it is left out.
    ///
    /// # Errors
    /// If no prompt can be made of it for a reason that ends the run.
    fn prepare(&self, number: u64, row: &Row) -> Result<Result<Sample, Skip>, SampleError>;
}

impl Prepare for DemonstrationMaker<'_> {
    fn prepare(&self, number: u64, row: &Row) -> Result<Result<Sample, Skip>, SampleError> {
        self.make(number, row)
    }
}

impl Prepare for SampleMaker<'_> {
    fn prepare(&self, number: u64, row: &Row) -> Result<Result<Sample, Skip>, SampleError> {
        self.make(number, row, &UserTexts::new())
    }
}

/// Samples whose prompts fit into the memory.
#[derive(Clone, Copy)]
pub(crate) struct Fitting<M> {
    /// Makes them.
    pub(crate) maker: M,
    /// Tokens of the longest prompt that a step can be made of, where that is known to be a limit.
    pub(crate) longest: Option<usize>,
}

impl<M: Prepare> Prepare for Fitting<M> {
    fn prepare(&self, number: u64, row: &Row) -> Result<Result<Sample, Skip>, SampleError> {
        let made = self.maker.prepare(number, row)?;
        Ok(made.and_then(|sample| {
            let tokens = sample.longest_prompt();
            match self.longest {
                Some(most) if tokens > most => Err(Skip::BeyondMemory { tokens, most }),
                _ => Ok(sample),
            }
        }))
    }
}

/// Samples of a step, and where the rows stand after them.
#[derive(Clone)]
pub(crate) struct Taken {
    /// The samples.
    pub(crate) samples: Vec<Arc<Sample>>,
    /// The number of the next row in the run.
    pub(crate) cursor: u64,
    /// Rows left out between them, by reason.
    pub(crate) left_out: BTreeMap<String, u64>,
    /// Lines of `quarantine.jsonl` so far.
    pub(crate) quarantine_lines: u64,
}

impl Taken {
    /// A run that has come to `state` has them behind it.
    pub(crate) fn count(&self, state: &mut State) {
        state.cursor = self.cursor;
        state.quarantine_lines = self.quarantine_lines;
        for (reason, rows) in &self.left_out {
            *state.skipped.entry(reason.clone()).or_default() += rows;
        }
    }
}

/// The samples of a run, in the data set's order under its seed.
pub(crate) struct Stream<'a> {
    rows: Arc<Rows<'a>>,
    order: Order,
    path: PathBuf,
    ahead: Option<Ahead>,
    /// Where the rows stand that do not fit and were told.
    told: HashSet<String>,
}

/// A data set, and what makes samples of its rows.
struct Rows<'a> {
    dataset: Dataset,
    prepare: Box<dyn Prepare + 'a>,
}

/// A row's number in the run, and its place in the data set.
type Place = (u64, usize);
/// What some rows are made.
type Made = Result<Vec<Result<Sample, Refusal>>, RunError>;

/// A row that is left out, and what it is counted under.
struct Refusal {
    kind: &'static str,
    row: BadRow,
}

/// The thread that makes samples ahead: at most those of one step.
struct Ahead {
    asked: SyncSender<Vec<Place>>,
    made: Receiver<Made>,
    /// What it was asked for and has not given yet.
    pending: Vec<Place>,
}

impl<'a> Stream<'a> {
    /// The rows of `dataset`, which `path` stands for in messages, shuffled under `seed`.
    pub(crate) fn new(dataset: Dataset, path: &Path, seed: u64, prepare: Box<dyn Prepare + 'a>) -> Self {
        let (order, path) = (dataset.order(seed), path.to_owned());
        Self { rows: Arc::new(Rows { dataset, prepare }), order, path, ahead: None, told: HashSet::new() }
    }

    /// Rows of the data set.
    pub(crate) fn rows(&self) -> usize {
        self.rows.dataset.count().get()
    }

    /// The next `count` samples from row number `first` of the run on. Rows that cannot be used are counted, told, and where
    /// they are bad put into `quarantine`.
    ///
    /// # Errors
    /// If there are more bad rows than allowed, or none that can be used.
    pub(crate) fn take(
        &mut self,
        count: usize,
        first: u64,
        quarantine: &mut Quarantine,
        observer: &mut dyn Observer,
    ) -> Result<Taken, RunError> {
        let (mut samples, mut left_out, mut cursor) = (Vec::new(), BTreeMap::new(), first);
        let mut refused = 0;
        while samples.len() < count {
            let missing = (count - samples.len()) as u64;
            for made in self.make(cursor, missing)? {
                cursor += 1;
                let Refusal { kind, row } = match made {
                    Ok(sample) => {
                        refused = 0;
                        samples.push(Arc::new(sample));
                        continue;
                    }
                    Err(refusal) => refusal,
                };
                *left_out.entry(kind.to_owned()).or_default() += 1;
                // A row is told once, and not again in every epoch.
                let is_news = match kind {
                    Skip::BAD_ROW => quarantine.add(&row, self.rows())?,
                    _ => self.told.insert(row.origin.clone()),
                };
                if is_news {
                    let BadRow { origin, id, reason } = &row;
                    observer.note(&format!("{origin} (id `{id}`) is left out: {reason}"));
                }
                refused += 1;
                // Every epoch has another order: only so many in a row are certain to hold all of one.
                if refused >= 2 * self.rows() - 1 {
                    let (path, rows) = (self.path.clone(), self.rows());
                    return Err(RunError::NothingLeft { path, rows, reason: row.reason });
                }
            }
        }
        Ok(Taken { samples, cursor, left_out, quarantine_lines: quarantine.lines() })
    }

    /// From here on, until [`stop`](Self::stop), samples can be made ahead, on a thread of `scope`.
    pub(crate) fn start<'scope>(&mut self, scope: &'scope Scope<'scope, '_>)
    where
        'a: 'scope,
    {
        let (asked, questions) = sync_channel::<Vec<Place>>(1);
        let (answers, made) = sync_channel(1);
        let rows = self.rows.clone();
        scope.spawn(move || {
            // Ends when either side of the stream is gone.
            while let Ok(places) = questions.recv() {
                if answers.send(rows.make(places)).is_err() {
                    break;
                }
            }
        });
        self.ahead = Some(Ahead { asked, made, pending: Vec::new() });
    }

    /// Begins to make the `count` samples that will be taken next, from row number `first` of the run on.
    pub(crate) fn look_ahead(&mut self, first: u64, count: usize) {
        let places = self.places(first, count as u64);
        if let Some(ahead) = &mut self.ahead
            && ahead.asked.send(places.clone()).is_ok()
        {
            ahead.pending = places;
        }
    }

    /// Ends the thread that makes samples ahead.
    pub(crate) fn stop(&mut self) {
        self.ahead = None;
    }

    /// Samples of the `count` rows from number `first` on, made ahead if they were asked for.
    fn make(&mut self, first: u64, count: u64) -> Made {
        let places = self.places(first, count);
        if let Some(ahead) = &mut self.ahead
            && !ahead.pending.is_empty()
        {
            let made = ahead.made.recv();
            if std::mem::take(&mut ahead.pending) == places
                && let Ok(made) = made
            {
                return made;
            }
        }
        self.rows.make(places)
    }

    /// Where the `count` rows from number `first` on are.
    fn places(&mut self, first: u64, count: u64) -> Vec<Place> {
        (first..first + count).map(|number| (number, self.order.at(number).1)).collect()
    }
}

impl Rows<'_> {
    /// Samples of rows, read and prepared side by side.
    fn make(&self, places: Vec<Place>) -> Made {
        self.dataset.look_ahead(places.iter().map(|(_, index)| *index))?;
        let prepared: Vec<_> = places
            .into_par_iter()
            .map(|(number, index)| {
                let row = match self.dataset.load(index)? {
                    Err(row) => return Ok(Err(Refusal { kind: Skip::BAD_ROW, row })),
                    Ok(row) => row,
                };
                Ok(self.prepare.prepare(number, &row)?.map_err(|skip| {
                    let reason = skip.to_string();
                    Refusal { kind: skip.kind(), row: BadRow::new(row.origin, &row.id, &reason) }
                }))
            })
            .collect();
        // Of several errors the first in order is told, whichever thread met one first.
        prepared.into_iter().collect()
    }
}
