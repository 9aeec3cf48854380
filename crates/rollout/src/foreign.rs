//! Tokens that another drew than the student that learns from them: a server with the same weights and other roundings, or
//! the student before its last update.

use serde::{Deserialize, Serialize};

/// A token whose log-probabilities differ by more was drawn from another distribution: by a fifth of its probability.
const BEYOND: f64 = 0.2;

/// How probable the tokens of a completion were where they were drawn, and are for the student that learns from them. All
/// are log-probabilities under the unmodified softmax.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Foreign {
    /// Where they were drawn.
    pub drawn: Vec<f64>,
    /// For the student; empty until it is asked.
    pub own: Vec<f64>,
    /// What each counts for in a loss; empty where all count the same.
    pub weights: Vec<f64>,
}

impl Foreign {
    /// The same with the student's own log-probabilities. With `most` a token counts for its probability here over that where
    /// it was drawn, at most `most`: truncated importance weights.
    #[must_use]
    pub fn compared(self, own: Vec<f64>, most: Option<f64>) -> Self {
        let ratio = |most: f64| move |(own, drawn): (&f64, &f64)| (own - drawn).exp().min(most);
        let weights = most.map(|most| own.iter().zip(&self.drawn).map(ratio(most)).collect());
        Self { drawn: self.drawn, own, weights: weights.unwrap_or_default() }
    }
}

/// How unlike the student it is that drew the completions of a step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Mismatch {
    /// Mean of |log p there − log p here| over the tokens, in nats.
    pub logprob: f64,
    /// Share of the tokens where it is more than 0.2.
    pub beyond: f64,
    /// (Σw)² / (n Σw²) of w = p here / p there over the n tokens: the share of them that would say as much, had the student
    /// drawn them.
    pub effective: f64,
}

impl Mismatch {
    /// That of a step's completions; nothing if the student drew them all.
    pub fn of<'a>(completions: impl Iterator<Item = &'a Foreign>) -> Option<Self> {
        Self::between(completions.flat_map(|f| f.own.iter().zip(&f.drawn)).map(|(own, drawn)| own - drawn))
    }

    /// That of tokens with these differences of log-probabilities, here less there; nothing if there is none.
    ///
    /// ```
    /// use vigos_rollout::Mismatch;
    ///
    /// // Two tokens as probable here as there, and one that is twice as probable.
    /// let found = Mismatch::between([0.0, 0.0, 2f64.ln()].into_iter()).unwrap();
    /// assert!((found.logprob - 2f64.ln() / 3.0).abs() < 1e-12);
    /// assert!((found.beyond - 1.0 / 3.0).abs() < 1e-12);
    /// assert!((found.effective - 16.0 / (3.0 * 6.0)).abs() < 1e-12);
    /// assert_eq!(Mismatch::between([].into_iter()), None);
    /// ```
    pub fn between(differences: impl Iterator<Item = f64>) -> Option<Self> {
        let differences: Vec<f64> = differences.collect();
        let count = differences.len() as f64;
        // Weights are relative to the largest, which may be too large for a number.
        let most = differences.iter().copied().reduce(f64::max)?;
        let (mut sum, mut squares) = (0.0, 0.0);
        for difference in &differences {
            let weight = (difference - most).exp();
            sum += weight;
            squares += weight * weight;
        }
        Some(Self {
            logprob: differences.iter().map(|difference| difference.abs()).sum::<f64>() / count,
            beyond: differences.iter().filter(|difference| difference.abs() > BEYOND).count() as f64 / count,
            effective: sum * sum / (count * squares),
        })
    }
}
