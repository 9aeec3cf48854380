//! Every check of an operator.

mod attention;
mod both_ways;
mod inner;
mod losses;
mod neighbours;
mod products;

use crate::check::{Bounds, Check};
use crate::operators::Operators;
use burn::tensor::Device;

/// Sums of products in f32. TF32 and f16 keep 11 bits of a factor, which over these sizes comes to some 4e-4 of the
/// largest value, bf16 to some 3e-3.
const PRODUCTS: Bounds = Bounds { exact: 5e-5, reduced: 1e-2 };
/// Elementary functions and short sums in f32, whose precision nothing has a reason to reduce.
const ROUNDING: Bounds = Bounds { exact: 2e-5, reduced: 2e-5 };

/// What is checked, where, and what came of it so far.
pub(super) struct Cases<'a> {
    pub(super) own: &'a dyn Operators,
    pub(super) device: &'a Device,
    pub(super) checks: Vec<Check>,
}

impl Cases<'_> {
    /// Runs a check, which gives its largest error.
    fn check(&mut self, name: &str, bounds: Bounds, work: impl FnOnce() -> Result<f64, String>) {
        self.checks.push(Check::run(name, bounds, work));
    }
}

/// Runs every check, in the order of a step.
pub(crate) fn all(own: &dyn Operators, device: &Device) -> Vec<Check> {
    let mut cases = Cases { own, device, checks: Vec::new() };
    products::check(&mut cases);
    inner::check(&mut cases);
    attention::check(&mut cases);
    losses::check(&mut cases);
    neighbours::check(&mut cases);
    cases.checks
}
