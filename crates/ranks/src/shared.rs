//! Values that every rank gets of every other, as MessagePack: it keeps every bit of a number, NaN and infinity as well.

use crate::{Ranks, RanksError};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What every rank hands in, in their order.
///
/// # Errors
/// If a rank is gone, or sent something else.
pub fn shared<T: Serialize + DeserializeOwned>(ranks: &dyn Ranks, own: &T) -> Result<Vec<T>, RanksError> {
    let garbled = |rank, message: String| RanksError::Garbled { rank, message };
    let bytes = rmp_serde::to_vec_named(own).map_err(|error| garbled(ranks.rank(), error.to_string()))?;
    let read = |(rank, bytes): (usize, Vec<u8>)| {
        rmp_serde::from_slice(&bytes).map_err(|error| garbled(rank, error.to_string()))
    };
    ranks.gather(bytes)?.into_iter().enumerate().map(read).collect()
}
