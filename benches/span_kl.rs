//! The fused loss against separate operators under autodiff, on the CPU and at a size that fits a quick run; `vigos
//! bench loss` measures full sizes.
//!
//! ```text
//! cargo bench -p vigos-kernels --features bench
//! ```

#![allow(missing_docs, reason = "the harness's macros make public items")]

use burn::tensor::activation::log_softmax;
use burn::tensor::{DType, Device, Distribution, Tensor};
use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use std::num::NonZeroUsize;
use vigos_kernels::{ActiveRow, Direction, ForwardKl, RowLoss, divergence_linear, span_kl};

const ROWS: usize = 32;
const VOCABULARY: usize = 32_000;
const WIDTH: usize = 256;

fn logits(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("logits");
    let student = random([ROWS, VOCABULARY], 2.5);
    let teacher = student.clone() + random([ROWS, VOCABULARY], 0.3);
    for direction in [Direction::Forward, Direction::Reverse] {
        let losses = [RowLoss { direction, weight: 1.0 / ROWS as f64, clip: None }; ROWS];
        group.bench_function(BenchmarkId::new("fused", format!("{direction:?}")), |bencher| {
            // A copy for each run: the operator overwrites what it alone holds.
            bencher.iter_batched(
                || student.clone() * 1.0,
                |student| span_kl(student, teacher.clone(), &losses, 1.0),
                BatchSize::PerIteration,
            );
        });
        group.bench_function(BenchmarkId::new("composed", format!("{direction:?}")), |bencher| {
            bencher.iter(|| composed(&student, &teacher, direction));
        });
    }
}

fn hidden_states(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("hidden states");
    let (student, teacher) = (random([ROWS, WIDTH], 1.0), random([ROWS, WIDTH], 1.0));
    let head = random([VOCABULARY, WIDTH], 0.1);
    let row = |i| ActiveRow {
        student: i,
        teacher: i,
        divergence: &ForwardKl,
        weight: 1.0 / ROWS as f64,
        clip: None,
    };
    let active: Vec<ActiveRow> = (0..ROWS).map(row).collect();
    group.bench_function("fused", |bencher| {
        bencher.iter(|| divergence_linear(&student, &teacher, &head, &active, 1.0, NonZeroUsize::MAX));
    });
    group.bench_function("products", |bencher| {
        bencher.iter(|| {
            let stacked = Tensor::cat(vec![student.clone(), teacher.clone()], 0);
            stacked.matmul(head.clone().transpose()).narrow(0, 0, ROWS).matmul(head.clone())
        });
    });
}

/// The gradient of the mean divergence from separate operators.
fn composed(student: &Tensor<2>, teacher: &Tensor<2>, direction: Direction) -> Option<Tensor<2>> {
    let leaf = Tensor::from_inner(student.clone()).require_grad();
    let log_p = log_softmax(leaf.clone(), 1);
    let log_q = Tensor::from_inner(log_softmax(teacher.clone(), 1));
    let kl = match direction {
        Direction::Forward => (log_q.clone().exp() * (log_q - log_p)).sum_dim(1),
        Direction::Reverse => (log_p.clone().exp() * (log_p - log_q)).sum_dim(1),
    };
    leaf.grad(&kl.mean().backward())
}

fn random(shape: [usize; 2], deviation: f64) -> Tensor<2> {
    Tensor::random(shape, Distribution::Normal(0.0, deviation), (&Device::flex(), DType::F32))
}

criterion_group!(benches, logits, hidden_states);
criterion_main!(benches);
