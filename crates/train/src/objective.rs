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

    /// Loss and gradient of a step's completions under the weights before step `step`, counted from 0.
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
