//! Means with their standard errors, the paired bootstrap, and the unbiased estimate of Pass@k.

use serde::{Deserialize, Serialize};
use vigos_core::random::{Key, Purpose, draws};

/// Resamples of a bootstrap, and the most values that all of them draw.
const RESAMPLES: (usize, usize) = (10_000, 100_000_000);
/// Its least resamples.
const LEAST_RESAMPLES: usize = 400;

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

/// The 95 % interval of the mean of paired differences, by the percentile bootstrap: pairs are drawn with replacement. The
/// same differences give the same interval. None of fewer than two.
///
/// ```
/// use vigos_eval::paired_interval;
///
/// let (low, high) = paired_interval(&[1.0, 0.0, 1.0, 0.0, 1.0, 0.0]).expect("more than one");
/// assert!(low < 0.5 && 0.5 < high);
/// assert_eq!(paired_interval(&[0.25; 9]), Some((0.25, 0.25)));
/// ```
pub fn paired_interval(differences: &[f64]) -> Option<(f64, f64)> {
    let n = differences.len();
    if n < 2 {
        return None;
    }
    let (most, values) = RESAMPLES;
    let resamples = (values / n).clamp(LEAST_RESAMPLES, most);
    let mut means: Vec<f64> = (0..resamples)
        .map(|resample| {
            let mut draws = draws(Purpose::Bootstrap, Key { sample: resample as u64, ..Key::default() });
            let drawn = (0..n).filter_map(|_| differences.get(draws.below(n as u64) as usize));
            drawn.sum::<f64>() / n as f64
        })
        .collect();
    means.sort_by(f64::total_cmp);
    // As many means lie below the one as above the other.
    let outside = resamples / 40;
    Some((means[outside], means[resamples - 1 - outside]))
}
