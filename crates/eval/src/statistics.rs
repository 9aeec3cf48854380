//! Means with their standard errors, and the unbiased estimate of Pass@k.

use serde::{Deserialize, Serialize};

/// A mean of independent values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mean {
    /// The mean; 0 of nothing.
    pub value: f64,
    /// Its standard error: sample standard deviation over √n; none of fewer than two values.
    pub standard_error: Option<f64>,
    /// Values.
    pub n: usize,
}

impl Mean {
    /// The mean of these values.
    pub fn of(values: &[f64]) -> Self {
        let n = values.len();
        let value = values.iter().sum::<f64>() / n.max(1) as f64;
        let squares: f64 = values.iter().map(|x| (x - value).powi(2)).sum();
        let standard_error = (n > 1).then(|| (squares / (n - 1) as f64 / n as f64).sqrt());
        Self { value, standard_error, n }
    }
}

/// The probability that at least one of `k` answers is right, estimated without bias from `n` answers of which
/// `right` are: 1 − C(n − right, k) / C(n, k). `k` is at most `n`.
pub fn pass_at(k: usize, n: usize, right: usize) -> f64 {
    let wrong = n.saturating_sub(right);
    if wrong < k {
        return 1.0;
    }
    // C(wrong, k) / C(n, k) as a product of factors at most 1.
    1.0 - (0..k).map(|i| (wrong - i) as f64 / (n - i) as f64).product::<f64>()
}
