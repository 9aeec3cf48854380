//! A row of a loss: how it enters, and what is known of it afterwards.

use crate::divergence::{Direction, Divergence};
use burn::tensor::Tensor;

/// How one row of logits enters the loss of a fused divergence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RowLoss {
    /// Direction of the divergence.
    pub direction: Direction,
    /// Weight in the loss.
    pub weight: f64,
    /// The loss counts at most this much of the divergence; above it the gradient is zero.
    pub clip: Option<f64>,
}

impl RowLoss {
    /// Whether a divergence is above the clip; at the clip the gradient passes.
    pub fn clips(&self, kl: f64) -> bool {
        clips(self.clip, kl)
    }

    /// What a divergence adds to the loss.
    pub fn counts(&self, kl: f64) -> f64 {
        counts(self.weight, self.clip, kl)
    }
}

/// One supervised token: a row of the student against a row of a teacher.
#[derive(Clone, Copy, Debug)]
pub struct ActiveRow<'a> {
    /// Row of the student's hidden states.
    pub student: usize,
    /// Row of the teacher's hidden states.
    pub teacher: usize,
    /// How the two are compared.
    pub divergence: &'a dyn Divergence,
    /// Weight in the loss.
    pub weight: f64,
    /// The loss counts at most this much of the divergence; above it the gradient is zero.
    pub clip: Option<f64>,
}

impl ActiveRow<'_> {
    /// Whether a divergence is above the clip; at the clip the gradient passes.
    pub fn clips(&self, kl: f64) -> bool {
        clips(self.clip, kl)
    }

    /// What a divergence adds to the loss.
    pub fn counts(&self, kl: f64) -> f64 {
        counts(self.weight, self.clip, kl)
    }
}

fn clips(clip: Option<f64>, kl: f64) -> bool {
    clip.is_some_and(|clip| kl > clip)
}

fn counts(weight: f64, clip: Option<f64>, kl: f64) -> f64 {
    match clip {
        _ if weight == 0.0 => 0.0,
        Some(clip) if kl > clip => weight * clip,
        _ => weight * kl,
    }
}

/// What is known of one row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RowStatistics {
    /// Divergence, unclipped. Infinite where a token with probability in the averaging distribution has none in
    /// the other; NaN where a row of logits is no distribution: without a finite entry, or with +∞ or NaN.
    pub kl: f64,
    /// Entropy of the student, in nats.
    pub student_entropy: f64,
    /// Entropy of the teacher, in nats.
    pub teacher_entropy: f64,
    /// Whether both have their largest logit at the same token; the first one counts among equals.
    pub agrees: bool,
}

/// The loss of some rows of logits.
#[derive(Clone, Debug)]
pub struct SpanKlRows {
    /// Σ weight · min(K, clip)
    pub loss: f64,
    /// Every row, in the order given.
    pub rows: Vec<RowStatistics>,
    /// `[R, V]` in the precision of the student's logits, ∂loss/∂(student logits). Never NaN: zero for rows that
    /// are clipped or have no gradient, such as those of infinite reverse divergence.
    pub gradient: Tensor<2>,
}
