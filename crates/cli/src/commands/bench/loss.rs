//! `vigos bench loss`: the fused loss from logits and from hidden states, against separate Burn operators under
//! autodiff and against what no implementation can do without.

use crate::args::{BenchDirection, BenchLossArgs, BenchPrecision};
use crate::device::Choice;
use crate::error::CliError;
use crate::output;
use burn::tensor::activation::log_softmax;
use burn::tensor::{DType, Device, Distribution, Tensor};
use serde::Serialize;
use std::fmt::Write;
use std::num::NonZeroUsize;
use vigos_bench::measure::{Cost, Meter};
use vigos_kernels::{
    ActiveRow, Direction, RowLoss, SpanKlError, chunk_rows, divergence_linear, on_cpu, span_kl,
};

/// The most values of a tensor: more than any device that this is run on holds.
const LARGEST: usize = 1 << 33;

/// What `--json` writes.
#[derive(Debug, Serialize)]
struct Report {
    device: String,
    rows: usize,
    active: usize,
    vocabulary: usize,
    hidden: usize,
    dtype: &'static str,
    direction: &'static str,
    repeats: usize,
    chunk_rows: usize,
    logits: Logits,
    hidden_states: HiddenStates,
}

/// From the active rows' logits, `[R, V]`.
#[derive(Debug, Serialize)]
struct Logits {
    fused: Cost,
    /// Separate operators under autodiff.
    composed: Cost,
    /// The sum of both models' logits: every logit read, and one tensor written.
    bound: Cost,
    /// Largest difference of the gradients, relative to the largest gradient.
    difference: f64,
}

/// From hidden states, `[N, D]`, and the head, `[V, D]`.
#[derive(Debug, Serialize)]
struct HiddenStates {
    fused: Cost,
    /// Both models' logits whole, and separate operators under autodiff.
    composed: Cost,
    /// The matrix products of the fused loss alone.
    products: Cost,
    /// As above.
    difference: f64,
}

/// Runs the benchmark.
///
/// # Errors
/// If the sizes make no sense or the device has no such precision.
pub(crate) fn run(args: &BenchLossArgs, device: &Device, choice: &Choice) -> Result<(), CliError> {
    let bench = Bench::new(args, device)?;
    let refused = |error: SpanKlError| CliError::Failed(error.to_string());
    let logits = bench.logits().map_err(refused)?;
    let hidden_states = bench.hidden_states().map_err(refused)?;
    let report = Report {
        device: choice.to_string(),
        rows: args.rows,
        active: bench.active,
        vocabulary: args.vocab,
        hidden: args.hidden,
        dtype: args.dtype.name(),
        direction: args.direction.name(),
        repeats: args.repeats.get(),
        chunk_rows: bench.chunk.get(),
        logits,
        hidden_states,
    };
    if args.json { output::json(&report) } else { output::data(report.text().trim_end()) }
}

/// Sizes that make sense, and where to compute.
struct Bench<'a> {
    device: &'a Device,
    on_host: bool,
    precision: DType,
    rows: usize,
    active: usize,
    vocabulary: usize,
    width: usize,
    direction: Direction,
    repeats: usize,
    chunk: NonZeroUsize,
}

