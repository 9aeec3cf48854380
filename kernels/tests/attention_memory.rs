//! The memory of attention under autodiff on a CubeCL runtime grows with the length and not with its square. A process of its
//! own: others would take memory from the same pools.
#![cfg(feature = "wgpu")]
#![allow(clippy::unwrap_used)]

use burn::tensor::{DType, Device, DeviceKind, Tensor};
use vigos_kernels::{Segments, attention};

/// What the device's pools have taken after attention over so many tokens, forward and back.
fn after(device: &Device, length: usize) -> u64 {
    let leaf = |heads| {
        let values = Tensor::<3>::ones([length, heads, 8], (device, DType::F32));
        Tensor::from_inner(values).require_grad()
    };
    let (query, key, value) = (leaf(2), leaf(1), leaf(1));
    let output = attention(query.clone(), key, value, &Segments::new([length]), true);
    let gradients = output.sum().backward();
    query.grad(&gradients).unwrap().sum().try_into_vec_as::<f32>().unwrap();
    device.memory_pool_usage().unwrap().bytes_reserved
}

#[test]
fn it_grows_with_the_length() {
    let device = Device::wgpu(DeviceKind::DefaultDevice);
    let taken = [512, 1024, 2048, 4096].map(|length| after(&device, length));
    // 4,096 rows of eight channels are 0.4 MB in all that is kept of them; their scores would be 134 MB.
    assert!(taken[3] - taken[0] < 16 << 20, "{taken:?}");
}
