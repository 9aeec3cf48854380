//! The sizes of `vigos bench loss`.

use crate::args::{BenchDirection, BenchLossArgs, BenchPrecision};
use crate::device::Choice;
use crate::error::CliError;
use burn::tensor::{DType, Device};
use vigos_bench::loss::{Sizes, run as measured};
use vigos_kernels::{Direction, chunk_rows};
use vigos_terminal::output;

/// The most values of a tensor: more than any device that this is run on holds.
const LARGEST: usize = 1 << 33;

/// Runs the benchmark.
///
/// # Errors
/// If the sizes make no sense or the device has no such precision.
pub(crate) fn run(args: &BenchLossArgs, device: &Device, choice: &Choice) -> Result<(), CliError> {
    let report = measured(sizes(args, device)?, device, &choice.to_string())
        .map_err(|error| CliError::Failed(error.to_string()))?;
    let written = if args.json { output::json(&report) } else { output::data(report.text().trim_end()) };
    Ok(written?)
}

/// The sizes that were asked for, if they make sense.
fn sizes(args: &BenchLossArgs, device: &Device) -> Result<Sizes, CliError> {
    let (rows, vocabulary, width) = (args.rows, args.vocab, args.hidden);
    let active = args.active.unwrap_or(rows.div_ceil(2));
    if active == 0 || active > rows {
        let found = format!("found {active} active rows of {rows}");
        return Err(CliError::input("--active", found, "name at least 1 and at most --rows"));
    }
    if vocabulary == 0 || width == 0 {
        let found = format!("found a vocabulary of {vocabulary} and a width of {width}");
        return Err(CliError::input("--vocab, --hidden", found, "name numbers above zero"));
    }
    // The largest tensors: logits of the active rows, hidden states, the head.
    let sizes = [(active, vocabulary), (rows, width), (vocabulary, width)];
    if let Some((a, b)) = sizes.into_iter().find(|(a, b)| a.saturating_mul(*b) > LARGEST) {
        let found = format!("found a tensor of {a} by {b}, wanted at most {LARGEST} values");
        return Err(CliError::input("--rows, --vocab, --hidden", found, "name smaller sizes"));
    }
    let (precision, named) = match args.dtype {
        BenchPrecision::F32 => (DType::F32, "f32"),
        BenchPrecision::F16 => (DType::F16, "f16"),
        BenchPrecision::Bf16 => (DType::BF16, "bf16"),
    };
    if !device.supports_dtype(precision) {
        let found = format!("the device does not compute in {named}");
        return Err(CliError::input("--dtype", found, "choose another one, such as f32"));
    }
    let direction = match args.direction {
        BenchDirection::Forward => Direction::Forward,
        BenchDirection::Reverse => Direction::Reverse,
    };
    let chunk = args.chunk.unwrap_or_else(|| chunk_rows(vocabulary, args.chunk_bytes));
    Ok(Sizes { rows, active, vocabulary, width, precision, direction, repeats: args.repeats.get(), chunk })
}
