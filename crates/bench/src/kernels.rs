//! Each operator against the same made of separate ones, and against what the machine can do at all: the rate of a large
//! product, and the rate at which memory is read.
//!
//! Operator and reference are run in turn, and each figure is the median. Random numbers stand for tensors.

mod inner;
mod losses;
mod machine;
mod products;
mod report;
mod trained;

pub(crate) use machine::product_rate;
pub use report::{Operator, Report};

use crate::measure::Meter;
use burn::tensor::{DType, Device, Distribution, Tensor};
use machine::Machine;
use std::num::NonZeroUsize;
use vigos_kernels::{SpanKlError, on_cpu};

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

/// Runs the benchmark on `device`, which the report calls `name`. `done` sees every operator as it is measured.
///
/// # Errors
/// If the device fails.
pub fn run(
    sizes: Sizes,
    device: &Device,
    name: &str,
    done: &mut dyn FnMut(&Operator),
) -> Result<Report, SpanKlError> {
    let machine = Machine::measure(device, on_cpu(device));
    let mut bench = Bench { device, sizes, machine, operators: Vec::new(), done };
    inner::measure(&mut bench);
    products::measure(&mut bench);
    losses::measure(&mut bench)?;
    trained::measure(&mut bench);
    let (device, repeats, operators) = (name.to_owned(), sizes.repeats.get(), bench.operators);
    Ok(Report::new(device, repeats, machine, operators))
}

/// The operators so far, and what the next ones need.
struct Bench<'a> {
    device: &'a Device,
    sizes: Sizes,
    machine: Machine,
    operators: Vec<Operator>,
    done: &'a mut dyn FnMut(&Operator),
}

/// What is measured.
struct Case {
    name: &'static str,
    pass: Pass,
    shape: Vec<usize>,
    dtype: &'static str,
    work: Work,
}

/// The least that any implementation does.
#[derive(Clone, Copy, Debug)]
struct Work {
    /// Multiplications and additions.
    operations: f64,
    /// Bytes read and written.
    bytes: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pass {
    Forward,
    Backward,
}

/// An operator on some matrices.
type Function<'a> = &'a dyn Fn(&[Tensor<2>]) -> Tensor<2>;

impl Bench<'_> {
    /// Random values in f32.
    fn random(&self, rows: usize, columns: usize) -> Tensor<2> {
        let normal = Distribution::Normal(0.0, 1.0);
        Tensor::random([rows, columns], normal, (self.device, DType::F32))
    }

    /// Measures `operator` and `reference`, run in turn.
    fn compare<T, R>(
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

    fn add(&mut self, case: Case, seconds: f64, reference_seconds: f64) {
        let operator = Operator::new(case, seconds, reference_seconds, &self.machine);
        (self.done)(&operator);
        self.operators.push(operator);
    }

    /// Measures a differentiable operator both ways: `works` of the forward and of the backward.
    fn both_ways(
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

/// What moves this many values of f32 and does nothing worth counting.
fn moving(values: usize) -> Work {
    Work { operations: 0.0, bytes: 4.0 * values as f64 }
}
