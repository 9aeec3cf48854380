//! AdamW's update on the CPU: one pass over weight, gradient and moments, on all cores.
//!
//! Every operation is the one of the separate operators, in their order and rounded as theirs are: no product and sum
//! become one.

use super::share::{PIECE, dense, values};
use crate::adamw::fused::AdamWBackend;
use crate::adamw::{AdamWStep, Rounded};
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
        let step = step.rounded();
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

impl Rounded {
    #[inline(always)]
    fn apply(&self, weight: &mut f32, mean: &mut f32, square: &mut f32, gradient: f32) {
        *mean = *mean * self.betas[0] + gradient * self.rests[0];
        *square = *square * self.betas[1] + gradient * gradient * self.rests[1];
        let scale = (*square / self.corrections[1]).sqrt() + self.epsilon;
        let change = *mean / self.corrections[0] / scale * self.lr;
        *weight = *weight * self.kept - change;
    }
}
