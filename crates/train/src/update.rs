//! What is trained, and its optimiser: the last stage of a step.

use burn::tensor::Device;
use vigos_checkpoint::optim::{AdamW, clip_global_norm, global_norm, learning_rate};
use vigos_models::{Trained, phase};
use vigos_recipe::Optim;
use vigos_rollout::RunError;

/// Weights under training.
pub(crate) struct Update<'a, W> {
    /// The weights as they are now.
    pub(crate) weights: W,
    /// The optimiser's state.
    pub(crate) optimiser: AdamW,
    settings: &'a Optim,
    total: usize,
    device: &'a Device,
}

/// One update, in numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Updated {
    /// Global norm of the gradient before it was clipped.
    pub(crate) grad_norm: f64,
    /// Learning rate.
    pub(crate) lr: f64,
}

impl<'a, W: Trained> Update<'a, W> {
    /// Goes on from these weights and moments through `total` steps in all.
    pub(crate) fn new(
        weights: W,
        optimiser: AdamW,
        settings: &'a Optim,
        total: usize,
        device: &'a Device,
    ) -> Self {
        Self { weights, optimiser, settings, total, device }
    }

    /// What they are on.
    pub(crate) fn device(&self) -> &Device {
        self.device
    }

    /// Steps in all.
    pub(crate) fn total(&self) -> usize {
        self.total
    }

    /// Makes the update of step `step`, counted from 0: the gradient clipped by its global norm, then AdamW.
    ///
    /// # Errors
    /// [`RunError::NotFinite`] if the gradient's norm is not; if the device fails. Then nothing is changed.
    pub(crate) fn apply(&mut self, gradient: W, step: usize) -> Result<Updated, RunError> {
        let _optimiser = phase!(self.device, "optimiser");
        let lr = learning_rate(self.settings, step, self.total);
        let grad_norm = global_norm(&gradient)?;
        if !grad_norm.is_finite() {
            return Err(RunError::NotFinite("the gradient".into()));
        }
        let clipped = clip_global_norm(gradient, grad_norm, self.settings.max_grad_norm);
        self.weights = self.optimiser.update(&self.weights, &clipped, lr, self.settings);
        Ok(Updated { grad_norm, lr })
    }
}
