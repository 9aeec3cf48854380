//! The loop of every kind of training: rows, completions, losses, update, written down.
//!
//! ```text
//! Stream ─ Sample ─► Rollout ─ RolledOut ─► Objective ─ Scored, gradient ─► Update
//! ```
//!
//! A step is a function of the recipe, the trained weights, the optimiser's state and the step's number, so a
//! resumed run writes what an uninterrupted one would have written.

use crate::agreed::agreed;
use crate::ahead::{Ahead, Drawing, Shape};
use crate::fine_tune::FineTune;
use crate::finite::first_not_finite;
use crate::health::{self, Health};
use crate::lost::Attempt;
use crate::metrics::{Metrics, Outcome, Pace, Phases};
use crate::objective::{Objective, StepLoss};
use crate::observer::Watch;
use crate::recorder::Recorder;
use crate::rollout::Rollout;
use crate::scored::{Scored, Work};
use crate::stream::{Stream, Taken};
use crate::update::{Update, Updated};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::time::Instant;
use vigos_checkpoint::State;
use vigos_models::{Trained, phase};
use vigos_plan::growth::Growth;
use vigos_ranks::shared;
use vigos_rollout::RunError;
use vigos_rollout::engine::Completion;
use vigos_rollout::judging::Judging;

/// What the samples of steps are counted under that came to numbers that are not finite.
const LOST: &str = "lost_step";

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
    /// What completions drawn ahead are like, where any are.
    pub(crate) ahead: Option<Shape>,
    /// Those of the next step.
    pub(crate) next: Option<Ahead>,
    /// Steps that may be lost to numbers that are not finite.
    pub(crate) max_lost_steps: u64,
    /// Where the run stands.
    pub(crate) state: State,
    /// Looks for what a person should be told.
    pub(crate) health: Health,
    /// Looks for memory that is kept.
    pub(crate) growth: Growth,
    /// Judges checkpoints, where that is asked for.
    pub(crate) judging: Option<Judging<'a>>,
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

