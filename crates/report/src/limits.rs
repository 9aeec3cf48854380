//! How large a page may become.

/// Bounds of a page. Longer curves are drawn from fewer points, and of more rollouts or items some are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the file.
    pub bytes: usize,
    /// Rollouts.
    pub rollouts: usize,
    /// Points of all curves of one metric together.
    pub points: usize,
    /// Items of each run's evaluations.
    pub items: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 10_000_000, rollouts: 1000, points: 1000, items: 1000 }
    }
}

impl Limits {
    /// Most runs of a page.
    pub(crate) const RUNS: usize = 32;

    /// Bytes of the rollouts of one of so many runs.
    pub(crate) fn rollout_bytes(&self, runs: usize) -> usize {
        self.bytes * 7 / 10 / runs.max(1)
    }

    /// Bytes of the evaluations of one of so many runs.
    pub(crate) fn item_bytes(&self, runs: usize) -> usize {
        self.bytes / 10 / runs.max(1)
    }

    /// Points of a curve of one of so many runs.
    pub(crate) fn points_of(&self, runs: usize) -> usize {
        (self.points / runs.max(1)).max(64)
    }
}
