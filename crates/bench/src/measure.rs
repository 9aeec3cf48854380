//! Seconds and bytes of one piece of work.

use burn::tensor::Device;
use serde::Serialize;
use std::time::Instant;
use vigos_core::host::{peak_memory, resident_memory};

/// What some runs of the same work took.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Cost {
    /// Wall-clock time, the median of all runs.
    pub seconds: f64,
    /// Memory that the process took beyond what it held before, the largest of all runs. None where the system
    /// does not tell, or the device has memory of its own.
    pub peak_extra_bytes: Option<u64>,
}

/// Runs of the same work, taken one at a time.
#[derive(Debug)]
pub struct Meter<'a> {
    device: &'a Device,
    /// Whether the device computes in the process's own memory.
    on_host: bool,
    seconds: Vec<f64>,
    bytes: Vec<u64>,
}

impl<'a> Meter<'a> {
    /// Nothing has been run yet. `on_host`: the device computes in the process's own memory.
    pub fn new(device: &'a Device, on_host: bool) -> Self {
        Self { device, on_host, seconds: Vec::new(), bytes: Vec::new() }
    }

    /// Runs the work once, to its end on the device.
    pub fn run<T>(&mut self, work: impl FnOnce() -> T) -> T {
        // A lost device shows in the work's own result.
        let _ = self.device.sync();
        let before = self.on_host.then(resident_memory).flatten();
        // Linux: the peak begins anew.
        let reset = before.is_some() && std::fs::write("/proc/self/clear_refs", "5").is_ok();
        let begin = Instant::now();
        let result = work();
        let _ = self.device.sync();
        self.seconds.push(begin.elapsed().as_secs_f64());
        if let (true, Some(before), Some(peak)) = (reset, before, peak_memory()) {
            self.bytes.push(peak.saturating_sub(before));
        }
        result
    }

    /// What the runs took.
    pub fn cost(mut self) -> Cost {
        self.seconds.sort_by(f64::total_cmp);
        let seconds = self.seconds.get(self.seconds.len() / 2).copied().unwrap_or(f64::NAN);
        Cost { seconds, peak_extra_bytes: self.bytes.into_iter().max() }
    }
}