/// What a step came to.
struct Learnt {
    loss: f64,
    outcome: Outcome,
    scored: Vec<Scored>,
    updated: Updated,
    next: Option<Ahead>,
    /// What was drawn in the meantime.
    rollout: Work,
    /// Seconds for which completions kept it.
    kept: f64,
    scoring: Work,
    update: Work,
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
        std::thread::scope(|scope| {
            self.stream.start(scope);
            // A panic would wait for the stream's thread, which waits for this one.
            let finished = catch_unwind(AssertUnwindSafe(|| self.steps(recorder, watch)));
            self.stream.stop();
            finished.unwrap_or_else(|panic| resume_unwind(panic))
        })
    }

    fn steps(&mut self, recorder: &mut Recorder, watch: &mut Watch) -> Result<Finished, RunError> {
        let total = self.update.total();
        watch.observer.started(self.state.step, total);
        let mut saved = recorder.checkpoint(self.state.step);
        let mut unsaved = !saved.is_dir();
        // A run may have been stopped while its checkpoint was judged.
        if !unsaved {
            self.judge(&saved, recorder, watch)?;
        }
        if let Some(shape) = self.ahead {
            let cursor = self.state.cursor;
            self.next = Ahead::read(&saved, shape, || self.take(cursor, recorder, watch))?;
        }
        while self.state.step < total && !watch.any(watch.stopped())? && !watch.any(self.has_enough())? {
            match self.step(recorder, watch) {
                Ok(()) => unsaved = true,
                Err(RunError::Interrupted(_)) => break,
                Err(error) => {
                    // Once the rows are mended or allowed, or the server is back, the run can be resumed.
                    let passes = matches!(error, RunError::BadRows { .. } | RunError::Server { .. });
                    if passes && unsaved && self.state.step > 0 {
                        self.save(recorder, watch)?;
                    }
                    return Err(error);
                }
            }
            let is_judged = self.is_judged();
            if is_judged || recorder.saves_at(self.state.step) {
                saved = self.save(recorder, watch)?;
                unsaved = false;
            }
            if let Some(judging) = self.judging.as_ref().filter(|_| is_judged) {
                judging.forget(self.state.step)?;
                self.judge(&saved, recorder, watch)?;
            }
        }
        if unsaved {
            saved = self.save(recorder, watch)?;
        }
        let (steps, enough) = (self.state.step, watch.any(self.has_enough())?);
        Ok(Finished { steps, output: saved, interrupted: steps < total && !enough })
    }

    /// Whether the checkpoint of the step that was done last is to be judged.
    fn is_judged(&self) -> bool {
        let (step, total) = (self.state.step, self.update.total());
        self.judging.as_ref().is_some_and(|judging| judging.is_due(step, total))
    }

    /// Judges the checkpoint of the step that was done last, if it is to be.
    fn judge(&mut self, saved: &Path, recorder: &mut Recorder, watch: &mut Watch) -> Result<(), RunError> {
        let (step, total) = (self.state.step, self.update.total());
        let Some(judging) = self.judging.as_mut().filter(|judging| judging.is_due(step, total)) else {
            return Ok(());
        };
        let note = &mut |text: &str| watch.observer.note(text);
        let tensorboard = recorder.tensorboard();
        judging.judge((step, saved), &mut self.state.judged, tensorboard, note, watch.stop)
    }

    /// Whether training ends before its last step because it does not get better.
    fn has_enough(&self) -> bool {
        self.judging.as_ref().is_some_and(|judging| judging.has_enough(&self.state.judged))
    }

    /// One step. The state changes only when all of it is done.
    fn step(&mut self, recorder: &mut Recorder, watch: &mut Watch) -> Result<(), RunError> {
        let begin = Instant::now();
        watch.waited = 0.0;
        let mut state = self.state.clone();
        let (taken, drawn) = match self.next.clone() {
            Some(Ahead { taken, completions, updates }) => (taken, Some((completions, updates))),
            None => (self.take(state.cursor, recorder, watch)?, None),
        };
        taken.count(&mut state);
        let mut attempt = Attempt::of(&taken.samples);
        state.step += 1;
        let (total, mut begun) = (self.update.total(), state.step);
        let (mut cursor, mut following) = (state.cursor, None);
        if self.ahead.is_some() && begun < total {
            let taken = self.take(cursor, recorder, watch)?;
            (cursor, begun) = (taken.cursor, begun + 1);
            following = Some(taken);
        }
        if begun < total {
            self.stream.look_ahead(cursor, self.samples);
        }
        let age = |updates: &u64| state.updates.saturating_sub(*updates);
        let stale = self.ahead.map(|_| drawn.as_ref().map_or(0, |(_, updates)| age(updates)));
        let drawn = drawn.map(|(completions, _)| completions);
        let learnt = match self.learn(&taken, drawn, stale.unwrap_or(0), following, &mut attempt, watch) {
            Ok(learnt) => learnt,
            Err(error) => {
                let lost = attempt.lost(error, state.step, recorder)?;
                let samples = state.skipped.entry(LOST.to_owned()).or_default();
                *samples += self.samples as u64;
                if *samples > self.max_lost_steps.saturating_mul(self.samples as u64) {
                    return Err(lost);
                }
                watch.observer.note(&lost.to_string());
                (self.state, self.next) = (state, None);
                return Ok(());
            }
        };
        let Learnt { loss, outcome, scored, updated, next, rollout, kept, scoring, update } = learnt;
        let Updated { grad_norm, lr } = updated;
        state.updates = self.update.optimiser.updates;
        let pace = match outcome {
            Outcome::Distilled(_) => phases(kept, rollout, scoring, update),
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
            stale,
            waited: waited(watch)?,
        };
        let spike = health::spike(loss, state.usual_loss, state.step);
        state.usual_loss = Some(health::usual(loss, state.usual_loss));
        recorder.step(&metrics, &scored, self.update.total(), &mut state)?;
        (self.state, self.next) = (state, next);
        watch.observer.step(&metrics);
        if let Some(times) = spike {
            let kept = recorder.spike(metrics.step, &scored)?;
            let (step, kept) = (metrics.step, kept.display());
            watch.observer.note(&format!(
                "step {step}: the loss is {times:.0} times the usual one; {kept} has its rows"
            ));
        }
        let grown = self.growth.after(metrics.step, self.update.device());
        self.health.of(&metrics).iter().chain(&grown).for_each(|sentence| watch.observer.note(sentence));
        Ok(())
    }

    /// The samples of a step, from row number `first` of the run on: the same on every rank.
    fn take(&mut self, first: u64, recorder: &mut Recorder, watch: &mut Watch) -> Result<Taken, RunError> {
        let _data = phase!(self.update.device(), "data");
        let taken = self.stream.take(self.samples, first, &mut recorder.quarantine, watch.observer);
        let place = |taken: &Taken| (taken.cursor, taken.left_out.clone());
        let (taken, others) = agreed(watch, taken, place)?;
        // A picture that only one of them could fetch would make their steps different ones.
        match others.into_iter().find(|(_, told)| *told != place(&taken)) {
            None => Ok(taken),
            Some((rank, _)) => {
                let reason = "the rows that it could use are not those of this one".into();
                Err(RunError::OtherRank { rank, reason })
            }
        }
    }

    /// What a step computes from its samples, and from their completions if they were drawn `stale` updates ago; those of the
    /// samples that follow, if any, are drawn in the meantime. Weights and optimiser change at its end, if every number is
    /// finite.
    fn learn(
        &mut self,
        taken: &Taken,
        drawn: Option<Vec<Completion>>,
        stale: u64,
        following: Option<Taken>,
        attempt: &mut Attempt,
        watch: &mut Watch,
    ) -> Result<Learnt, RunError> {
        let (number, weights, updates) =
            (self.state.step as u64, &self.update.weights, self.update.optimiser.updates);
        let completing = Instant::now();
        let mut rollout = Work::default();
        let completions = match drawn {
            Some(completions) => completions,
            None => {
                let completions = self.rollout.complete(&taken.samples, weights, number, watch)?;
                rollout.tokens = completions.iter().map(|completion| completion.tokens.len()).sum();
                rollout.seconds = completing.elapsed().as_secs_f64();
                completions
            }
        };
        let rollouts = self.rollout.read(&taken.samples, completions, stale, weights, watch)?;
        let mut kept = completing.elapsed().as_secs_f64();
        attempt.completed(&rollouts);

        let objective = &self.objective;
        let minimise = |watch: &mut Watch| objective.step(weights, rollouts, number, watch);
        let (step, next) = match following {
            None => (minimise(watch)?, None),
            Some(taken) => {
                let rollout = &self.rollout;
                let drawing = Drawing { rollout, weights, updates, taken, step: number + 1 };
                let (step, drawn) = drawing.beside(watch, minimise)?;
                kept += drawn.waited;
                (step, Some(drawn))
            }
        };
        let StepLoss { loss, gradient, outcome, scored, scoring, mut update } = step;
        if !loss.is_finite() {
            return Err(RunError::NotFinite("the loss".into()));
        }
        let updating = Instant::now();
        let updated = self.update.apply(gradient, self.state.step)?;
        update.seconds += updating.elapsed().as_secs_f64();
        let next = next.and_then(|drawn| {
            rollout += drawn.work;
            drawn.ahead
        });
        Ok(Learnt { loss, outcome, scored, updated, next, rollout, kept, scoring, update })
    }

    /// Saves the state as it is, unless it is one that nothing could go on from.
    fn save(&self, recorder: &Recorder, watch: &mut Watch) -> Result<PathBuf, RunError> {
        let (weights, optimiser) = (&self.update.weights, &self.update.optimiser);
        let tensors = weights.tensors();
        if let Some(name) = first_not_finite(tensors.iter().map(|(name, tensor)| (name, tensor)))? {
            return Err(RunError::NotFinite(format!(
                "after step {}, {name} of the weights",
                self.state.step
            )));
        }
        let path = recorder.save(&self.state, optimiser, |folder| {
            self.fine_tune.export(weights, folder)?;
            self.fine_tune.keep(weights, folder)?;
            self.next.as_ref().map_or(Ok(()), |next| next.save(folder))
        })?;
        watch.observer.saved(&path);
        Ok(path)
    }
}

/// Seconds that each rank waited for the others; nothing to say where there is one.
fn waited(watch: &Watch) -> Result<Vec<f64>, RunError> {
    match watch.ranks.count() {
        1 => Ok(Vec::new()),
        _ => Ok(shared(watch.ranks, &watch.waited)?),
    }
}

/// What the phases took, and how fast each was; completions kept the step for so many seconds.
fn phases(kept: f64, rollout: Work, scoring: Work, update: Work) -> Pace {
    let (scored, updated) = (scoring.seconds, update.seconds);
    let seconds = Phases { rollout: kept, scoring: scored, update: updated };
    let tokens_per_second =
        Phases { rollout: rollout.rate(), scoring: scoring.rate(), update: update.rate() };
    Pace::Phases { seconds, tokens_per_second }
}

fn whole(begin: Instant, samples: usize) -> Pace {
    let seconds = begin.elapsed().as_secs_f64();
    Pace::Whole { seconds, samples_per_second: samples as f64 / seconds.max(1e-9) }
}
