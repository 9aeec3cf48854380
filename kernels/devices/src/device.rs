//! What a device gives back; where it fails, an error that says whether less at a time would do.

use crate::traffic::count_read;
use burn::tensor::kind::Basic;
use burn::tensor::{Device, Element, Tensor, TensorReadError};
use std::num::NonZeroUsize;

/// Why a device did not give a result back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// It had no memory for it. It is as it was, and may have enough for less.
    #[error("the device is out of memory: {0}")]
    OutOfMemory(String),
    /// It failed in another way, or is lost.
    #[error("the device failed: {0}")]
    Failed(String),
}

impl DeviceError {
    /// Whether less at a time may do.
    pub fn is_out_of_memory(&self) -> bool {
        matches!(self, Self::OutOfMemory(_))
    }

    /// An error in a backend's words.
    fn in_words(reason: &str) -> Self {
        // Burn hands on the words of CubeCL's errors and not their kinds: of an allocation that failed, of one larger than
        // any the device makes, of one that found every pool taken, of a launch.
        const WORDS: [&str; 4] =
            ["out of device memory", "can't allocate buffer", "Can't allocate", "out-of-memory"];
        let lines: Vec<&str> = reason.lines().map(str::trim).collect();
        match lines.iter().find(|line| WORDS.iter().any(|words| line.contains(words))) {
            Some(line) => Self::OutOfMemory((*line).to_owned()),
            None => Self::Failed(causes(&lines)),
        }
    }
}

/// The causes that an error names, without where in the backend they came up.
fn causes(lines: &[&str]) -> String {
    let frame = |line: &str| {
        line.starts_with("Backtrace") || line.split_once(": ").is_some_and(|(n, _)| n.parse::<u32>().is_ok())
    };
    let named = lines.iter().take_while(|line| !frame(line));
    let named: Vec<&str> = named.copied().filter(|line| !line.is_empty() && *line != "Caused by:").collect();
    named.join(": ")
}

impl From<TensorReadError> for DeviceError {
    fn from(error: TensorReadError) -> Self {
        Self::in_words(&error.to_string())
    }
}

/// The values of a tensor. What went wrong on the way to it is told here: a device computes after it was asked to.
///
/// # Errors
/// If the device fails.
pub fn read<E: Element, const D: usize, K: Basic>(tensor: Tensor<D, K>) -> Result<Vec<E>, DeviceError> {
    count_read(tensor.dims().iter().product::<usize>() * tensor.dtype().size());
    Ok(tensor.try_into_vec_as()?)
}

/// Waits until a tensor is computed, without reading all of it back.
///
/// # Errors
/// If the device fails.
pub fn computed(tensor: &Tensor<2>) -> Result<(), DeviceError> {
    read::<f32, 1, _>(tensor.clone().sum()).map(drop)
}

/// Hands `items` to `work`, `size` at a time. Where the device is out of memory for so many, which `out_of_memory` knows by
/// the error, the same ones and those after them go half as many at a time, and that is said; once.
///
/// ```
/// use burn::tensor::Device;
/// use std::num::NonZeroUsize;
/// use vigos_devices::{DeviceError, in_chunks};
///
/// let mut done = Vec::new();
/// let work = |part: &[u32]| match part.len() {
///     ..=2 => Ok(done.push(part.to_vec())),
///     _ => Err(DeviceError::OutOfMemory("4 rows".into())),
/// };
/// let size = NonZeroUsize::new(4).unwrap();
/// in_chunks(&[1, 2, 3, 4, 5], size, &Device::flex(), DeviceError::is_out_of_memory, work)?;
/// assert_eq!(done, [vec![1, 2], vec![3, 4], vec![5]]);
/// # Ok::<(), DeviceError>(())
/// ```
///
/// # Errors
/// Of `work`, which must have changed nothing then.
pub fn in_chunks<T, E: std::fmt::Display>(
    items: &[T],
    size: NonZeroUsize,
    device: &Device,
    out_of_memory: fn(&E) -> bool,
    mut work: impl FnMut(&[T]) -> Result<(), E>,
) -> Result<(), E> {
    let (mut size, mut whole, mut rest) = (size.get(), true, items);
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(size.min(rest.len()));
        match work(chunk) {
            Err(error) if whole && chunk.len() > 1 && out_of_memory(&error) => {
                (size, whole) = (chunk.len().div_ceil(2), false);
                tracing::warn!("{error}; {} rows at a time were too many, going on with {size}", chunk.len());
                device.memory_cleanup();
            }
            other => {
                other?;
                rest = after;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of CubeCL 0.11, as Burn hands them on.
    #[test]
    fn out_of_memory_is_told_from_other_failures_and_either_is_told_in_one_line() {
        let failed = |cause: &str| {
            DeviceError::in_words(&format!(
                "An error happened during execution\nCaused by:\n  An IO error happened\nCaused by:\n  {cause}\n   0: frame\n"
            ))
        };
        for words in [
            "out of device memory allocating 4096 bytes",
            "can't allocate buffer of size: 4096",
            "Can't allocate 4096 bytes: every page size the memory tracks still holds live allocations",
            "An out-of-memory error happened during launch",
        ] {
            assert_eq!(failed(words), DeviceError::OutOfMemory(words.into()));
        }
        let lost = failed("The device is poisoned: an illegal address");
        assert_eq!(
            lost.to_string(),
            "the device failed: An error happened during execution: An IO error happened: The device is poisoned: an \
             illegal address"
        );
    }

    /// Chunks of at most `most` items fit; what was done, or the error.
    fn chunked(items: usize, size: usize, most: usize) -> Result<Vec<usize>, DeviceError> {
        let (items, mut done) = (vec![(); items], Vec::new());
        let size = NonZeroUsize::new(size).expect("a size");
        in_chunks(&items, size, &Device::flex(), DeviceError::is_out_of_memory, |part| {
            if part.len() > most {
                return Err(DeviceError::OutOfMemory(format!("{} items", part.len())));
            }
            done.push(part.len());
            Ok(())
        })?;
        Ok(done)
    }

    #[test]
    fn a_chunk_that_is_too_large_is_halved_once_and_nothing_is_left_out() {
        assert_eq!(chunked(10, 4, 4), Ok(vec![4, 4, 2]));
        assert_eq!(chunked(10, 5, 4), Ok(vec![3, 3, 3, 1]));
        assert_eq!(chunked(3, 100, 2), Ok(vec![2, 1]));
        assert_eq!(chunked(0, 4, 0), Ok(vec![]));
        // Half is too much as well, and one item cannot be less.
        assert_eq!(chunked(10, 8, 3), Err(DeviceError::OutOfMemory("4 items".into())));
        assert_eq!(chunked(1, 8, 0), Err(DeviceError::OutOfMemory("1 items".into())));
    }

    #[test]
    fn another_failure_is_not_tried_again() {
        let mut tries = 0;
        let size = NonZeroUsize::new(2).expect("a size");
        let found = in_chunks(&[1, 2, 3], size, &Device::flex(), DeviceError::is_out_of_memory, |_| {
            tries += 1;
            Err(DeviceError::Failed("lost".into()))
        });
        assert_eq!((found, tries), (Err(DeviceError::Failed("lost".into())), 1));
    }
}