impl<'a> Bench<'a> {
    fn new(args: &BenchLossArgs, device: &'a Device) -> Result<Self, CliError> {
        let active = args.active.unwrap_or(args.rows.div_ceil(2));
        if active == 0 || active > args.rows {
            let found = format!("found {active} active rows of {}", args.rows);
            return Err(CliError::input("--active", found, "name at least 1 and at most --rows"));
        }
        if args.vocab == 0 || args.hidden == 0 {
            let found = format!("found a vocabulary of {} and a width of {}", args.vocab, args.hidden);
            return Err(CliError::input("--vocab, --hidden", found, "name numbers above zero"));
        }
        // The largest tensors: logits of the active rows, hidden states, the head.
        let sizes = [(active, args.vocab), (args.rows, args.hidden), (args.vocab, args.hidden)];
        if let Some((a, b)) = sizes.into_iter().find(|(a, b)| a.saturating_mul(*b) > LARGEST) {
            let found = format!("found a tensor of {a} by {b}, wanted at most {LARGEST} values");
            return Err(CliError::input("--rows, --vocab, --hidden", found, "name smaller sizes"));
        }
        let precision = args.dtype.dtype();
        if !device.supports_dtype(precision) {
            let found = format!("the device does not compute in {}", args.dtype.name());
            return Err(CliError::input("--dtype", found, "choose another one, such as f32"));
        }
        let direction = match args.direction {
            BenchDirection::Forward => Direction::Forward,
            BenchDirection::Reverse => Direction::Reverse,
        };
        let on_host = on_cpu(device);
        let chunk = args.chunk.unwrap_or_else(|| chunk_rows(args.vocab, args.chunk_bytes));
        Ok(Self {
            device,
            on_host,
            precision,
            rows: args.rows,
            active,
            vocabulary: args.vocab,
            width: args.hidden,
            direction,
            repeats: args.repeats.get(),
            chunk,
        })
    }

    fn logits(&self) -> Result<Logits, SpanKlError> {
        let shape = [self.active, self.vocabulary];
        let original = self.random(shape, 2.5);
        let teacher = original.clone() + self.random(shape, 0.3);
        let weight = 1.0 / self.active as f64;
        let losses = vec![RowLoss { direction: self.direction, weight, clip: None }; self.active];
        let [mut fused, mut composed, mut bound] = [(); 3].map(|()| self.meter());
        let mut difference = 0.0;
        for _ in 0..self.repeats {
            let slope = composed.run(|| {
                let leaf = Tensor::from_inner(original.clone()).require_grad();
                let loss = self.composition(leaf.clone(), teacher.clone());
                gradient(&leaf, &loss)
            });
            bound.run(|| original.clone() + teacher.clone());
            // The operator overwrites what it alone holds.
            let student = original.clone() * 1.0;
            let found = fused.run(|| span_kl(student, teacher.clone(), &losses, 1.0))?;
            difference = relative(found.gradient, slope);
        }
        Ok(Logits { fused: fused.cost(), composed: composed.cost(), bound: bound.cost(), difference })
    }

    fn hidden_states(&self) -> Result<HiddenStates, SpanKlError> {
        let (student, teacher) =
            (self.random([self.rows, self.width], 1.0), self.random([self.rows, self.width], 1.0));
        let deviation = 2.0 / (self.width as f64).sqrt();
        let head = self.random([self.vocabulary, self.width], deviation);
        let weight = 1.0 / self.active as f64;
        let divergence = self.direction.divergence();
        let active: Vec<ActiveRow> = (0..self.active)
            .map(|i| ActiveRow { student: i, teacher: i, divergence, weight, clip: None })
            .collect();
        let [mut fused, mut composed, mut products] = [(); 3].map(|()| self.meter());
        let mut difference = 0.0;
        for _ in 0..self.repeats {
            products.run(|| self.products(&student, &teacher, &head));
            let chunk = self.chunk;
            let found = fused.run(|| divergence_linear(&student, &teacher, &head, &active, 1.0, chunk))?;
            let slope = composed.run(|| {
                let leaf = Tensor::from_inner(student.clone()).require_grad();
                let logits = |hidden: Tensor<2>, head: Tensor<2>| {
                    hidden.narrow(0, 0, self.active).matmul(head.transpose())
                };
                let teacher = logits(teacher.clone(), head.clone());
                let student = logits(leaf.clone(), Tensor::from_inner(head.clone()));
                gradient(&leaf, &self.composition(student, teacher))
            });
            difference = relative(found.gradient, slope);
        }
        Ok(HiddenStates {
            fused: fused.cost(),
            composed: composed.cost(),
            products: products.cost(),
            difference,
        })
    }

