//! Every check of an operator.

mod attention;
mod bench;
mod both_ways;
mod inner;
mod losses;
mod neighbours;
mod products;

use crate::check::Check;
use crate::operators::Operators;
use bench::Cases;
use burn::tensor::Device;

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
