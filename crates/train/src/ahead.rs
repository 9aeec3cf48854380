//! The completions of the next step, drawn while a step learns: by the student as it is before the update that this step makes.

use crate::observer::Watch;
use crate::rollout::Rollout;
use crate::scored::Work;
use crate::stream::Taken;
use serde::{Deserialize, Serialize};
use std::ops::ControlFlow;
use std::panic::resume_unwind;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Instant;
use tracing::dispatcher;
use vigos_core::files::{read_limited, write_atomic_bytes};
use vigos_models::ModelError;
use vigos_rollout::RunError;
use vigos_rollout::engine::Completion;

/// The file of a checkpoint that has them.
const FILE: &str = "ahead.json";
/// More bytes than it ever has.
const MOST: u64 = 1 << 32;

/// Samples of a step with their completions.
#[derive(Clone)]
pub(crate) struct Ahead {
    /// The samples.
    pub(crate) taken: Taken,
    /// Their completions.
    pub(crate) completions: Vec<Completion>,
    /// Updates that the student had behind it which drew them.
    pub(crate) updates: u64,
}

/// What completions are like that can be drawn ahead.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Completions of a sample.
    pub(crate) per_sample: usize,
    /// Tokens that there are.
    pub(crate) vocabulary: usize,
}

/// The file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    updates: u64,
    /// The samples by their numbers in the run.
    samples: Vec<u64>,
    completions: Vec<Completion>,
}

impl Ahead {
    /// Writes them into the folder of a checkpoint. The samples are in the data.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn save(&self, folder: &Path) -> Result<(), RunError> {
        let stored = Stored {
            updates: self.updates,
            samples: self.taken.samples.iter().map(|sample| sample.number).collect(),
            completions: self.completions.clone(),
        };
        let text = serde_json::to_vec(&stored).unwrap_or_default();
        Ok(write_atomic_bytes(&folder.join(FILE), &text)?)
    }

    /// Those of a checkpoint, if it has any; `take` takes the samples anew.
    ///
    /// # Errors
    /// If the file is not what was written, or its samples are others.
    pub(crate) fn read(
        folder: &Path,
        shape: Shape,
        take: impl FnOnce() -> Result<Taken, RunError>,
    ) -> Result<Option<Self>, RunError> {
        let path = folder.join(FILE);
        if !path.is_file() {
            return Ok(None);
        }
        let wrong = |key: &str, found: String, wanted: &str| ModelError::Config {
            path: path.clone(),
            key: key.into(),
            found,
            wanted: wanted.into(),
        };
        let Stored { updates, samples, completions } = serde_json::from_slice(&read_limited(&path, MOST)?)
            .map_err(|e| wrong("(whole file)", e.to_string(), "the completions of a step"))?;
        let taken = take()?;
        let numbers: Vec<u64> = taken.samples.iter().map(|sample| sample.number).collect();
        if samples != numbers {
            let wanted = "those of the data set's next rows: it is not the data that the run had";
            return Err(wrong("samples", format!("{samples:?}"), wanted).into());
        }
        if completions.len() != samples.len() * shape.per_sample {
            let found = format!("{} of them", completions.len());
            return Err(wrong("completions", found, "rollout.per_sample for each sample").into());
        }
        let is_whole = |Completion { tokens, logprobs, .. }: &Completion| {
            tokens.len() == logprobs.len() && tokens.iter().all(|token| (*token as usize) < shape.vocabulary)
        };
        if let Some(at) = completions.iter().position(|completion| !is_whole(completion)) {
            let wanted = "tokens of the vocabulary, and a log-probability for each";
            return Err(wrong(&format!("completions[{at}]"), "others".into(), wanted).into());
        }
        Ok(Some(Self { taken, completions, updates }))
    }
}

/// The student as it is, and what it is to complete for step `step`.
pub(crate) struct Drawing<'a, R, W> {
    /// Who draws.
    pub(crate) rollout: &'a R,
    /// The weights.
    pub(crate) weights: &'a W,
    /// Updates behind them.
    pub(crate) updates: u64,
    /// The samples.
    pub(crate) taken: Taken,
    /// The step.
    pub(crate) step: u64,
}

/// What was drawn beside something else.
pub(crate) struct Drawn {
    /// The completions; nothing if the student came to a number that is not finite.
    pub(crate) ahead: Option<Ahead>,
    /// What drawing them took.
    pub(crate) work: Work,
    /// Seconds that it went on for when the other thing was done.
    pub(crate) waited: f64,
}

impl<W: Sync, R: Rollout<W>> Drawing<'_, R, W> {
    /// Draws on a thread of its own while `work` is done on this one; where that fails the drawing stops.
    ///
    /// # Errors
    /// Those of `work`; if the completions cannot be drawn, or the run is to stop.
    pub(crate) fn beside<T>(
        self,
        watch: &mut Watch,
        work: impl FnOnce(&mut Watch) -> Result<T, RunError>,
    ) -> Result<(T, Drawn), RunError> {
        let Self { rollout, weights, updates, taken, step } = self;
        let dealt = rollout.deal(&taken.samples, weights, step, watch)?;
        let (stop, over) = (watch.stop, AtomicBool::new(false));
        let (told, counts) = channel();
        let listens = dispatcher::get_default(Clone::clone);
        let (done, own, seconds, waited) = thread::scope(|scope| {
            let (dealt, ends) = (&dealt, &over);
            let drawing = scope.spawn(move || {
                let begin = Instant::now();
                let mut tell = |tokens| {
                    // Who listens may have failed.
                    let _ = told.send(tokens);
                    match stop.load(Ordering::SeqCst) || ends.load(Ordering::SeqCst) {
                        true => ControlFlow::Break(()),
                        false => ControlFlow::Continue(()),
                    }
                };
                let draw = || rollout.draw(dealt, weights, &mut tell);
                (dispatcher::with_default(&listens, draw), begin.elapsed().as_secs_f64())
            });
            // Whether by an error or a panic, who leaves before the drawing is over ends it.
            let ends = Ends(&over);
            let done = work(watch)?;
            let begin = Instant::now();
            watch.observer.phase("rollout");
            counts.iter().for_each(|tokens| watch.observer.tokens(tokens));
            let (own, seconds) = drawing.join().unwrap_or_else(|panic| resume_unwind(panic));
            drop(ends);
            Ok::<_, RunError>((done, own, seconds, begin.elapsed().as_secs_f64()))
        })?;
        let completions = match rollout.gather(dealt, own, watch) {
            Ok(completions) => Some(completions),
            // They are drawn when it is their turn, and if the student is no better then that step is lost.
            Err(error) => match error.told() {
                RunError::NotFinite(_) => None,
                other => return Err(other),
            },
        };
        let tokens = completions.iter().flatten().map(|completion| completion.tokens.len()).sum();
        let ahead = completions.map(|completions| Ahead { taken, completions, updates });
        Ok((done, Drawn { ahead, work: Work { tokens, seconds }, waited }))
    }
}

/// Sets a switch when it goes.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