    /// Both models' logits of every chunk, and one product back.
    fn products(&self, student: &Tensor<2>, teacher: &Tensor<2>, head: &Tensor<2>) -> Tensor<2> {
        let mut last = student.clone();
        for first in (0..self.active).step_by(self.chunk.get()) {
            let count = self.chunk.get().min(self.active - first);
            let rows = |hidden: &Tensor<2>| hidden.clone().narrow(0, first, count);
            let stacked = Tensor::cat(vec![rows(student), rows(teacher)], 0);
            let logits = stacked.matmul(head.clone().transpose());
            last = logits.narrow(0, 0, count).matmul(head.clone());
        }
        last
    }

    /// The mean divergence from separate operators; only the student is tracked.
    fn composition(&self, student: Tensor<2>, teacher: Tensor<2>) -> Tensor<1> {
        let log_p = log_softmax(student.cast(DType::F32), 1);
        let log_q = Tensor::from_inner(log_softmax(teacher.cast(DType::F32), 1));
        let kl = match self.direction {
            Direction::Forward => (log_q.clone().exp() * (log_q - log_p)).sum_dim(1),
            Direction::Reverse => (log_p.clone().exp() * (log_p - log_q)).sum_dim(1),
        };
        kl.mean()
    }

    fn random(&self, shape: [usize; 2], deviation: f64) -> Tensor<2> {
        Tensor::random(shape, Distribution::Normal(0.0, deviation), (self.device, self.precision))
    }

    fn meter(&self) -> Meter<'a> {
        Meter::new(self.device, self.on_host)
    }
}

fn gradient(leaf: &Tensor<2>, loss: &Tensor<1>) -> Tensor<2> {
    leaf.grad(&loss.backward()).unwrap_or_else(|| leaf.clone().inner().zeros_like())
}

/// Largest difference relative to the largest value wanted.
fn relative(found: Tensor<2>, wanted: Tensor<2>) -> f64 {
    let (found, wanted) = (found.cast(DType::F32), wanted.cast(DType::F32));
    let largest: f32 = wanted.clone().abs().max().into_scalar();
    let difference: f32 = (found - wanted).abs().max().into_scalar();
    f64::from(difference) / f64::from(largest).max(f64::MIN_POSITIVE)
}

impl BenchPrecision {
    fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F16 => DType::F16,
            Self::Bf16 => DType::BF16,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        }
    }
}

impl BenchDirection {
    fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Reverse => "reverse",
        }
    }
}

impl Report {
    fn text(&self) -> String {
        let Self { logits, hidden_states, .. } = self;
        let mut text = format!(
            "{}, {}, {} of {} rows active, V {}, D {}, {}, the median of {}\n",
            self.device,
            self.dtype,
            self.active,
            self.rows,
            self.vocabulary,
            self.hidden,
            self.direction,
            self.repeats
        );
        let mut section = |title: &str, fused: &Cost, others: [(&str, &Cost); 2], difference: f64| {
            // Writing to a string does not fail.
            let _ = writeln!(text, "\n{title}");
            let _ = writeln!(text, "  {:<28} {}", "fused", line(fused));
            for (name, cost) in others {
                let ratio = cost.seconds / fused.seconds;
                let _ = writeln!(text, "  {name:<28} {}, {ratio:.2} times the fused", line(cost));
            }
            let _ = writeln!(text, "  gradients differ by {difference:.1e} of the largest");
        };
        section(
            "from logits",
            &logits.fused,
            [("separate operators", &logits.composed), ("read both, write one", &logits.bound)],
            logits.difference,
        );
        section(
            &format!("from hidden states, {} rows a chunk", self.chunk_rows),
            &hidden_states.fused,
            [
                ("separate operators", &hidden_states.composed),
                ("its matrix products alone", &hidden_states.products),
            ],
            hidden_states.difference,
        );
        text
    }
}

fn line(cost: &Cost) -> String {
    let memory =
        cost.peak_extra_bytes.map_or(String::new(), |bytes| format!(", {:.1} MB", bytes as f64 / 1e6));
    format!("{:9.3} s{memory}", cost.seconds)
}
