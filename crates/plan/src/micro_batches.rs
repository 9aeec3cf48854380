//! How the completions of a step are cut into micro-batches, and what each of them counts for.

use crate::fit::{Change, change};
use std::iter::Peekable;
use vigos_recipe::sft::SftTrain;
use vigos_recipe::{Normalise, Train};
use vigos_rollout::RolledOut;

/// The cut of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MicroBatches {
    /// `train.batch`
    pub batch: usize,
    /// `train.accumulate`
    pub accumulate: usize,
    /// `train.tokens_per_micro_batch`; without it a micro-batch has `batch` completions.
    pub tokens: Option<usize>,
    /// `train.normalise`
    pub normalise: Normalise,
}

impl From<&Train> for MicroBatches {
    fn from(train: &Train) -> Self {
        let Train { batch, accumulate, tokens_per_micro_batch: tokens, normalise, .. } = *train;
        Self { batch, accumulate, tokens, normalise }
    }
}

impl From<&SftTrain> for MicroBatches {
    fn from(train: &SftTrain) -> Self {
        let SftTrain { batch, accumulate, tokens_per_micro_batch: tokens, normalise, .. } = *train;
        Self { batch, accumulate, tokens, normalise }
    }
}

impl MicroBatches {
    /// A sample by itself.
    pub const ONE: Self = Self { batch: 1, accumulate: 1, tokens: None, normalise: Normalise::Step };

    /// Samples of a step.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.batch.saturating_mul(self.accumulate)
    }

    /// Micro-batches of a step, where they are cut by number; at least one otherwise.
    #[must_use]
    pub fn fewest(&self) -> usize {
        if self.tokens.is_some() { 1 } else { self.accumulate }
    }

    /// The next micro-batch of `rollouts`, in their order, or none when all are taken. One that is longer than a
    /// micro-batch may be is one by itself.
    pub fn next(&self, rollouts: &mut Peekable<impl Iterator<Item = RolledOut>>) -> Option<Vec<RolledOut>> {
        let mut taken = vec![rollouts.next()?];
        let mut tokens = taken[0].length();
        let more = |next: &RolledOut, taken: usize, tokens: usize| match self.tokens {
            Some(most) => tokens + next.length() <= most,
            None => taken < self.batch,
        };
        while let Some(next) = rollouts.next_if(|next| more(next, taken.len(), tokens)) {
            tokens += next.length();
            taken.push(next);
        }
        Some(taken)
    }

    /// What the loss and the gradient of a micro-batch are divided by: 1 where their tokens weigh as tokens of the
    /// step, else the micro-batches of a whole step.
    #[must_use]
    pub fn divisor(&self) -> usize {
        match self.normalise {
            Normalise::Step => 1,
            Normalise::MicroBatch => self.accumulate,
        }
    }

    /// Most completions of a micro-batch if each has `length` tokens.
    pub(crate) fn rows(&self, length: u64) -> u64 {
        match self.tokens {
            Some(most) => (most as u64).div_ceil(length.max(1)).clamp(1, self.samples() as u64),
            None => self.batch as u64,
        }
    }

    /// Most tokens of a micro-batch of completions of up to `length` tokens.
    pub(crate) fn tokens(&self, length: u64) -> u64 {
        match self.tokens {
            Some(most) => length.max((self.samples() as u64).saturating_mul(length).min(most as u64)),
            None => (self.batch as u64).saturating_mul(length),
        }
    }

    /// Whether a step of completions of `length` tokens may be more than one micro-batch.
    pub(crate) fn several(&self, length: u64) -> bool {
        self.tokens(length) < (self.samples() as u64).saturating_mul(length)
    }

    /// The same step in micro-batches of half the size, where there are such.
    pub(crate) fn halved(&self) -> Option<Self> {
        if let Some(tokens) = self.tokens {
            return (tokens >= 2).then_some(Self { tokens: Some(tokens / 2), ..*self });
        }
        let accumulate = self.accumulate.checked_mul(2)?;
        self.batch.is_multiple_of(2).then_some(Self { batch: self.batch / 2, accumulate, ..*self })
    }

    /// The keys that say the size of micro-batches.
    pub(crate) fn changes(&self) -> Vec<Change> {
        match self.tokens {
            Some(tokens) => vec![change("train.tokens_per_micro_batch", tokens)],
            None => vec![change("train.batch", self.batch), change("train.accumulate", self.accumulate)],
        }
    }
}
