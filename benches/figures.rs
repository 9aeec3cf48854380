//! The span KL at full size against separate operators under autodiff and against the memory's speed, once each
//! in one process: the figures of `docs/kernel.md`.
//!
//! ```text
//! cargo bench -p vigos-kernels --bench figures [-- ROWS]
//! ```

#![allow(clippy::print_stdout, reason = "a report is what this is for")]

use burn::tensor::activation::log_softmax;
use burn::tensor::{DType, Device, Distribution, Tensor};
use std::time::Instant;
use vigos_kernels::{ActiveRow, Direction, RowLoss, chunk_rows, span_kl, span_kl_linear};

const VOCABULARY: usize = 151_936;
const WIDTH: usize = 2048;

fn main() {
    let rows = std::env::args().filter_map(|a| a.parse().ok()).next().unwrap_or(1024);
    println!("V = {VOCABULARY}, {rows} active rows, f32");
    let bytes = (rows * VOCABULARY * size_of::<f32>()) as f64;
    for direction in [Direction::Forward, Direction::Reverse] {
        logits(rows, direction, bytes);
    }
    hidden(rows.min(chunk_rows(VOCABULARY, 256 << 20)));
}

/// From logits: fused against composed, and against two reads and one write.
fn logits(rows: usize, direction: Direction, bytes: f64) {
    let student = random(rows, VOCABULARY, 2.5);
    let teacher = student.clone() + random(rows, VOCABULARY, 0.3);
    let losses = vec![RowLoss { direction, weight: 1.0 / rows as f64, clip: None }; rows];

    // The composition first, on the tensors that the fused operator then overwrites.
    let ((composed, composed_gradient), composed_memory) = measured(|| {
        let begin = Instant::now();
        let gradient = composition(student.clone(), teacher.clone(), direction);
        (begin.elapsed().as_secs_f64(), gradient)
    });
    let largest = composed_gradient.clone().abs().max().into_scalar::<f32>();
    let (copy, _) = timed(|| {
        // Reads both, writes one: what the operator cannot do without.
        let sum = student.clone() + teacher.clone();
        sum.dims()
    });
    // The first call starts the threads and maps no memory: measure the second.
    span_kl(student.clone().narrow(0, 0, 1), teacher.clone().narrow(0, 0, 1), &losses[..1], 1.0);
    let ((fused, result), memory) = measured(move || timed(|| span_kl(student, teacher, &losses, 1.0)));
    let error = (result.gradient - composed_gradient).abs().max().into_scalar::<f32>() / largest;
    println!("{direction:?} from logits");
    println!(
        "  composed, autodiff {composed:8.3} s, peak extra memory {:5.2} tensors",
        composed_memory / bytes
    );
    println!("  fused              {fused:8.3} s, peak extra memory {:5.2} tensors", memory / bytes);
    println!("  two reads, a write {copy:8.3} s");
    println!("  composed / fused   {:8.1}", composed / fused);
    println!("  fused / bound      {:8.2}", fused / copy);
    println!("  gradients differ by {error:.1e} of the largest");
}

/// The gradient of the mean divergence from separate operators.
fn composition(student: Tensor<2>, teacher: Tensor<2>, direction: Direction) -> Tensor<2> {
    let leaf = Tensor::from_inner(student).require_grad();
    let log_p = log_softmax(leaf.clone(), 1);
    let log_q = Tensor::from_inner(log_softmax(teacher, 1));
    let kl = match direction {
        Direction::Forward => (log_q.clone().exp() * (log_q - log_p)).sum_dim(1),
        Direction::Reverse => (log_p.clone().exp() * (log_p - log_q)).sum_dim(1),
    };
    let gradient = leaf.grad(&kl.mean().backward());
    gradient.unwrap_or_else(|| leaf.inner().zeros_like())
}

/// From hidden states, against the two matrix products that there is no way round.
fn hidden(rows: usize) {
    let (student, teacher) = (random(rows, WIDTH, 1.0), random(rows, WIDTH, 1.0));
    let head = random(VOCABULARY, WIDTH, 0.05);
    let active: Vec<ActiveRow> = (0..rows)
        .map(|i| ActiveRow {
            student: i,
            teacher: i,
            direction: if i % 2 == 0 { Direction::Forward } else { Direction::Reverse },
            weight: 1.0 / rows as f64,
            clip: None,
        })
        .collect();
    let stacked = Tensor::cat(vec![student.clone(), teacher.clone()], 0);
    let products = || {
        let logits = stacked.clone().matmul(head.clone().transpose());
        let upper = logits.narrow(0, 0, rows);
        upper.matmul(head.clone()).dims()
    };
    let whole = || span_kl_linear(&student, &teacher, &head, &active, 1.0, rows);
    // In turn, the fastest of each counts: other work on the machine disturbs long products.
    let times: Vec<(f64, f64)> = (0..4).map(|_| (timed(products).0, timed(whole).0)).collect();
    let best = |pick: fn(&(f64, f64)) -> f64| times.iter().map(pick).fold(f64::INFINITY, f64::min);
    let (products, whole) = (best(|t| t.0), best(|t| t.1));
    println!("from hidden states, D = {WIDTH}, {rows} rows");
    println!("  matrix products    {products:8.3} s");
    println!("  span_kl_linear     {whole:8.3} s, {:.2} of the products", whole / products);
}

fn random(rows: usize, columns: usize, deviation: f64) -> Tensor<2> {
    Tensor::random([rows, columns], Distribution::Normal(0.0, deviation), (&Device::flex(), DType::F32))
}

fn timed<T>(work: impl FnOnce() -> T) -> (f64, T) {
    let begin = Instant::now();
    let result = work();
    (begin.elapsed().as_secs_f64(), result)
}

/// Runs and says by how many bytes the process grew at most meanwhile; NaN where the system does not tell.
fn measured<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let before = resident("VmRSS:");
    // Linux: the peak begins anew.
    let reset = std::fs::write("/proc/self/clear_refs", "5").is_ok();
    let result = work();
    let grown = resident("VmHWM:") - before;
    (result, if reset { grown.max(0.0) } else { f64::NAN })
}

/// A line of the process's status, in bytes.
fn resident(key: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let kilobytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
    kilobytes.map_or(f64::NAN, |k| k * 1024.0)
}
