//! AdamW, its learning-rate schedule and the global norm clip, over all trained tensors together.

use burn::tensor::Tensor;
use std::collections::BTreeMap;
use vigos_kernels::{DeviceError, read};
use vigos_models::Trained;
use vigos_recipe::{Optim, Schedule};

/// AdamW with decoupled weight decay (Loshchilov and Hutter, arXiv 1711.05101) and bias correction.
#[derive(Clone, Debug)]
pub struct AdamW {
    /// Updates made so far.
    pub updates: u64,
    /// First and second moment of each tensor's gradient, by its name.
    pub moments: BTreeMap<String, Moments>,
}

/// Running moments of one tensor's gradient, of its shape, in f32.
#[derive(Clone, Debug)]
pub struct Moments {
    /// Mean.
    pub mean: Tensor<2>,
    /// Mean of squares.
    pub square: Tensor<2>,
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
        let (beta1, beta2) = settings.betas;
        let correction = |beta: f64| 1.0 - beta.powf(self.updates as f64);
        let (correction1, correction2) = (correction(beta1), correction(beta2));
        let gradients: BTreeMap<String, Tensor<2>> = gradient.tensors().into_iter().collect();
        let moments = &mut self.moments;
        weights.map(|name, weight| {
            let gradient = gradients[name].clone();
            let old = moments.remove(name).expect("the optimiser was made for these weights");
            let mean = old.mean * beta1 + gradient.clone() * (1.0 - beta1);
            let square = old.square * beta2 + gradient.square() * (1.0 - beta2);
            let scale = (square.clone() / correction2).sqrt() + settings.eps;
            let step = mean.clone() / correction1 / scale * lr;
            moments.insert(name.to_owned(), Moments { mean, square });
            match weights.decays(name) && settings.weight_decay > 0.0 {
                true => weight.clone() * (1.0 - lr * settings.weight_decay) - step,
                false => weight.clone() - step,
            }
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
