//! What ranks come to together: all of them go on, or all of them stop for the same reason.

use crate::error::RunError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use vigos_ranks::{Ranks, shared};

/// What a rank tells the others.
#[derive(Serialize, Deserialize)]
enum Said<T> {
    Done(T),
    NotFinite(String),
    Interrupted(String),
    Server(String, String),
    Failed(String),
}

/// What this rank came to, and what every other one tells of what it came to, in their order.
///
/// # Errors
/// That of the first rank that failed, on all of them.
pub fn all_of<O, T: Serialize + DeserializeOwned>(
    ranks: &dyn Ranks,
    own: Result<O, RunError>,
    tell: impl FnOnce(&O) -> T,
) -> Result<(O, Vec<(usize, T)>), RunError> {
    if ranks.count() == 1 {
        return own.map(|own| (own, Vec::new()));
    }
    let own = own.map_err(RunError::told);
    let said = match &own {
        Ok(own) => Said::Done(tell(own)),
        Err(RunError::NotFinite(what)) => Said::NotFinite(what.clone()),
        Err(RunError::Interrupted(what)) => Said::Interrupted(what.clone()),
        Err(RunError::Server { url, reason }) => Said::Server(url.clone(), reason.clone()),
        Err(other) => Said::Failed(other.to_string()),
    };
    let (mut others, mut first) = (Vec::new(), None);
    for (rank, said) in shared(ranks, &said)?.into_iter().enumerate() {
        let failed = match said {
            Said::Done(told) => {
                others.extend((rank != ranks.rank()).then_some((rank, told)));
                continue;
            }
            Said::NotFinite(what) => RunError::NotFinite(what),
            Said::Interrupted(what) => RunError::Interrupted(what),
            Said::Server(url, reason) => RunError::Server { url, reason },
            Said::Failed(reason) => RunError::OtherRank { rank, reason },
        };
        first.get_or_insert((rank, failed));
    }
    match (first, own) {
        (None, own) => own.map(|own| (own, others)),
        // Its own words have more to say.
        (Some((rank, _)), Err(own)) if rank == ranks.rank() => Err(own),
        (Some((_, failed)), _) => Err(failed),
    }
}

/// What `work` gives on every rank; on the first before the others, which find what it has prepared.
///
/// # Errors
/// As [`all_of`].
pub fn first_then_others<T>(
    ranks: &dyn Ranks,
    work: impl FnOnce() -> Result<T, RunError>,
) -> Result<T, RunError> {
    if ranks.count() == 1 {
        return work();
    }
    match ranks.is_first() {
        true => {
            let (done, _) = all_of(ranks, work(), |_| ())?;
            all_of(ranks, Ok(done), |_| ()).map(|(done, _)| done)
        }
        false => {
            all_of(ranks, Ok(()), |()| ())?;
            all_of(ranks, work(), |_| ()).map(|(done, _)| done)
        }
    }
}

/// What `first` gives on the first rank, and when it is done there `other` on the others.
///
/// # Errors
/// As [`all_of`].
pub fn by_the_first<T>(
    ranks: &dyn Ranks,
    first: impl FnOnce() -> Result<T, RunError>,
    other: impl FnOnce() -> Result<T, RunError>,
) -> Result<T, RunError> {
    first_then_others(ranks, || if ranks.is_first() { first() } else { other() })
}

/// What `first` gives on the first rank, on all of them.
///
/// # Errors
/// As [`all_of`].
pub fn of_the_first<T: Serialize + DeserializeOwned + Default>(
    ranks: &dyn Ranks,
    first: impl FnOnce() -> Result<T, RunError>,
) -> Result<T, RunError> {
    let own = by_the_first(ranks, first, || Ok(T::default()))?;
    Ok(shared(ranks, &own)?.swap_remove(0))
}

/// That all ranks have the same of what makes a run.
///
/// # Errors
/// If one of them has something else.
pub fn same<T: Serialize + DeserializeOwned + PartialEq>(
    ranks: &dyn Ranks,
    what: &str,
    own: &T,
) -> Result<(), RunError> {
    let all = shared(ranks, own)?;
    match all.iter().position(|other| *other != all[0]) {
        None => Ok(()),
        Some(rank) => Err(RunError::OtherRank { rank, reason: format!("its {what} is not that of rank 0") }),
    }
}
