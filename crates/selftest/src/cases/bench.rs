//! Where checks are made, and how far off numbers may be.

use crate::check::{Bounds, Check};
use crate::operators::Operators;
use burn::tensor::Device;

/// Sums of products in f32. TF32 and f16 keep 11 bits of a factor, which over these sizes comes to some 4e-4 of the
/// largest value, bf16 to some 3e-3.
pub(super) const PRODUCTS: Bounds = Bounds { exact: 5e-5, reduced: 1e-2 };
/// Elementary functions and short sums in f32, whose precision nothing has a reason to reduce.
pub(super) const ROUNDING: Bounds = Bounds { exact: 2e-5, reduced: 2e-5 };

/// What is checked, where, and what came of it so far.
pub(super) struct Cases<'a> {
    pub(super) own: &'a dyn Operators,
    pub(super) device: &'a Device,
    pub(super) checks: Vec<Check>,
}

impl Cases<'_> {
    /// Runs a check, which gives its largest error.
    pub(super) fn check(&mut self, name: &str, bounds: Bounds, work: impl FnOnce() -> Result<f64, String>) {
        self.checks.push(Check::run(name, bounds, work));
    }
}
