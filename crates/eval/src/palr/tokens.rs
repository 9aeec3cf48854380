//! The diagnostic's arithmetic: from the log-probabilities of a token to its weights, from those to PALR.
//!
//! For a token y with the student's p and its active teacher's q, in nats:
//!
//! ```text
//! s  = |log q(y) − log p(y)|                       how hard the teacher pulls
//! cA = max(0, log q(y) − log q_wrong(y))           what of that hangs on the reference answer (A3)
//! cI = max(0, log q(y) − log q_image(y))           what of that hangs on the image (A4)
//! PALR = Σ s·cA / (Σ s·(cA + cI) + ε)
//! ```
//!
//! q_wrong is the mean of the teacher's distributions given each wrong answer, q_image its distribution given
//! another image. A teacher that is shown no reference has cA = 0, one that is shown no image cI = 0.

use serde::{Deserialize, Serialize};

/// Keeps PALR finite, and zero where nothing is attributed.
pub const EPSILON: f64 = 1e-8;

/// The part of a completion that a token lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// T_d.
    Description,
    /// T_r ∪ T_a.
    ReasoningAnswer,
    /// Delimiters and what stands between the parts.
    Other,
}

/// A token under an active teacher. Log-probabilities are of the sampled token.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Token {
    /// Its place in the completion.
    pub position: usize,
    /// Its id.
    pub id: u32,
    /// Where it lies.
    pub part: Part,
    /// The teacher's name.
    pub teacher: String,
    /// log p: the student's.
    pub student: f64,
    /// log q: the teacher's.
    pub active: f64,
    /// log q_wrong; none if the teacher is shown no reference.
    pub wrong: Option<f64>,
    /// log q_image; none if the teacher is shown no image.
    pub image: Option<f64>,
    /// s.
    pub pull: f64,
    /// cA.
    pub answer_share: f64,
    /// cI.
    pub image_share: f64,
}

impl Token {
    /// The weights from the log-probabilities: `student`, `active`, one of each wrong answer, and that under the
    /// other image.
    pub(crate) fn weighed(
        at: (usize, u32, Part),
        teacher: &str,
        [student, active]: [f64; 2],
        wrong: &[f64],
        image: Option<f64>,
    ) -> Self {
        let (position, id, part) = at;
        let wrong = mixture(wrong);
        let share = |other: Option<f64>| other.map_or(0.0, |other| (active - other).max(0.0));
        Self {
            position,
            id,
            part,
            teacher: teacher.to_owned(),
            student,
            active,
            wrong,
            image,
            pull: (active - student).abs(),
            answer_share: share(wrong),
            image_share: share(image),
        }
    }
}

/// The logarithm of the mean of probabilities given by theirs; none of nothing.
fn mixture(logs: &[f64]) -> Option<f64> {
    let max = logs.iter().copied().reduce(f64::max)?;
    if max == f64::NEG_INFINITY {
        return Some(max);
    }
    let sum: f64 = logs.iter().map(|log| (log - max).exp()).sum();
    Some(max + sum.ln() - (logs.len() as f64).ln())
}

/// Sums over tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sums {
    /// Tokens under a teacher.
    pub tokens: usize,
    /// Σ s·cA.
    pub answer: f64,
    /// Σ s·cI.
    pub image: f64,
}

impl Sums {
    /// Adds a token.
    pub fn add(&mut self, token: &Token) {
        self.tokens += 1;
        self.answer += token.pull * token.answer_share;
        self.image += token.pull * token.image_share;
    }

    /// PALR of these sums.
    pub fn palr(&self) -> f64 {
        self.answer / (self.answer + self.image + EPSILON)
    }

    fn plus(&self, other: &Self, sign: f64) -> Self {
        Self {
            tokens: self.tokens + other.tokens,
            answer: self.answer + sign * other.answer,
            image: self.image + sign * other.image,
        }
    }
}

/// PALR of a part over all items.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Palr {
    /// The ratio of the sums, from 0 to 1.
    pub value: f64,
    /// Its standard error over items by the jackknife; none of fewer than two items.
    pub standard_error: Option<f64>,
    /// The sums.
    pub sums: Sums,
}

impl Palr {
    /// PALR of the sums of each item.
    pub fn of(items: &[Sums]) -> Self {
        let sums = items.iter().fold(Sums::default(), |sum, item| sum.plus(item, 1.0));
        let n = items.len() as f64;
        let without: Vec<f64> = items.iter().map(|item| sums.plus(item, -1.0).palr()).collect();
        let mean = without.iter().sum::<f64>() / n.max(1.0);
        let squares: f64 = without.iter().map(|value| (value - mean).powi(2)).sum();
        let standard_error = (items.len() > 1).then(|| (squares * (n - 1.0) / n).sqrt());
        Self { value: sums.palr(), standard_error, sums }
    }
}
