//! Who sees a run as it goes, and may stop it.

use crate::metrics::Metrics;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use vigos_models::Architecture;
use vigos_plan::fit::Forecast;
use vigos_ranks::{Ranks, shared};
use vigos_rollout::RunError;

/// Sees a run as it goes.
pub trait Observer {
    /// `bytes` of the `size` bytes of a file from the hub are there.
    fn fetching(&mut self, _file: &str, _bytes: u64, _size: u64) {}
    /// The run is about to load `model` and to take the memory of `plan`; prompts may have up to
    /// `longest_prompt` tokens.
    fn memory(&mut self, _plan: &dyn Forecast, _model: &Architecture, _longest_prompt: usize) {}
    /// Training begins after `first_step` steps of `total_steps`.
    fn started(&mut self, _first_step: usize, _total_steps: usize) {}
    /// Tokens drawn so far in the step under way.
    fn tokens(&mut self, _drawn: usize) {}
    /// A phase begins: `rollout` or `update`.
    fn phase(&mut self, _phase: &'static str) {}
    /// A step is done.
    fn step(&mut self, _metrics: &Metrics) {}
    /// A checkpoint is whole.
    fn saved(&mut self, _checkpoint: &Path) {}
    /// Something that the user should know, but that does not stop the run.
    fn note(&mut self, _text: &str) {}
}

/// An observer, the switch that stops the run, and those that it is shared with.
pub(crate) struct Watch<'a> {
    /// The observer.
    pub(crate) observer: &'a mut dyn Observer,
    /// The switch.
    pub(crate) stop: &'a AtomicBool,
    /// All ranks.
    pub(crate) ranks: &'a dyn Ranks,
    /// Seconds of the step under way that this rank has waited for the others.
    pub(crate) waited: f64,
}

impl<'a> Watch<'a> {
    /// Of a run by `ranks`.
    pub(crate) fn new(observer: &'a mut dyn Observer, stop: &'a AtomicBool, ranks: &'a dyn Ranks) -> Self {
        Self { observer, stop, ranks, waited: 0.0 }
    }

    /// What comes of `meeting` the other ranks; the time that it takes is waited for.
    pub(crate) fn waiting<T>(&mut self, meeting: impl FnOnce(&dyn Ranks) -> T) -> T {
        let begin = Instant::now();
        let met = meeting(self.ranks);
        self.waited += begin.elapsed().as_secs_f64();
        met
    }

    /// Whether something is so on any rank.
    ///
    /// # Errors
    /// If a rank is gone.
    pub(crate) fn any(&self, own: bool) -> Result<bool, RunError> {
        match self.ranks.count() {
            1 => Ok(own),
            _ => Ok(shared(self.ranks, &own)?.contains(&true)),
        }
    }

    /// Whether the run is to stop.
    pub(crate) fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    /// So many tokens are drawn; breaks if the run is to stop.
    pub(crate) fn drawn(&mut self, tokens: usize) -> ControlFlow<()> {
        self.observer.tokens(tokens);
        if self.stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Goes on, unless the run is to stop.
    ///
    /// # Errors
    /// [`RunError::Interrupted`]
    pub(crate) fn go_on(&self) -> Result<(), RunError> {
        match self.stopped() {
            true => Err(RunError::Interrupted("the step under way was left out".into())),
            false => Ok(()),
        }
    }
}
