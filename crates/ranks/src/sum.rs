//! A sum over parts that ranks have, in the order of the parts and not of the ranks.
//!
//! ```text
//! rank 0  parts 0 and 3 ─┐ slices to their owners ┌─ slice 0 of 0 + 1 + 2 + 3 ─┐ gathered
//! rank 1  parts 1 and 2 ─┘                        └─ slice 1 of 0 + 1 + 2 + 3 ─┘
//! ```
//!
//! Every rank owns a slice of the values, gets that of all parts, and adds them up from the first to the last. A rank
//! sends and receives each part once, and the sum once.

use crate::{Ranks, RanksError};

/// A part of a sum.
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    /// Its place among all parts. Each is there once.
    pub number: u64,
    /// As many values as every other part has.
    pub values: Vec<f32>,
}

/// The sum of the parts that all ranks have, of `length` values each: the first and the second, that and the third, and so
/// on. Zeros if there is none.
///
/// # Errors
/// If a rank is gone, or the parts are not of that length.
pub fn sum(ranks: &dyn Ranks, parts: &[Part], length: usize) -> Result<Vec<f32>, RanksError> {
    let garbled = |rank, message: &str| RanksError::Garbled { rank, message: message.to_owned() };
    if parts.iter().any(|part| part.values.len() != length) {
        return Err(garbled(ranks.rank(), "a part of another length"));
    }
    let count = ranks.count();
    let slice = |rank: usize| length * rank / count..length * (rank + 1) / count;
    let handed = (0..count).map(|rank| {
        let mut bytes = Vec::with_capacity(parts.len() * (8 + 4 * slice(rank).len()));
        for part in parts {
            bytes.extend_from_slice(&part.number.to_le_bytes());
            append(&mut bytes, &part.values[slice(rank)]);
        }
        bytes
    });
    let got = ranks.exchange(handed.collect())?;

    let own = slice(ranks.rank()).len();
    let mut slices: Vec<(u64, &[u8])> = Vec::new();
    for (rank, bytes) in got.iter().enumerate() {
        let parts = bytes.chunks_exact(8 + 4 * own);
        if !parts.remainder().is_empty() {
            return Err(garbled(rank, "part of a number"));
        }
        slices.extend(parts.filter_map(|part| {
            let (number, values) = part.split_first_chunk()?;
            Some((u64::from_le_bytes(*number), values))
        }));
    }
    slices.sort_by_key(|(number, _)| *number);
    let mut sum: Option<Vec<f32>> = None;
    for (_, values) in slices {
        let values = floats(values);
        sum = Some(match sum {
            None => values.collect(),
            Some(mut sum) => {
                sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
                sum
            }
        });
    }
    let sum = sum.unwrap_or_else(|| vec![0.0; own]);
    let mut bytes = Vec::with_capacity(4 * sum.len());
    append(&mut bytes, &sum);
    let sums = ranks.gather(bytes)?;
    let whole: Vec<f32> = sums.iter().flat_map(|bytes| floats(bytes)).collect();
    if whole.len() != length {
        return Err(garbled(ranks.rank(), "a sum of another length"));
    }
    Ok(whole)
}

/// Values behind what is there, little-endian. A block at a time, which is a copy: value by value it takes as long as to send
/// them.
fn append(bytes: &mut Vec<u8>, values: &[f32]) {
    let (blocks, rest) = values.as_chunks::<256>();
    for block in blocks {
        bytes.extend_from_slice(block.map(f32::to_le_bytes).as_flattened());
    }
    rest.iter().for_each(|value| bytes.extend_from_slice(&value.to_le_bytes()));
}

fn floats(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes.as_chunks().0.iter().map(|value| f32::from_le_bytes(*value))
}
