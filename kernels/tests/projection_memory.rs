//! A product with a frozen bf16 weight makes no copy of it, in one process of its own.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used)] // In helpers too.

use burn::tensor::{DType, Device, Tensor};
use vigos_kernels::{project, project_back};

/// As wide as the head of a 3B model and an eighth as long: 76 MiB, of which an f32 copy would take 152.
const WEIGHT: [usize; 2] = [19_000, 2048];
const MEBIBYTE: usize = 1 << 20;

/// A line of the process's status, in bytes.
fn status(key: &str) -> usize {
    let text = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(key)).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse::<usize>().unwrap() * 1024
}

#[test]
fn no_product_copies_the_weight() {
    let weight = Tensor::<2>::ones(WEIGHT, (&Device::flex(), DType::BF16));
    let x = Tensor::<2>::ones([1, WEIGHT[1]], (&Device::flex(), DType::BF16));
    let before = status("VmRSS:");
    // The peak begins anew.
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let y = project(x, &weight);
    assert_eq!(project_back(y, &weight).dims(), [1, WEIGHT[1]]);
    let grown = status("VmHWM:").saturating_sub(before);
    assert!(grown < 48 * MEBIBYTE, "grew by {} MiB", grown / MEBIBYTE);
}
