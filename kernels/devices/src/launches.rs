//! Counting kernels as they are launched.

use cubecl::logging::{LaunchObservation, LaunchObserver};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Counts the launches of the whole process from its making on.
#[derive(Debug)]
pub(crate) struct Launches {
    counts: Arc<Counts>,
    _watching: LaunchObservation,
}

#[derive(Debug, Default)]
struct Counts(Mutex<BTreeMap<&'static str, u64>>);

impl LaunchObserver for Counts {
    fn launched(&self, kernel: &'static str) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(kernel).or_default() += 1;
    }
}

impl Launches {
    /// Begins to count; what counted before does not meanwhile.
    #[must_use]
    pub(crate) fn watch() -> Self {
        let counts = Arc::<Counts>::default();
        Self { counts: counts.clone(), _watching: LaunchObservation::new(counts) }
    }

    /// So many so far, by the names that the kernels have in the program.
    pub(crate) fn so_far(&self) -> BTreeMap<&'static str, u64> {
        self.counts.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
