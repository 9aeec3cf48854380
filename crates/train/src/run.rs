//! A run of any kind: steps until the last one, checkpoints, metrics, and samples in their order.
//!
//! What a step computes is a [`Training`]; this is what all kinds share. A step is a function of the recipe, the
//! trained weights, the optimiser's state and the step's number, so a resumed run writes what an uninterrupted
//! one would have written.

use crate::checkpoint::{Checkpoints, State};
use crate::memory;
use crate::metrics::{SftMetrics, StepMetrics, scalars};
use crate::optim::AdamW;
use crate::quarantine::Quarantine;
use crate::tensorboard::TensorBoard;
use burn::tensor::Device;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use vigos_core::jsonl::JsonLines;
use vigos_data::{BadRow, Order};
use vigos_models::{Architecture, Families};
use vigos_recipe::Checkpoint;
use vigos_recipe::run_folder::RunFolder;
use vigos_recipe::sample::Skip;
use vigos_rollout::RunError;

/// What to train, and where.
#[derive(Debug)]
pub struct RunOptions<'a, R> {
    /// The recipe.
    pub recipe: &'a R,
    /// The run's folder.
    pub run_dir: &'a Path,
    /// Whether to continue the run in that folder.
    pub resume: bool,
    /// The families that its model may be of.
    pub families: &'a Families,
    /// The device.
    pub device: &'a Device,
}

/// Sees a run as it goes.
pub trait Observer {
    /// `bytes` of the `size` bytes of a file from the hub are there.
    fn fetching(&mut self, _file: &str, _bytes: u64, _size: u64) {}
    /// The run is about to load `model` and to take the memory of `plan`; prompts may have up to
    /// `longest_prompt` tokens.
    fn memory(&mut self, _plan: &memory::plan::Plan, _model: &Architecture, _longest_prompt: usize) {}
    /// Training begins after `first_step` steps of `total_steps`.
    fn started(&mut self, _first_step: usize, _total_steps: usize) {}
    /// Tokens drawn so far in the step under way.
    fn tokens(&mut self, _drawn: usize) {}
    /// A phase begins: `rollout` or `update`.
    fn phase(&mut self, _phase: &'static str) {}
    /// A step is done.
    fn step(&mut self, _metrics: &StepMetrics) {}
    /// A step of a supervised run is done.
    fn sft_step(&mut self, _metrics: &SftMetrics) {}
    /// A checkpoint is whole.
    fn saved(&mut self, _checkpoint: &Path) {}
    /// Something that the user should know, but that does not stop the run.
    fn note(&mut self, _text: &str) {}
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Steps done in all.
    pub steps: usize,
    /// Folder of the last checkpoint, an adapter that PEFT reads.
    pub adapter: PathBuf,
    /// Whether it was stopped before its last step.
    pub interrupted: bool,
}

/// What a kind of run does in a step, and what it saves.
pub(crate) trait Training {
    /// One line of `metrics.jsonl`.
    type Metrics: Serialize;

    /// One optimiser step: the one after `state`, which is brought up to date.
    fn step(
        &mut self,
        run: &mut Run,
        state: &mut State,
        observer: &mut dyn Observer,
        stop: &AtomicBool,
    ) -> Result<Self::Metrics, RunError>;

    /// Tells of a step that is done and written down.
    fn report(&self, metrics: &Self::Metrics, observer: &mut dyn Observer);

    /// The optimiser as it is now.
    fn optimiser(&self) -> &AdamW;

    /// Writes the trained weights as they are now to a checkpoint's folder.
    fn save(&self, folder: &Path) -> Result<(), RunError>;
}

/// What a recipe says of a run as such.
pub(crate) struct Plan<'a> {
    /// Steps in all.
    pub(crate) total: usize,
    /// Rows of the data set.
    pub(crate) rows: usize,
    /// The data set.
    pub(crate) data: &'a Path,
    /// Share of the rows read that may be unusable.
    pub(crate) max_bad_share: f64,
    /// When to save, and how many to keep.
    pub(crate) checkpoint: &'a Checkpoint,
    /// Steps between lines of metrics.
    pub(crate) log_every: usize,
    /// Whether to write for TensorBoard too.
    pub(crate) tensorboard: bool,
}

/// A run under way.
pub(crate) struct Run<'a> {
    plan: Plan<'a>,
    folder: RunFolder,
    checkpoints: Checkpoints,
    order: Order,
    metrics: JsonLines,
    quarantine: Quarantine,
    tensorboard: Option<TensorBoard>,
    state: State,
}

/// A row that is left out, and what it is counted under.
pub(crate) struct Refusal {
    pub(crate) kind: &'static str,
    pub(crate) row: BadRow,
}

impl Refusal {
    /// A row of this origin and name that is skipped.
    pub(crate) fn of(skip: &Skip, origin: String, id: String) -> Self {
        Self { kind: skip.kind(), row: BadRow { origin, id, reason: skip.to_string() } }
    }
}

/// Makes samples from rows: of each, its number in the run and its index in the data set.
pub(crate) type Make<'m, T> = dyn FnMut(&[(u64, usize)]) -> Result<Vec<Result<T, Refusal>>, RunError> + 'm;

