//! Memory that grows from step to step, which ends a long run in its midst unless someone is told.
//!
//! What a step takes depends on its samples, so steps are looked at in windows, by the least that was taken between them:
//! that goes up and stays up only where something is kept.

use burn::tensor::Device;
use vigos_core::host::resident_memory;

/// Steps of a window.
const STEPS: usize = 32;
/// Windows, each of which ends above the one before. The very first is left out: everything is new in it.
const WINDOWS: usize = 4;
/// Less than this over all of them is no reason to worry.
const LEAST: u64 = 256 << 20;

/// Sees the memory of the process and of the device after every step.
#[derive(Default)]
pub struct Growth {
    process: Windows,
    device: Windows,
}

impl Growth {
    /// What there is to say after step `step`: once of either memory.
    pub fn after(&mut self, step: usize, device: &Device) -> Vec<String> {
        let on_device = device.memory_pool_usage().map(|usage| usage.bytes_in_use);
        let both = [
            ("the process", self.process.grown(resident_memory())),
            ("the device", self.device.grown(on_device)),
        ];
        let said = both.into_iter().filter_map(|(whose, grown)| Some((whose, grown?)));
        said.map(|(whose, [from, to])| sentence(step, whose, from, to)).collect()
    }
}

fn sentence(step: usize, whose: &str, from: u64, to: u64) -> String {
    let gigabytes = |bytes: u64| bytes as f64 / 1e9;
    format!(
        "step {step}: the memory of {whose} has grown from {:.2} to {:.2} GB over {} steps and does not come down; what \
         is saved can be gone on with in a new process",
        gigabytes(from),
        gigabytes(to),
        (WINDOWS - 1) * STEPS
    )
}

/// One memory, window by window.
#[derive(Default)]
struct Windows {
    /// Steps seen.
    steps: usize,
    /// The least of the window so far.
    least: Option<u64>,
    /// That of windows before, the latest last.
    before: Vec<u64>,
    told: bool,
}

impl Windows {
    /// The least of the first and of the last window if it has grown all the way, once.
    fn grown(&mut self, bytes: Option<u64>) -> Option<[u64; 2]> {
        let bytes = bytes?;
        self.least = Some(self.least.map_or(bytes, |least| least.min(bytes)));
        self.steps += 1;
        if !self.steps.is_multiple_of(STEPS) {
            return None;
        }
        let least = self.least.take()?;
        if self.steps > STEPS {
            self.before.push(least);
        }
        let [first, .., last] = *self.before.get(self.before.len().checked_sub(WINDOWS)?..)? else {
            return None;
        };
        let rises = self.before[self.before.len() - WINDOWS..].is_sorted_by(|a, b| a < b);
        let grown = rises && last - first >= LEAST && !self.told;
        self.told |= grown;
        grown.then_some([first, last])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The steps after which something is said of a memory.
    fn said(memory: impl Fn(u64) -> u64) -> Vec<u64> {
        let mut windows = Windows::default();
        (1..=1_000).filter(|step| windows.grown(Some(memory(*step))).is_some()).collect()
    }

    #[test]
    fn memory_that_is_kept_is_told_once_and_memory_that_comes_and_goes_never() {
        let megabyte = 1 << 20;
        // 8 MB a step, below steps that take more or less.
        assert_eq!(said(|step| (8 * step + 900 * (step % 3)) * megabyte), [160_u64]);
        assert_eq!(said(|step| (1_000 + 900 * (step % 7)) * megabyte), [0_u64; 0]);
        // Everything is there after some steps.
        assert_eq!(said(|step| 100 * step.min(30) * megabyte), [0_u64; 0]);
        // A little is kept: an allocator's own.
        assert_eq!(said(|step| (4_000 + step / 16) * megabyte), [0_u64; 0]);
    }

    #[test]
    fn a_memory_that_is_not_known_is_nothing_to_talk_of() {
        let mut windows = Windows::default();
        assert!((0..500).all(|_| windows.grown(None).is_none()));
        assert!(sentence(160, "the device", 1_000_000_000, 2_000_000_000).contains("1.00 to 2.00 GB"));
    }
}
