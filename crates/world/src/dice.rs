//! Draws of the world: one stream for each thing that is decided about a sample.
//!
//! What is in the picture, what the annotator wrote and how the picture's grain falls come from streams of their
//! own. A dial that changes one leaves the others as they are: two worlds that differ in the share of careless
//! references have the same images and the same questions.

use vigos_core::random::{Draws, Key, Purpose, draws};

/// What a stream decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    /// What is asked, and what is in the picture.
    Scene = 0,
    /// What the annotator wrote, and in which form.
    Annotator = 1,
    /// The places, ground and grain of the picture.
    Picture = 2,
}

/// A stream of draws.
pub(crate) struct Dice(Draws);

impl Dice {
    /// The stream of sample `number` in `split`.
    pub(crate) fn new(seed: u64, split: u64, number: u64, stream: Stream) -> Self {
        Self(draws(Purpose::World, Key { seed, step: split, sample: number, position: stream as u64 }))
    }

    /// True with probability `p`.
    pub(crate) fn chance(&mut self, p: f64) -> bool {
        self.0.uniform() < p
    }

    /// Uniform in [-1, 1).
    pub(crate) fn signed(&mut self) -> f64 {
        2.0 * self.0.uniform() - 1.0
    }

    /// Uniform in 0..n; 0 for an empty range.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        self.0.below((n as u64).max(1)) as usize
    }

    /// Uniform in low..=high.
    pub(crate) fn between(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// One of `items`, of which there is at least one.
    pub(crate) fn pick<T: Copy>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())]
    }

    /// One of `items`, of which there is at least one, in proportion to its weight.
    pub(crate) fn weighted<T: Copy>(&mut self, items: &[(T, f64)]) -> T {
        let total: f64 = items.iter().map(|(_, weight)| weight).sum();
        let mut left = self.0.uniform() * total;
        for (item, weight) in items {
            if left < *weight {
                return *item;
            }
            left -= weight;
        }
        items[items.len() - 1].0
    }

    /// `n` different ones of `items`, in random order; all of them if there are fewer.
    pub(crate) fn some<T: Copy>(&mut self, items: &[T], n: usize) -> Vec<T> {
        let order = self.0.permutation(items.len());
        order.into_iter().take(n).map(|i| items[i]).collect()
    }

    /// 64 random bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0.bits()
    }
}
