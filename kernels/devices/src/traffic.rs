//! What goes between host and device, counted: a device waits for none of it, or for all of it.

use burn::tensor::kind::Basic;
use burn::tensor::{DType, Device, Tensor, TensorData};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// What the whole process sent, launched and read during some work.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Kernels launched, by name; none where the backend does not say, as the CPU's.
    pub launches: BTreeMap<&'static str, u64>,
    /// Times that numbers were sent to the device, weights of a model aside.
    pub uploads: u64,
    /// Their bytes.
    pub uploaded_bytes: u64,
    /// Times that numbers were read back, for which the host waits.
    pub reads: u64,
    /// Their bytes.
    pub read_bytes: u64,
}

static UPLOADS: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];
static READS: [AtomicU64; 2] = [AtomicU64::new(0), AtomicU64::new(0)];

fn count(what: &[AtomicU64; 2], bytes: usize) {
    what[0].fetch_add(1, Ordering::Relaxed);
    what[1].fetch_add(bytes as u64, Ordering::Relaxed);
}

/// Counts numbers that were sent in another way than by [`send`].
pub fn count_upload(bytes: usize) {
    count(&UPLOADS, bytes);
}

pub(crate) fn count_read(bytes: usize) {
    count(&READS, bytes);
}

/// Numbers of the host as a tensor on a device.
pub fn send<const D: usize, K: Basic>(data: TensorData, device: &Device, dtype: DType) -> Tensor<D, K> {
    count_upload(data.num_elements() * dtype.size());
    Tensor::from_data(data, (device, dtype))
}

/// Does the work and says what went to and fro meanwhile. Work of other threads counts as well.
pub fn counted<T>(work: impl FnOnce() -> T) -> (T, Traffic) {
    let now = || [&UPLOADS, &READS].map(|what| [0, 1].map(|i: usize| what[i].load(Ordering::Relaxed)));
    let [uploads, reads] = now();
    #[cfg(feature = "cube")]
    let launches = crate::launches::Launches::watch();
    let done = work();
    let [uploads_now, reads_now] = now();
    let traffic = Traffic {
        #[cfg(feature = "cube")]
        launches: launches.so_far(),
        #[cfg(not(feature = "cube"))]
        launches: BTreeMap::new(),
        uploads: uploads_now[0] - uploads[0],
        uploaded_bytes: uploads_now[1] - uploads[1],
        reads: reads_now[0] - reads[0],
        read_bytes: reads_now[1] - reads[1],
    };
    (done, traffic)
}

impl Traffic {
    /// Kernels launched.
    pub fn launched(&self) -> u64 {
        self.launches.values().sum()
    }
}
