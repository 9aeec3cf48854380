//! What a device can do at its best.

use burn::tensor::{DType, Device, Distribution, Tensor};
use rayon::prelude::*;
use std::hint::black_box;
use std::time::Instant;
use vigos_kernels::project;

/// Bytes that are read to learn how fast that goes: more than caches hold.
const READ: usize = 256 << 20;
/// The same on a device of its own, some of which read no more than 128 MiB of a tensor.
const READ_THERE: usize = 120 << 20;

/// The device's own rates, the best of some tries.
#[derive(Clone, Copy, Debug)]
pub(super) struct Machine {
    /// Operations a second of a product of squares of 1,024 in f32.
    pub(super) operations: f64,
    /// Bytes a second that are read from memory.
    pub(super) bytes: f64,
    on_host: bool,
}

impl Machine {
    /// Measures them; `on_host`: the device computes in the process's own memory.
    pub(super) fn measure(device: &Device, on_host: bool) -> Self {
        let operations = product_rate(device, DType::F32);
        let values = READ / size_of::<u64>();
        let bytes = match on_host {
            true => {
                let memory = vec![1u64; values];
                READ as f64 / best(|| read(&memory))
            }
            false => {
                let tensor = Tensor::<1>::ones([READ_THERE / 4], (device, DType::F32));
                READ_THERE as f64 / best(|| tensor.clone().sum().into_scalar::<f32>())
            }
        };
        Self { operations, bytes, on_host }
    }

    /// Memory of this size, to read as often as something else reads as much; none where it would be the wrong memory.
    pub(super) fn memory(&self, bytes: usize) -> Option<Vec<u64>> {
        self.on_host.then(|| vec![1; bytes / size_of::<u64>()])
    }
}

/// Reads all of it on all cores.
pub(super) fn read(memory: &[u64]) -> u64 {
    // 256 KiB a task: what a core's own cache has room for.
    let sum = |part: &[u64]| part.iter().fold(0u64, |sum, value| sum.wrapping_add(*value));
    black_box(memory.par_chunks(32 << 10).map(sum).reduce(|| 0, u64::wrapping_add))
}

/// Operations a second of a product of squares of 1,024, the best of four.
pub(crate) fn product_rate(device: &Device, dtype: DType) -> f64 {
    let side = 1024;
    let square = || Tensor::<2>::random([side, side], Distribution::Uniform(-1.0, 1.0), (device, dtype));
    let (a, b) = (square(), square());
    let seconds = best(|| {
        let product = project(a.clone(), &b);
        // A lost device shows in what is measured next.
        let _ = device.sync();
        product
    });
    2.0 * (side as f64).powi(3) / seconds
}

/// Seconds of the best of four.
fn best<T>(mut work: impl FnMut() -> T) -> f64 {
    let times = (0..4).map(|_| {
        let begin = Instant::now();
        drop(work());
        begin.elapsed().as_secs_f64()
    });
    times.fold(f64::INFINITY, f64::min)
}
