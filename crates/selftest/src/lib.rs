//! Whether a device computes what it should, found out in seconds before hours are given to it.
//!
//! [`operators`] holds every operator of a step against f64 on the host, forward and backward. [`steps`] runs a whole
//! training step and a greedy completion of a tiny model of each family and holds them against what PyTorch and
//! Transformers came to, which is part of this program. Neither compares a device with itself, so whatever stands between
//! an operator and its number is checked with it: fusion, the kernel that was chosen by trial, the precision of its
//! products.
//!
//! A difference is told apart by its size: [`Verdict::Reduced`] is what products in TF32 or f16 come to, [`Verdict::Wrong`]
//! is beyond every rounding. [`remembered`] keeps that a device passed, until the device, its driver or the program
//! changes.
//!
//! [`Operators`] is what is checked; a test checks others, which are wrong on purpose.

mod cache;
mod cases;
mod check;
mod gate;
mod golden;
mod host;
mod numbers;
mod operators;
mod report;

pub use cache::{Remembered, remember, remembered};
pub use check::{Check, Verdict};
pub use gate::{Subject, Unsound};
pub use golden::steps;
pub use operators::{Operators, Own};
pub use report::{Build, Report};

use burn::tensor::Device;

/// Every operator on a device against f64, in the order of a step.
pub fn operators(own: &dyn Operators, device: &Device) -> Vec<Check> {
    cases::all(own, device)
}
