//! What a step adds up before it changes the weights.

use vigos_models::Trained;

/// The gradient of a step, added up micro-batch by micro-batch.
pub(crate) struct StepGradient<W> {
    divisor: usize,
    sum: Option<W>,
}

impl<W: Trained> StepGradient<W> {
    /// Nothing yet; of each micro-batch its part by `divisor` counts.
    pub(crate) fn over(divisor: usize) -> Self {
        Self { divisor, sum: None }
    }

    /// Adds that of one micro-batch.
    pub(crate) fn add(&mut self, gradient: W) {
        let share = match self.divisor {
            1 => gradient,
            parts => gradient.map(|_, t| t.clone() / parts as f64),
        };
        self.sum = Some(match self.sum.take() {
            None => share,
            Some(sum) => sum.plus(&share),
        });
    }

    /// The sum; zero of the form of `weights` if none was added.
    pub(crate) fn finish(self, weights: &W) -> W {
        self.sum.unwrap_or_else(|| weights.zeros())
    }
}
