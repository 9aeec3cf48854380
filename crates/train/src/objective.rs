//! What a step minimises: from completions to losses, and to the gradient of what is trained.

use crate::metrics::Outcome;
use crate::observer::Watch;
use crate::scored::{Scored, Work};
use vigos_models::Trained;
use vigos_rollout::{RolledOut, RunError};

/// A kind of loss.
pub(crate) trait Objective {
    /// What is trained.
    type Weights: Trained;

    /// Loss and gradient of a step's completions under the weights before step `step`, counted from 0: the mean
    /// over its micro-batches.
    ///
    /// # Errors
    /// If a token is not in the model's vocabulary, the device fails, or the run is to stop.
    fn step(
        &self,
        weights: &Self::Weights,
        rollouts: Vec<RolledOut>,
        step: u64,
        watch: &mut Watch,
    ) -> Result<StepLoss<Self::Weights>, RunError>;
}

/// What a step's objective comes to.
pub(crate) struct StepLoss<W> {
    /// The loss.
    pub(crate) loss: f64,
    /// Its gradient.
    pub(crate) gradient: W,
    /// What there is to say of it.
    pub(crate) outcome: Outcome,
    /// Every completion with what its tokens were taught.
    pub(crate) scored: Vec<Scored>,
    /// The teachers' forward.
    pub(crate) scoring: Work,
    /// The student's forward, the loss and the backward.
    pub(crate) update: Work,
}

/// A gradient that is the mean over so many micro-batches, added up as they come.
pub(crate) struct MeanGradient<W> {
    count: usize,
    sum: Option<W>,
}

impl<W: Trained> MeanGradient<W> {
    /// The mean over `count` micro-batches, none of them seen yet.
    pub(crate) fn over(count: usize) -> Self {
        Self { count, sum: None }
    }

    /// Adds one.
    pub(crate) fn add(&mut self, gradient: &W) {
        let share = gradient.map(|_, t| t.clone() / self.count as f64);
        self.sum = Some(match self.sum.take() {
            None => share,
            Some(sum) => sum.plus(&share),
        });
    }

    /// The mean; zero of the form of `weights` if none was added.
    pub(crate) fn finish(self, weights: &W) -> W {
        self.sum.unwrap_or_else(|| weights.zeros())
    }
}

/// The next so many of `rollouts`: a micro-batch, or none when all are taken.
pub(crate) fn next_batch(
    rollouts: &mut impl Iterator<Item = RolledOut>,
    size: usize,
) -> Option<Vec<RolledOut>> {
    let batch: Vec<RolledOut> = rollouts.take(size).collect();
    (!batch.is_empty()).then_some(batch)
}
