//! What the benchmark of the operators writes.

use super::case::{Case, Pass};
use super::machine::Machine;
use serde::Serialize;
use std::fmt::{self, Display, Write};

/// What `--json` writes.
#[derive(Debug, Serialize)]
pub struct Report {
    device: String,
    repeats: usize,
    /// Of a product of squares of 1,024 in f32.
    operations_per_second: f64,
    /// Of memory that is read.
    bytes_per_second: f64,
    operators: Vec<Operator>,
}

/// What one operator took.
#[derive(Debug, Serialize)]
pub struct Operator {
    name: &'static str,
    /// "forward" or "backward"
    pass: &'static str,
    /// Its sizes; docs/performance.md says which.
    shape: Vec<usize>,
    /// Of a product, what the weight is kept in.
    dtype: &'static str,
    seconds: f64,
    /// The same made of separate operators.
    reference_seconds: f64,
    /// The least time that the work takes at the machine's rates, by the time that it took.
    share_of_peak: f64,
    /// Which of the rates that is: "operations" or "bytes".
    peak: &'static str,
}

impl Operator {
    pub(super) fn new(case: Case, seconds: f64, reference_seconds: f64, machine: &Machine) -> Self {
        let Case { name, pass, shape, dtype, work } = case;
        let pass = match pass {
            Pass::Forward => "forward",
            Pass::Backward => "backward",
        };
        let least = [work.operations / machine.operations, work.bytes / machine.bytes];
        let peak = if least[0] > least[1] { "operations" } else { "bytes" };
        let share_of_peak = least[0].max(least[1]) / seconds;
        Self { name, pass, shape, dtype, seconds, reference_seconds, share_of_peak, peak }
    }
}

impl Display for Operator {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shape: Vec<String> = self.shape.iter().map(usize::to_string).collect();
        write!(
            out,
            "{:<16} {:<8} {:<20} {:<5} {:>10.3} ms {:>10.3} ms {:>6.2} x {:>5.0} % of {}",
            self.name,
            self.pass,
            shape.join(" x "),
            self.dtype,
            1e3 * self.seconds,
            1e3 * self.reference_seconds,
            self.reference_seconds / self.seconds,
            100.0 * self.share_of_peak,
            self.peak
        )
    }
}

impl Report {
    pub(super) fn new(device: String, repeats: usize, machine: Machine, operators: Vec<Operator>) -> Self {
        let Machine { operations, bytes, .. } = machine;
        Self { device, repeats, operations_per_second: operations, bytes_per_second: bytes, operators }
    }

    /// The report for people.
    pub fn text(&self) -> String {
        let mut text = format!(
            "{}, the median of {}; at its best {:.1} G operations and {:.1} GB read a second\n\
             {:<16} {:<8} {:<20} {:<5} {:>13} {:>13} {:>8} share of the machine's best\n",
            self.device,
            self.repeats,
            self.operations_per_second / 1e9,
            self.bytes_per_second / 1e9,
            "operator",
            "pass",
            "shape",
            "dtype",
            "fused",
            "separate",
            "ratio"
        );
        for operator in &self.operators {
            // Writing to a string does not fail.
            let _ = writeln!(text, "{operator}");
        }
        text
    }
}
