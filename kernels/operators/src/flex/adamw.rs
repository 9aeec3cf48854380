//! AdamW's update on the CPU: one pass over weight, gradient and moments, on all cores.
//!
//! Every operation is the one of the separate operators, in their order and rounded as theirs are: no product and sum
//! become one.

use super::share::{PIECE, dense, values};
use crate::adamw::AdamWStep;
use crate::adamw::fused::AdamWBackend;
use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use rayon::prelude::*;

impl AdamWBackend for Flex {
    fn adamw_step(
        weight: FlexTensor,
        gradient: FlexTensor,
        mean: FlexTensor,
        square: FlexTensor,
        step: AdamWStep,
    ) -> (FlexTensor, FlexTensor, FlexTensor) {
        let gradient = dense(gradient);
        // Contiguous from its first value on, as its slice of memory is what is changed. Who holds one as well keeps the
        // values that it had.
        let own = |tensor: FlexTensor| match tensor.layout().contiguous_offsets() {
            Some((0, end)) if end == tensor.storage::<f32>().len() => tensor,
            _ => tensor.to_contiguous(),
        };
        let [mut weight, mut mean, mut square] = [weight, mean, square].map(own);
        let step = Rounded::new(step);
        let parts = (
            weight.storage_mut::<f32>().par_chunks_mut(PIECE),
            mean.storage_mut::<f32>().par_chunks_mut(PIECE),
            square.storage_mut::<f32>().par_chunks_mut(PIECE),
            values(&gradient).par_chunks(PIECE),
        );
        parts.into_par_iter().for_each(|(weight, mean, square, gradient)| {
            for (((weight, mean), square), gradient) in weight.iter_mut().zip(mean).zip(square).zip(gradient)
            {
                step.apply(weight, mean, square, *gradient);
            }
        });
        (weight, mean, square)
    }
}

/// The step's numbers in f32, as separate operators round them.
#[derive(Clone, Copy)]
struct Rounded {
    betas: [f32; 2],
    rests: [f32; 2],
    corrections: [f32; 2],
    epsilon: f32,
    lr: f32,
    /// What is left of the weight; exactly 1 where it does not decay.
    kept: f32,
}

impl Rounded {
    fn new(step: AdamWStep) -> Self {
        let AdamWStep { lr, betas, corrections, epsilon, decay } = step;
        Self {
            betas: [betas.0 as f32, betas.1 as f32],
            rests: [(1.0 - betas.0) as f32, (1.0 - betas.1) as f32],
            corrections: [corrections.0 as f32, corrections.1 as f32],
            epsilon: epsilon as f32,
            lr: lr as f32,
            kept: if decay > 0.0 { (1.0 - lr * decay) as f32 } else { 1.0 },
        }
    }

    #[inline(always)]
    fn apply(&self, weight: &mut f32, mean: &mut f32, square: &mut f32, gradient: f32) {
        *mean = *mean * self.betas[0] + gradient * self.rests[0];
        *square = *square * self.betas[1] + gradient * gradient * self.rests[1];
        let scale = (*square / self.corrections[1]).sqrt() + self.epsilon;
        let change = *mean / self.corrections[0] / scale * self.lr;
        *weight = *weight * self.kept - change;
    }
}
