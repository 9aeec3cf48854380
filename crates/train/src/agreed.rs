//! What the ranks of a run come to together, and how long each waits for it.

use crate::observer::Watch;
use serde::Serialize;
use serde::de::DeserializeOwned;
use vigos_rollout::RunError;
use vigos_rollout::agreed::all_of;
pub(crate) use vigos_rollout::agreed::{by_the_first, first_then_others, of_the_first, same};

/// What this rank came to, and what every other one tells of what it came to, in their order; the time that this takes
/// is waited for.
///
/// # Errors
/// That of the first rank that failed, on all of them.
pub(crate) fn agreed<O, T: Serialize + DeserializeOwned>(
    watch: &mut Watch,
    own: Result<O, RunError>,
    tell: impl FnOnce(&O) -> T,
) -> Result<(O, Vec<(usize, T)>), RunError> {
    watch.waiting(|ranks| all_of(ranks, own, tell))
}
