//! The loop of every kind of training: rows, completions, losses, update, written down.
//!
//! ```text
//! Stream ─ Sample ─► Rollout ─ RolledOut ─► Objective ─ Scored, gradient ─► Update
//! ```
//!
//! A step is a function of the recipe, the trained weights, the optimiser's state and the step's number, so a
//! resumed run writes what an uninterrupted one would have written.

use crate::checkpoint::State;
use crate::fine_tune::FineTune;
use crate::metrics::{Metrics, Outcome, Pace, Phases};
use crate::objective::{Objective, StepLoss};
use crate::observer::Watch;
use crate::recorder::Recorder;
use crate::rollout::Rollout;
use crate::scored::Work;
use crate::stream::Stream;
use crate::update::{Update, Updated};
use std::path::PathBuf;
use std::time::Instant;
use vigos_rollout::RunError;

/// The stages of a step, and what they change.
pub(crate) struct Training<'a, F: FineTune, O, R> {
    /// Where samples come from.
    pub(crate) stream: Stream<'a>,
    /// Who completes them.
    pub(crate) rollout: R,
    /// What is minimised.
    pub(crate) objective: O,
    /// What is trained, and its optimiser.
    pub(crate) update: Update<'a, F::Weights>,
    /// How it is stored.
    pub(crate) fine_tune: &'a F,
    /// Samples of a step.
    pub(crate) samples: usize,
    /// Where the run stands.
    pub(crate) state: State,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Steps done in all.
    pub steps: usize,
    /// What it left: the folder of the last checkpoint, or of the trained model.
    pub output: PathBuf,
    /// Whether it was stopped before its last step.
    pub interrupted: bool,
}

impl<F, O, R> Training<'_, F, O, R>
where
    F: FineTune,
    O: Objective<Weights = F::Weights>,
    R: Rollout<F::Weights>,
{
    /// Trains until the last step or until the run is to stop; then the last whole step is saved.
    ///
    /// # Errors
    /// If the data is wrong, the device fails, or a file cannot be written.
    pub(crate) fn run(&mut self, recorder: &mut Recorder, watch: &mut Watch) -> Result<Finished, RunError> {
        let total = self.update.total();
        watch.observer.started(self.state.step, total);
        let mut saved = recorder.checkpoint(self.state.step);
        let mut unsaved = !saved.is_dir();
        while self.state.step < total && !watch.stopped() {
            match self.step(recorder, watch) {
                Ok(()) => unsaved = true,
                Err(RunError::Interrupted(_)) => break,
                Err(error) => {
                    // Once the rows are mended or allowed the run can be resumed.
                    if matches!(error, RunError::BadRows { .. }) && unsaved && self.state.step > 0 {
                        self.save(recorder, watch)?;
                    }
                    return Err(error);
                }
            }
            if recorder.saves_at(self.state.step) {
                saved = self.save(recorder, watch)?;
                unsaved = false;
            }
        }
        if unsaved {
            saved = self.save(recorder, watch)?;
        }
        let steps = self.state.step;
        Ok(Finished { steps, output: saved, interrupted: steps < total })
    }

    /// One step. The state changes only when all of it is done.
    fn step(&mut self, recorder: &mut Recorder, watch: &mut Watch) -> Result<(), RunError> {
        let begin = Instant::now();
        let mut state = self.state.clone();
        let number = state.step as u64;

        let samples = self.stream.take(self.samples, &mut state, &mut recorder.quarantine, watch.observer)?;
        let completing = Instant::now();
        let rollouts = self.rollout.complete(samples, &self.update.weights, number, watch)?;
        let tokens = rollouts.iter().map(|r| r.tokens.len()).sum();
        let rollout = Work { tokens, seconds: completing.elapsed().as_secs_f64() };

        let loss = self.objective.step(&self.update.weights, rollouts, number, watch)?;
        let StepLoss { loss, gradient, outcome, scored, scoring, update: mut work } = loss;
        let updating = Instant::now();
        let Updated { grad_norm, lr } = self.update.apply(gradient, state.step);
        work.seconds += updating.elapsed().as_secs_f64();

        state.step += 1;
        state.updates = self.update.optimiser.updates;
        let pace = match outcome {
            Outcome::Distilled(_) => phases(rollout, scoring, work),
            Outcome::Supervised(_) => whole(begin, self.samples),
        };
        let metrics = Metrics {
            step: state.step,
            epoch: state.cursor as f64 / self.stream.rows() as f64,
            loss,
            outcome,
            grad_norm,
            lr,
            skipped: state.skipped.clone(),
            pace,
        };
        recorder.step(&metrics, &scored, self.update.total(), &mut state)?;
        self.state = state;
        watch.observer.step(&metrics);
        Ok(())
    }

    fn save(&self, recorder: &Recorder, watch: &mut Watch) -> Result<PathBuf, RunError> {
        let (weights, optimiser) = (&self.update.weights, &self.update.optimiser);
        let path = recorder.save(&self.state, optimiser, |folder| {
            self.fine_tune.export(weights, folder)?;
            self.fine_tune.keep(weights, folder)
        })?;
        watch.observer.saved(&path);
        Ok(path)
    }
}

fn phases(rollout: Work, scoring: Work, update: Work) -> Pace {
    let each =
        |of: fn(&Work) -> f64| Phases { rollout: of(&rollout), scoring: of(&scoring), update: of(&update) };
    Pace::Phases { seconds: each(|work| work.seconds), tokens_per_second: each(Work::rate) }
}

fn whole(begin: Instant, samples: usize) -> Pace {
    let seconds = begin.elapsed().as_secs_f64();
    Pace::Whole { seconds, samples_per_second: samples as f64 / seconds.max(1e-9) }
}
