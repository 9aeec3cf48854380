//! The fused loss from logits and from hidden states, against separate Burn operators under autodiff and against what no
//! implementation can do without.

use crate::measure::{Cost, Meter};
use burn::tensor::activation::log_softmax;
use burn::tensor::{DType, Device, Distribution, Tensor};
use serde::Serialize;
use std::fmt::Write;
use std::num::NonZeroUsize;
use vigos_kernels::{ActiveRow, Direction, RowLoss, SpanKlError, divergence_linear, on_cpu, span_kl};

/// The sizes, and how it is computed.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Rows of hidden states.
    pub rows: usize,
    /// Rows that the loss reads, the first ones.
    pub active: usize,
    /// Tokens of the vocabulary.
    pub vocabulary: usize,
    /// Width of the hidden states.
    pub width: usize,
    /// Number format of logits and hidden states.
    pub precision: DType,
    /// Direction of the divergence.
    pub direction: Direction,
    /// How often each is run.
    pub repeats: usize,
    /// Rows of logits that may exist at a time.
    pub chunk: NonZeroUsize,
}

/// What `--json` writes.
#[derive(Debug, Serialize)]
pub struct Report {
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

/// Runs the benchmark on `device`, which reports call `name`.
///
/// # Errors
/// If the device fails.
pub fn run(sizes: Sizes, device: &Device, name: &str) -> Result<Report, SpanKlError> {
    let bench = Bench { device, on_host: on_cpu(device), sizes };
    let (logits, hidden_states) = (bench.logits()?, bench.hidden_states()?);
    let Sizes { rows, active, vocabulary, width, precision, direction, repeats, chunk } = sizes;
    let dtype = match precision {
        DType::F16 => "f16",
        DType::BF16 => "bf16",
        _ => "f32",
    };
    let direction = match direction {
        Direction::Forward => "forward",
        Direction::Reverse => "reverse",
    };
    let (device, chunk_rows, hidden) = (name.to_owned(), chunk.get(), width);
    Ok(Report {
        device,
        rows,
        active,
        vocabulary,
        hidden,
        dtype,
        direction,
        repeats,
        chunk_rows,
        logits,
        hidden_states,
    })
}

/// Sizes, and where to compute.
struct Bench<'a> {
    device: &'a Device,
    on_host: bool,
    sizes: Sizes,
}

impl<'a> Bench<'a> {
    fn logits(&self) -> Result<Logits, SpanKlError> {
        let shape = [self.sizes.active, self.sizes.vocabulary];
        let original = self.random(shape, 2.5);
        let teacher = original.clone() + self.random(shape, 0.3);
        let weight = 1.0 / self.sizes.active as f64;
        let losses = vec![RowLoss { direction: self.sizes.direction, weight, clip: None }; self.sizes.active];
        let [mut fused, mut composed, mut bound] = [(); 3].map(|()| self.meter());
        let mut difference = 0.0;
        for _ in 0..self.sizes.repeats {
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
        let (student, teacher) = (
            self.random([self.sizes.rows, self.sizes.width], 1.0),
            self.random([self.sizes.rows, self.sizes.width], 1.0),
        );
        let deviation = 2.0 / (self.sizes.width as f64).sqrt();
        let head = self.random([self.sizes.vocabulary, self.sizes.width], deviation);
        let weight = 1.0 / self.sizes.active as f64;
        let divergence = self.sizes.direction.divergence();
        let active: Vec<ActiveRow> = (0..self.sizes.active)
            .map(|i| ActiveRow { student: i, teacher: i, divergence, weight, clip: None })
            .collect();
        let [mut fused, mut composed, mut products] = [(); 3].map(|()| self.meter());
        let mut difference = 0.0;
        for _ in 0..self.sizes.repeats {
            products.run(|| self.products(&student, &teacher, &head));
            let chunk = self.sizes.chunk;
            let found = fused.run(|| divergence_linear(&student, &teacher, &head, &active, 1.0, chunk))?;
            let slope = composed.run(|| {
                let leaf = Tensor::from_inner(student.clone()).require_grad();
                let logits = |hidden: Tensor<2>, head: Tensor<2>| {
                    hidden.narrow(0, 0, self.sizes.active).matmul(head.transpose())
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
        for first in (0..self.sizes.active).step_by(self.sizes.chunk.get()) {
            let count = self.sizes.chunk.get().min(self.sizes.active - first);
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
        let kl = match self.sizes.direction {
            Direction::Forward => (log_q.clone().exp() * (log_q - log_p)).sum_dim(1),
            Direction::Reverse => (log_p.clone().exp() * (log_p - log_q)).sum_dim(1),
        };
        kl.mean()
    }

    fn random(&self, shape: [usize; 2], deviation: f64) -> Tensor<2> {
        Tensor::random(shape, Distribution::Normal(0.0, deviation), (self.device, self.sizes.precision))
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

impl Report {
    /// The report for people.
    pub fn text(&self) -> String {
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