impl<'a> Run<'a> {
    /// Goes on after `state` in a folder that was begun.
    pub(crate) fn open(
        folder: RunFolder,
        plan: Plan<'a>,
        order: Order,
        state: State,
    ) -> Result<Self, RunError> {
        let tensorboard = match plan.tensorboard {
            true => Some(TensorBoard::create(&folder.tensorboard())?),
            false => None,
        };
        let metrics = JsonLines::resume(&folder.metrics(), state.metrics_lines)?;
        let quarantine = Quarantine::open(&folder.quarantine(), state.quarantine_lines, plan.max_bad_share)?;
        let checkpoints = Checkpoints::of(folder.path());
        Ok(Self { plan, folder, checkpoints, order, metrics, quarantine, tensorboard, state })
    }

    /// Trains until the last step or until `stop` is set; then the last whole step is saved.
    pub(crate) fn go(
        &mut self,
        training: &mut impl Training,
        observer: &mut dyn Observer,
        stop: &AtomicBool,
    ) -> Result<Finished, RunError> {
        observer.started(self.state.step, self.plan.total);
        let mut saved = self.checkpoints.path(self.state.step);
        let every = self.plan.checkpoint.every;
        let mut unsaved = !saved.is_dir();
        while self.state.step < self.plan.total && !stop.load(Ordering::SeqCst) {
            match self.step(training, observer, stop) {
                Ok(()) => unsaved = true,
                Err(RunError::Interrupted(_)) => break,
                Err(error) => {
                    // Once the rows are mended or allowed the run can be resumed.
                    if matches!(error, RunError::BadRows { .. }) && unsaved && self.state.step > 0 {
                        self.save(training, observer)?;
                    }
                    return Err(error);
                }
            }
            if every > 0 && self.state.step.is_multiple_of(every) {
                saved = self.save(training, observer)?;
                unsaved = false;
            }
        }
        if unsaved {
            saved = self.save(training, observer)?;
        }
        if self.state.step >= self.plan.total {
            self.quarantine.close(self.state.cursor)?;
        }
        let steps = self.state.step;
        Ok(Finished { steps, adapter: saved, interrupted: steps < self.plan.total })
    }

    /// Steps in all.
    pub(crate) fn total(&self) -> usize {
        self.plan.total
    }

    /// The run's folder.
    pub(crate) fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// The next `count` samples of the data set's order that can be used. Rows that cannot are counted in
    /// `state` and written down.
    pub(crate) fn take<T>(
        &mut self,
        count: usize,
        state: &mut State,
        observer: &mut dyn Observer,
        make: &mut Make<T>,
    ) -> Result<Vec<T>, RunError> {
        let mut samples = Vec::with_capacity(count);
        let mut refused = 0;
        while samples.len() < count {
            let missing = (count - samples.len()) as u64;
            let places: Vec<(u64, usize)> = (state.cursor..state.cursor + missing)
                .map(|number| (number, self.order.at(number).1))
                .collect();
            for made in make(&places)? {
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
                let BadRow { origin, id, reason } = &row;
                observer.note(&format!("{origin} (id `{id}`) is left out: {reason}"));
                if kind == Skip::BAD_ROW {
                    self.quarantine.add(&row, state.cursor)?;
                }
                refused += 1;
                // Every epoch has another order: only so many in a row are certain to hold all of one.
                if refused >= 2 * self.plan.rows - 1 {
                    let (path, rows) = (self.plan.data.to_owned(), self.plan.rows);
                    return Err(RunError::NothingLeft { path, rows, reason: row.reason });
                }
            }
        }
        Ok(samples)
    }

    /// One step. The state changes only when all of it is done.
    fn step(
        &mut self,
        training: &mut impl Training,
        observer: &mut dyn Observer,
        stop: &AtomicBool,
    ) -> Result<(), RunError> {
        let mut state = self.state.clone();
        let metrics = training.step(self, &mut state, observer, stop)?;
        self.write_down(&metrics, state.step)?;
        state.metrics_lines = self.metrics.lines();
        state.quarantine_lines = self.quarantine.lines();
        self.state = state;
        training.report(&metrics, observer);
        Ok(())
    }

    /// Metrics and TensorBoard, as often as the recipe says.
    fn write_down(&mut self, metrics: &impl Serialize, step: usize) -> Result<(), RunError> {
        if !step.is_multiple_of(self.plan.log_every.max(1)) && step != self.plan.total {
            return Ok(());
        }
        self.metrics.write(metrics)?;
        if let Some(tensorboard) = &mut self.tensorboard {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64());
            let values = scalars(metrics);
            let values = values.iter().map(|(name, value)| (name.as_str(), *value));
            tensorboard.scalars(step as u64, now, values)?;
        }
        Ok(())
    }

    fn save(&mut self, training: &impl Training, observer: &mut dyn Observer) -> Result<PathBuf, RunError> {
        self.metrics.sync()?;
        self.quarantine.sync()?;
        let path =
            self.checkpoints.save(&self.state, training.optimiser(), |folder| training.save(folder))?;
        self.checkpoints.prune(self.plan.checkpoint.keep)?;
        observer.saved(&path);
        Ok(path)
    }
}
