//! Measuring operators beside their references.

use super::case::{Case, Pass, Work};
use super::machine::Machine;
use super::report::Operator;
use crate::BenchError;
use crate::measure::Meter;
use burn::tensor::{DType, Device, Distribution, Tensor};
use std::num::NonZeroUsize;

/// The sizes.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Rows where there are many: tokens of a packed batch.
    pub rows: NonZeroUsize,
    /// Width of the hidden states.
    pub width: NonZeroUsize,
    /// Width of the MLP, and outputs of a product.
    pub inner: NonZeroUsize,
    /// Tokens of the vocabulary.
    pub vocabulary: NonZeroUsize,
    /// How often each is run, after a first time that does not count.
    pub repeats: NonZeroUsize,
}

impl Sizes {
    /// Refuses sizes of which one tensor would have more than 2³¹ values.
    ///
    /// # Errors
    /// The first size that is too large.
    pub(super) fn check(&self) -> Result<(), BenchError> {
        const MOST: usize = 1 << 31;
        let (rows, hidden) = (("the rows", self.rows), ("the hidden", self.width));
        let (inner, vocab) = (("the inner", self.inner), ("the vocab", self.vocabulary));
        for pair in [[rows, hidden], [hidden, inner], [inner, rows], [vocab, rows], [vocab, hidden]] {
            // The larger one is the one to be blamed.
            let [(what, size), (_, other)] = if pair[0].1 < pair[1].1 { [pair[1], pair[0]] } else { pair };
            if size.saturating_mul(other).get() > MOST {
                let wanted = format!("at most {} beside {other}", MOST / other);
                return Err(BenchError::Size { what, found: size.to_string(), wanted });
            }
        }
        Ok(())
    }
}

/// The operators so far, and what the next ones need.
pub(super) struct Bench<'a> {
    pub(super) device: &'a Device,
    pub(super) sizes: Sizes,
    pub(super) machine: Machine,
    pub(super) operators: Vec<Operator>,
    pub(super) done: &'a mut dyn FnMut(&Operator),
}

/// An operator on some matrices.
pub(super) type Function<'a> = &'a dyn Fn(&[Tensor<2>]) -> Tensor<2>;

impl Bench<'_> {
    /// Random values in f32.
    pub(super) fn random(&self, rows: usize, columns: usize) -> Tensor<2> {
        let normal = Distribution::Normal(0.0, 1.0);
        Tensor::random([rows, columns], normal, (self.device, DType::F32))
    }

    /// Measures `operator` and `reference`, run in turn.
    pub(super) fn compare<T, R>(
        &mut self,
        case: Case,
        mut operator: impl FnMut() -> T,
        mut reference: impl FnMut() -> R,
    ) {
        let [mut fused, mut composed] = [(); 2].map(|()| Meter::new(self.device, false));
        drop((operator(), reference()));
        for _ in 0..self.sizes.repeats.get() {
            drop(fused.run(&mut operator));
            drop(composed.run(&mut reference));
        }
        self.add(case, fused.cost().seconds, composed.cost().seconds);
    }

    pub(super) fn add(&mut self, case: Case, seconds: f64, reference_seconds: f64) {
        let operator = Operator::new(case, seconds, reference_seconds, &self.machine);
        (self.done)(&operator);
        self.operators.push(operator);
    }

    /// Measures a differentiable operator both ways: `works` of the forward and of the backward.
    pub(super) fn both_ways(
        &mut self,
        name: &'static str,
        dtype: &'static str,
        shape: &[usize],
        works: [Work; 2],
        inputs: &[Tensor<2>],
        [operator, reference]: [Function; 2],
    ) {
        let case = |pass, work| Case { name, pass, shape: shape.to_vec(), dtype, work };
        self.compare(case(Pass::Forward, works[0]), || operator(inputs), || reference(inputs));
        let [mut fused, mut composed] = [(); 2].map(|()| Meter::new(self.device, false));
        for repeat in 0..=self.sizes.repeats.get() {
            for (meter, function) in [(&mut fused, operator), (&mut composed, reference)] {
                let leaves: Vec<Tensor<2>> =
                    inputs.iter().map(|x| Tensor::from_inner(x.clone()).require_grad()).collect();
                let sum = function(&leaves).sum();
                // The first time does not count.
                match repeat {
                    0 => drop(sum.backward()),
                    _ => drop(meter.run(|| sum.backward())),
                }
            }
        }
        self.add(case(Pass::Backward, works[1]), fused.cost().seconds, composed.cost().seconds);
    }
}
