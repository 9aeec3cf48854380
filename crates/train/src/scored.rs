//! What a step's completions were taught: token by token, and summed up by loss.

use serde::{Deserialize, Serialize};
use vigos_rollout::RolledOut;

/// A completion with what its tokens were taught.
#[derive(Clone, Debug)]
pub struct Scored {
    /// The completion.
    pub rollout: RolledOut,
    /// Its supervised tokens: teacher by teacher, in the order of the table.
    pub tokens: Vec<ScoredToken>,
    /// What is recorded of it, where it is one of a snapshot.
    pub observed: Option<Observed>,
}

/// One supervised token.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScoredToken {
    /// Its place in the completion.
    pub position: usize,
    /// Index of its teacher in the table.
    pub teacher: usize,
    /// Unclipped divergence.
    pub kl: f64,
    /// Whether it is above its clip.
    pub clipped: bool,
}

/// A token as a distribution has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// Its log-probability, in nats.
    pub logprob: f64,
    /// Entropy of the distribution, in nats.
    pub entropy: f64,
    /// How many tokens are more probable, and 1.
    pub rank: u32,
    /// The most probable tokens and their log-probabilities, the most probable one first.
    pub top: Vec<(u32, f64)>,
}

/// What is recorded of a completion.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Observed {
    /// Its first tokens, as the student has them.
    pub student: Vec<Seen>,
    /// Of these the supervised ones, as their teachers have them: in the order of [`Scored::tokens`], in which those that
    /// are beyond the recorded ones are left out.
    pub teachers: Vec<Seen>,
}

/// How much a phase did, and how long it took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// Tokens that went through the model.
    pub tokens: usize,
    /// Wall-clock time.
    pub seconds: f64,
}

impl Work {
    /// Tokens per second; zero where nothing was done.
    pub fn rate(&self) -> f64 {
        if self.seconds > 0.0 { self.tokens as f64 / self.seconds } else { 0.0 }
    }
}

impl Work {
    /// The same and what another rank did in the meantime.
    #[must_use]
    pub(crate) fn beside(self, other: Self) -> Self {
        Self { tokens: self.tokens + other.tokens, seconds: self.seconds.max(other.seconds) }
    }
}

impl std::ops::AddAssign for Work {
    fn add_assign(&mut self, other: Self) {
        self.tokens += other.tokens;
        self.seconds += other.seconds;
    }
}

/// One loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Term {
    /// Mean of the clipped divergence.
    pub loss: f64,
    /// Mean of the divergence, unclipped.
    pub kl: f64,
    /// Tokens.
    pub tokens: usize,
    /// Tokens above their clip.
    pub clipped: usize,
}

impl Term {
    /// Adds that of a micro-batch, whose loss counts by `divisor`, as its gradient does; divergences average over
    /// tokens.
    pub(crate) fn add(&mut self, other: &Self, divisor: usize) {
        let tokens = self.tokens + other.tokens;
        if tokens > 0 {
            self.kl = (self.kl * self.tokens as f64 + other.kl * other.tokens as f64) / tokens as f64;
        }
        self.loss += other.loss / divisor as f64;
        self.tokens = tokens;
        self.clipped += other.clipped;
    }
}
