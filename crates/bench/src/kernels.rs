//! Each operator against the same made of separate ones, and against what the machine can do at all: the rate of a large
//! product, and the rate at which memory is read.
//!
//! Operator and reference are run in turn, and each figure is the median. Random numbers stand for tensors.

mod bench;
mod case;
mod inner;
mod losses;
mod machine;
mod products;
mod report;
mod trained;

pub use bench::Sizes;
pub(crate) use machine::product_rate;
pub use report::{Operator, Report};

use crate::BenchError;
use bench::Bench;
use burn::tensor::Device;
use machine::Machine;
use vigos_kernels::on_cpu;

/// Runs the benchmark on `device`, which the report calls `name`. `done` sees every operator as it is measured.
///
/// # Errors
/// If a size is too large to be tried, or the device fails.
pub fn run(
    sizes: Sizes,
    device: &Device,
    name: &str,
    done: &mut dyn FnMut(&Operator),
) -> Result<Report, BenchError> {
    sizes.check()?;
    let machine = Machine::measure(device, on_cpu(device));
    let mut bench = Bench { device, sizes, machine, operators: Vec::new(), done };
    inner::measure(&mut bench);
    products::measure(&mut bench);
    losses::measure(&mut bench)?;
    trained::measure(&mut bench);
    let (device, repeats, operators) = (name.to_owned(), sizes.repeats.get(), bench.operators);
    Ok(Report::new(device, repeats, machine, operators))
}
