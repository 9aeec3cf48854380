//! What a step adds up before it changes the weights.

use burn::tensor::{DType, TensorData};
use std::collections::BTreeMap;
use vigos_kernels::{read, send};
use vigos_models::{Trained, phase};
use vigos_ranks::{Part, Ranks, sum};
use vigos_rollout::RunError;

/// The gradient of a step, added up part by part in the order of the parts: by one rank as they come, by several at the
/// end, when each has its own on the host.
pub(crate) struct StepGradient<W> {
    divisor: usize,
    ranks: usize,
    sum: Option<W>,
    parts: Vec<Part>,
}

impl<W: Trained> StepGradient<W> {
    /// Nothing yet, for so many ranks; of each part its share by `divisor` counts.
    pub(crate) fn over(divisor: usize, ranks: usize) -> Self {
        Self { divisor, ranks, sum: None, parts: Vec::new() }
    }

    /// Adds the gradient of part `number`. A rank adds its own in their order.
    ///
    /// # Errors
    /// If the device fails.
    pub(crate) fn add(&mut self, number: u64, gradient: W) -> Result<(), RunError> {
        let share = match self.divisor {
            1 => gradient,
            parts => gradient.map(|_, t| t.clone() / parts as f64),
        };
        if self.ranks > 1 {
            let mut values = Vec::new();
            for (_, tensor) in share.tensors() {
                values.extend(read::<f32, 2, _>(tensor)?);
            }
            self.parts.push(Part { number, values });
            return Ok(());
        }
        self.sum = Some(match self.sum.take() {
            None => share,
            Some(sum) => sum.plus(&share),
        });
        Ok(())
    }

    /// The sum of all ranks' parts; zero of the form of `weights` if none was added.
    ///
    /// # Errors
    /// If a rank is gone.
    pub(crate) fn finish(self, weights: &W, ranks: &dyn Ranks) -> Result<W, RunError> {
        if self.ranks == 1 {
            return Ok(self.sum.unwrap_or_else(|| weights.zeros()));
        }
        let tensors = weights.tensors();
        let device = tensors.first().map(|(_, tensor)| tensor.device());
        let _sum = device.as_ref().map(|device| phase!(device, "sum"));
        let (mut places, mut length) = (BTreeMap::new(), 0);
        for (name, tensor) in tensors {
            let values = tensor.shape().num_elements();
            places.insert(name, length..length + values);
            length += values;
        }
        let sum = sum(ranks, &self.parts, length)?;
        Ok(weights.map(|name, tensor| {
            let values = sum[places[name].clone()].to_vec();
            send(TensorData::new(values, tensor.dims()), &tensor.device(), DType::F32)
        }))
    }
}
