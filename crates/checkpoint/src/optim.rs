//! AdamW, its learning-rate schedule and the global norm clip, over all trained tensors together.

use burn::tensor::Tensor;
use std::collections::BTreeMap;
use vigos_kernels::{AdamWStep, DeviceError, adamw, read};
use vigos_models::Trained;
use vigos_recipe::{Optim, Schedule};

pub use vigos_kernels::Moments;

/// AdamW with decoupled weight decay (Loshchilov and Hutter, arXiv 1711.05101) and bias correction.
#[derive(Clone, Debug)]
pub struct AdamW {
    /// Updates made so far.
    pub updates: u64,
    /// First and second moment of each tensor's gradient, by its name.
    pub moments: BTreeMap<String, Moments>,
}

impl AdamW {
    /// An optimiser that has seen nothing yet.
    pub fn new(weights: &impl Trained) -> Self {
        let fresh = |t: Tensor<2>| Moments { mean: t.zeros_like(), square: t.zeros_like() };
        let moments = weights.tensors().into_iter().map(|(name, t)| (name, fresh(t))).collect();
        Self { updates: 0, moments }
    }

    /// The weights after one update at learning rate `lr`.
    ///
    /// # Panics
    /// If `gradient` has not the form of `weights`.
    pub fn update<T: Trained>(&mut self, weights: &T, gradient: &T, lr: f64, settings: &Optim) -> T {
        self.updates += 1;
        let correction = |beta: f64| 1.0 - beta.powf(self.updates as f64);
        let (betas, epsilon) = (settings.betas, settings.eps);
        let corrections = (correction(betas.0), correction(betas.1));
        let mut gradients: BTreeMap<String, Tensor<2>> = gradient.tensors().into_iter().collect();
        let moments = &mut self.moments;
        weights.map(|name, weight| {
            let taken = (gradients.remove(name), moments.remove(name));
            let (Some(gradient), Some(old)) = taken else {
                panic!("the optimiser and the gradient were made for these weights")
            };
            let decay = if weights.decays(name) { settings.weight_decay } else { 0.0 };
            let step = AdamWStep { lr, betas, corrections, epsilon, decay };
            let (weight, new) = adamw(weight.clone(), gradient, old, step);
            moments.insert(name.to_owned(), new);
            weight
        })
    }
}

/// The learning rate of update `step` of `total`, counted from 0.
///
/// In warm-up it rises in `warmup_steps` equal steps and reaches its highest at the last of them; then it
/// falls so that it would be zero at update `total`.
pub fn learning_rate(settings: &Optim, step: usize, total: usize) -> f64 {
    let warmup = settings.warmup_steps;
    if step < warmup {
        return settings.lr * (step + 1) as f64 / warmup as f64;
    }
    let left = total.saturating_sub(step) as f64 / total.saturating_sub(warmup).max(1) as f64;
    match settings.schedule {
        Schedule::Constant => settings.lr,
        Schedule::Linear => settings.lr * left,
        Schedule::Cosine => settings.lr * 0.5 * (1.0 + (std::f64::consts::PI * (1.0 - left)).cos()),
    }
}

/// L2 norm over all tensors together.
///
/// # Errors
/// If the device fails.
pub fn global_norm(gradient: &impl Trained) -> Result<f64, DeviceError> {
    let squares: Vec<Tensor<1>> = gradient.tensors().into_iter().map(|(_, t)| t.square().sum()).collect();
    if squares.is_empty() {
        return Ok(0.0);
    }
    let squares: Vec<f32> = read(Tensor::cat(squares, 0))?;
    Ok(squares.into_iter().map(f64::from).sum::<f64>().sqrt())
}

/// Scales the gradient down to `max_norm` over all tensors together, if its norm is above; 0 is off.
pub fn clip_global_norm<T: Trained>(gradient: T, norm: f64, max_norm: f64) -> T {
    if max_norm <= 0.0 {
        return gradient;
    }
    // The reference adds 1e-6 to the norm, which matters for equality only.
    let factor = max_norm / (norm + 1e-6);
    if factor >= 1.0 { gradient } else { gradient.map(|_, t| t.clone() * factor) }
}
