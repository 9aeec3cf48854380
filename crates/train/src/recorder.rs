//! What a run leaves in its folder as it goes: metrics, snapshots of rollouts, bad rows, checkpoints.

use crate::metrics::{Metrics, scalars};
use crate::quarantine::Quarantine;
use crate::recordings::Recordings;
use crate::scored::Scored;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use vigos_checkpoint::optim::AdamW;
use vigos_checkpoint::{Checkpoints, State};
use vigos_core::jsonl::JsonLines;
use vigos_recipe::Checkpoint;
use vigos_rollout::run_folder::RunFolder;
use vigos_rollout::{RolloutRecord, RunError};
use vigos_tensorboard::TensorBoard;

/// What a recipe says of what is written down.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Writing<'a> {
    /// When to save, and how many to keep.
    pub(crate) checkpoint: &'a Checkpoint,
    /// Steps between lines of metrics.
    pub(crate) every: usize,
    /// Steps between snapshots of rollouts; 0 for none.
    pub(crate) rollouts_every: usize,
    /// Rollouts in a snapshot at most.
    pub(crate) rollouts_max: usize,
    /// What is recorded of a snapshot's tokens, if anything is.
    pub(crate) recordings: Option<Recordings<'a>>,
    /// Whether to write for TensorBoard too.
    pub(crate) tensorboard: bool,
    /// Share of the rows read that may be unusable.
    pub(crate) max_bad_share: f64,
}

/// Writes a run down.
pub(crate) struct Recorder<'a> {
    writing: Writing<'a>,
    folder: RunFolder,
    checkpoints: Checkpoints,
    /// The files of each step, of the rank that writes.
    files: Option<Files>,
    /// Rows that cannot be used.
    pub(crate) quarantine: Quarantine,
}

/// What grows with every step.
struct Files {
    metrics: JsonLines,
    tensorboard: Option<TensorBoard>,
}

impl<'a> Recorder<'a> {
    /// Goes on after `state` in a folder that was begun.
    ///
    /// # Errors
    /// If a file has fewer lines than belong to the state, or cannot be written.
    pub(crate) fn open(folder: RunFolder, writing: Writing<'a>, state: &State) -> Result<Self, RunError> {
        let tensorboard = match writing.tensorboard {
            true => Some(TensorBoard::create(&folder.tensorboard())?),
            false => None,
        };
        let metrics = JsonLines::resume(&folder.metrics(), state.metrics_lines)?;
        let bad = Quarantine::open(&folder.quarantine(), state.quarantine_lines, writing.max_bad_share)?;
        let checkpoints = Checkpoints::of(folder.path());
        let files = Some(Files { metrics, tensorboard });
        Ok(Self { writing, folder, checkpoints, files, quarantine: bad })
    }

    /// Goes on after `state` beside the rank that writes: nothing is written.
    ///
    /// # Errors
    /// If what is written already cannot be read.
    pub(crate) fn reading(folder: RunFolder, writing: Writing<'a>, state: &State) -> Result<Self, RunError> {
        let bad = Quarantine::reading(&folder.quarantine(), state.quarantine_lines, writing.max_bad_share)?;
        let checkpoints = Checkpoints::of(folder.path());
        Ok(Self { writing, folder, checkpoints, files: None, quarantine: bad })
    }

    /// Writes down a step of `total`, as often as the recipe says, and counts the lines in `state`.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub(crate) fn step(
        &mut self,
        metrics: &Metrics,
        scored: &[Scored],
        total: usize,
        state: &mut State,
    ) -> Result<(), RunError> {
        let Writing { every, rollouts_every, rollouts_max, .. } = self.writing;
        let step = metrics.step;
        let Some(files) = &mut self.files else { return Ok(()) };
        if rollouts_every > 0 && step.is_multiple_of(rollouts_every) {
            let kept = &scored[..scored.len().min(rollouts_max)];
            snapshot(&self.folder.rollouts(step)?, kept)?;
            if let Some(recordings) = self.writing.recordings {
                let lines = kept.iter().enumerate().map(|(row, scored)| recordings.line(step, row, scored));
                write_lines(&self.folder.recording(step)?, lines)?;
            }
        }
        if step.is_multiple_of(every.max(1)) || step == total {
            files.metrics.write(metrics)?;
            if let Some(tensorboard) = &mut files.tensorboard {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64());
                let values = scalars(metrics);
                let values = values.iter().map(|(name, value)| (name.as_str(), *value));
                tensorboard.scalars(step as u64, now, values)?;
            }
        }
        state.metrics_lines = files.metrics.lines();
        Ok(())
    }

    /// Keeps all rollouts of step `step`, which is worth a look; gives their file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn spike(&self, step: usize, scored: &[Scored]) -> Result<PathBuf, RunError> {
        let path = self.folder.spike(step)?;
        if self.files.is_some() {
            snapshot(&path, scored)?;
        }
        Ok(path)
    }

    /// Keeps what step `step` was about that is given up, a line each; gives their file.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn lost<T: Serialize>(
        &self,
        step: usize,
        lines: impl IntoIterator<Item = T>,
    ) -> Result<PathBuf, RunError> {
        let path = self.folder.lost(step)?;
        if self.files.is_some() {
            write_lines(&path, lines)?.sync()?;
        }
        Ok(path)
    }

    /// Where scalars go that are no step's, if anywhere.
    pub(crate) fn tensorboard(&mut self) -> Option<&mut TensorBoard> {
        self.files.as_mut()?.tensorboard.as_mut()
    }

    /// Whether step `step` is one that ends with a checkpoint.
    pub(crate) fn saves_at(&self, step: usize) -> bool {
        let every = self.writing.checkpoint.every;
        every > 0 && step.is_multiple_of(every)
    }

    /// The checkpoint of a step, whether it is there or not.
    pub(crate) fn checkpoint(&self, step: usize) -> PathBuf {
        self.checkpoints.path(step)
    }

    /// Saves a checkpoint, and removes those that are not to be kept; `weights` fills its folder.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub(crate) fn save(
        &self,
        state: &State,
        optimiser: &AdamW,
        weights: impl FnOnce(&Path) -> Result<(), RunError>,
    ) -> Result<PathBuf, RunError> {
        let Some(files) = &self.files else { return Ok(self.checkpoints.path(state.step)) };
        files.metrics.sync()?;
        self.quarantine.sync()?;
        let path = self.checkpoints.save(state, optimiser, weights)?;
        self.checkpoints.prune(self.writing.checkpoint.keep, state.judged.best.map(|best| best.step))?;
        Ok(path)
    }
}

fn snapshot(path: &Path, scored: &[Scored]) -> Result<(), RunError> {
    write_lines(path, scored.iter().map(|scored| RolloutRecord::of(&scored.rollout))).map(drop)
}

fn write_lines<T: Serialize>(
    path: &Path,
    values: impl IntoIterator<Item = T>,
) -> Result<JsonLines, RunError> {
    let mut lines = JsonLines::resume(path, 0)?;
    for value in values {
        lines.write(&value)?;
    }
    Ok(lines)
}
