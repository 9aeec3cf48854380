//! What the tests of the sampler share.
#![allow(unreachable_pub)]

use vigos_core::random::Key;
use vigos_rollout::sampler::{Sampling, Seen};

/// Every setting at the value at which it does nothing.
pub const NEUTRAL: Sampling = Sampling {
    temperature: 1.0,
    top_k: 0,
    top_p: 1.0,
    min_p: 0.0,
    repetition_penalty: 1.0,
    presence_penalty: 0.0,
    frequency_penalty: 0.0,
};

pub fn key(position: u64) -> Key {
    Key { seed: 42, step: 3, sample: 1, position }
}

pub fn seen(prompt: &[u32], completion: &[u32]) -> Seen {
    let mut seen = Seen::new(prompt);
    completion.iter().for_each(|&token| seen.push(token));
    seen
}
