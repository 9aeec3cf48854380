//! Rows in order, each made a sample, or left out and written down.

use crate::checkpoint::State;
use crate::observer::Observer;
use crate::quarantine::Quarantine;
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use vigos_data::{BadRow, Dataset, Order, Row};
use vigos_recipe::demonstration::DemonstrationMaker;
use vigos_recipe::sample::{Sample, SampleError, SampleMaker, Skip, UserTexts};
use vigos_rollout::RunError;

/// Makes a sample of a row: prompts, images, perhaps the answer to learn.
pub(crate) trait Prepare: Sync {
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

/// The samples of a run, in the data set's order under its seed.
pub(crate) struct Stream<'a> {
    dataset: Dataset,
    order: Order,
    path: PathBuf,
    prepare: Box<dyn Prepare + 'a>,
}

/// A row that is left out, and what it is counted under.
struct Refusal {
    kind: &'static str,
    row: BadRow,
}

impl<'a> Stream<'a> {
    /// The rows of `dataset`, which `path` stands for in messages, shuffled under `seed`.
    pub(crate) fn new(dataset: Dataset, path: &Path, seed: u64, prepare: Box<dyn Prepare + 'a>) -> Self {
        Self { order: dataset.order(seed), dataset, path: path.to_owned(), prepare }
    }

    /// Rows of the data set.
    pub(crate) fn rows(&self) -> usize {
        self.dataset.count().get()
    }

    /// The next `count` samples. Rows that cannot be used are counted in `state`, told, and where they are bad put
    /// into `quarantine`.
    ///
    /// # Errors
    /// If there are more bad rows than allowed, or none that can be used.
    pub(crate) fn take(
        &mut self,
        count: usize,
        state: &mut State,
        quarantine: &mut Quarantine,
        observer: &mut dyn Observer,
    ) -> Result<Vec<Sample>, RunError> {
        let mut samples = Vec::new();
        let mut refused = 0;
        while samples.len() < count {
            let missing = (count - samples.len()) as u64;
            for made in self.make(state.cursor, missing)? {
                state.cursor += 1;
                let Refusal { kind, row } = match made {
                    Ok(sample) => {
                        refused = 0;
                        samples.push(sample);
                        continue;
                    }
                    Err(refusal) => refusal,
                };
                *state.skipped.entry(kind.to_owned()).or_default() += 1;
                // A bad row is told once, and not again in every epoch.
                if kind != Skip::BAD_ROW || quarantine.add(&row, self.rows())? {
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
        Ok(samples)
    }

    /// Samples of the `count` rows from number `first` on, read and prepared side by side.
    fn make(&mut self, first: u64, count: u64) -> Result<Vec<Result<Sample, Refusal>>, RunError> {
        let places: Vec<(u64, usize)> =
            (first..first + count).map(|number| (number, self.order.at(number).1)).collect();
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
