//! The adapter's dropout in a training forward.

use burn::tensor::Device;
use vigos_models::{Dropout, DropoutPair};
use vigos_rollout::RolledOut;

/// Probability of dropping an adapter's input, and the seed of the draws.
#[derive(Clone, Copy, Debug)]
pub struct Dropping {
    /// 0 drops nothing.
    pub probability: f64,
    /// The run's seed.
    pub seed: u64,
}

/// The dropout of step `step` over the packed rows of these rollouts; nothing at probability 0.
pub fn dropout<'a>(
    dropping: Dropping,
    step: u64,
    rollouts: impl Iterator<Item = &'a RolledOut> + Clone,
    device: &Device,
) -> Option<DropoutPair> {
    let Dropping { probability, seed } = dropping;
    if probability <= 0.0 {
        return None;
    }
    let text = rollouts
        .clone()
        .flat_map(|r| (0..r.length() as u64).map(move |position| (r.sample.number, position)));
    // A patch is named by its image and its place in it.
    let vision = rollouts.flat_map(|r| {
        r.sample.images.iter().zip(1u64..).flat_map(move |(image, order)| {
            (0..image.grid.patches() as u64).map(move |patch| (r.sample.number, (order << 32) + patch))
        })
    });
    Some(DropoutPair {
        vision: Dropout::new(probability, seed, step, vision, device),
        text: Dropout::new(probability, seed, step, text, device),
    })
}
