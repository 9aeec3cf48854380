//! What a device computes, held against f64 on the host.

use burn::tensor::{DType, Device, Tensor, TensorData};
use serde::Serialize;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;
use vigos_core::random::{Key, Purpose, draws};
use vigos_core::text::panic_words;
use vigos_kernels::{
    ActiveRow, Direction, RowLoss, SpanKlError, SpanKlRows, divergence_linear, span_kl, span_kl_reference,
};

/// Largest error of a product or loss, relative to the largest value. Reduced-precision matrix units, which
/// some backends use for f32, stay below it; a wrong kernel does not.
const TOLERANCE: f64 = 2e-3;
/// Side of the matrices that are multiplied.
const SIDE: usize = 256;
/// Loss: rows, width, vocabulary.
const ROWS: usize = 24;
const WIDTH: usize = 64;
const VOCABULARY: usize = 1000;
/// Logits that a real head gives, a few rows of them.
const KERNEL_ROWS: usize = 8;
const KERNEL_VOCABULARY: usize = 32_000;
/// Two chunks.
const CHUNK: NonZeroUsize = NonZeroUsize::new(ROWS / 2).unwrap();
const LOSS_TEMPERATURE: f64 = 1.5;

/// The outcome of one check.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// What was computed.
    pub name: &'static str,
    /// Whether the error is within the tolerance.
    pub passed: bool,
    /// Largest error, relative to the largest value; none if nothing was computed.
    pub error: Option<f64>,
    /// Largest error allowed.
    pub tolerance: f64,
    /// Wall-clock time of the best of three runs on the device.
    pub seconds: Option<f64>,
    /// The same for what the check compares with, where that ran on the device as well.
    pub baseline_seconds: Option<f64>,
    /// Why nothing was computed.
    pub failure: Option<String>,
}

/// Runs every check on a device.
pub fn check(device: &Device) -> Vec<Check> {
    vec![
        guarded("matmul", || matmul(device)),
        guarded("kernel", || kernel(device)),
        guarded("loss", || loss(device)),
    ]
}

/// What a check found.
struct Found {
    error: f64,
    seconds: f64,
    baseline_seconds: Option<f64>,
}

/// Runs a check. A backend reports trouble by a panic, which a check-up has to outlive.
fn guarded(name: &'static str, run: impl FnOnce() -> Result<Found, String>) -> Check {
    let outcome = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        Err(panic_words(panic.as_ref()).unwrap_or("the backend panicked").to_owned())
    });
    let (found, failure) = match outcome {
        Ok(found) => (Some(found), None),
        Err(failure) => (None, Some(failure)),
    };
    Check {
        name,
        passed: found.as_ref().is_some_and(|found| found.error <= TOLERANCE),
        error: found.as_ref().map(|found| found.error),
        tolerance: TOLERANCE,
        seconds: found.as_ref().map(|found| found.seconds),
        baseline_seconds: found.and_then(|found| found.baseline_seconds),
        failure,
    }
}

fn matmul(device: &Device) -> Result<Found, String> {
    let (a, b) = (numbers(0, SIDE * SIDE), numbers(1, SIDE * SIDE));
    let (x, y) = (upload(&a, SIDE, device), upload(&b, SIDE, device));
    let (found, seconds) = timed(|| download(x.clone().matmul(y.clone())))?;
    let mut wanted = vec![0.0; SIDE * SIDE];
    for (row, wanted) in a.chunks(SIDE).zip(wanted.chunks_mut(SIDE)) {
        for (x, line) in row.iter().zip(b.chunks(SIDE)) {
            wanted.iter_mut().zip(line).for_each(|(sum, y)| *sum += f64::from(*x) * f64::from(*y));
        }
    }
    Ok(Found { error: relative_error(&found, &wanted), seconds, baseline_seconds: None })
}

/// The device's own kernel against separate operators on the device, from logits.
fn kernel(device: &Device) -> Result<Found, String> {
    let count = KERNEL_ROWS * KERNEL_VOCABULARY;
    let student = numbers(5, count);
    let teacher: Vec<f32> = student.iter().zip(numbers(6, count)).map(|(s, d)| s + 0.3 * d).collect();
    let rows: Vec<RowLoss> =
        (0..KERNEL_ROWS).map(|row| RowLoss { direction: direction(row), weight: 1.0, clip: None }).collect();
    let on = |values: &[f32]| upload(values, KERNEL_VOCABULARY, device);
    let (student, teacher) = (on(&student), on(&teacher));
    let run = |operator: fn(Tensor<2>, Tensor<2>, &[RowLoss], f64) -> Result<SpanKlRows, SpanKlError>| {
        timed(|| {
            let found = operator(student.clone(), teacher.clone(), &rows, LOSS_TEMPERATURE);
            let found = found.map_err(|error| error.to_string())?;
            let kl: Vec<f64> = found.rows.iter().map(|row| row.kl).collect();
            Ok((kl, download(found.gradient)?))
        })
    };
    let (wanted, baseline) = run(span_kl_reference)?;
    let (found, seconds) = run(span_kl)?;
    let error = relative_error(&found.0, &wanted.0).max(relative_error(&found.1, &wanted.1));
    Ok(Found { error, seconds, baseline_seconds: Some(baseline) })
}

/// Both directions in turn.
fn direction(row: usize) -> Direction {
    if row.is_multiple_of(2) { Direction::Forward } else { Direction::Reverse }
}

/// Divergence of every row and the gradient with respect to the student's hidden states.
fn loss(device: &Device) -> Result<Found, String> {
    let (student, teacher) = (numbers(2, ROWS * WIDTH), numbers(3, ROWS * WIDTH));
    let head: Vec<f32> = numbers(4, VOCABULARY * WIDTH).iter().map(|v| v / 8.0).collect();
    let rows: Vec<ActiveRow> = (0..ROWS)
        .map(|row| {
            let divergence = direction(row).divergence();
            ActiveRow { student: row, teacher: row, divergence, weight: 1.0, clip: None }
        })
        .collect();
    let (s, t) = (upload(&student, WIDTH, device), upload(&teacher, WIDTH, device));
    let h = upload(&head, WIDTH, device);
    let (found, seconds) = timed(|| {
        let result = divergence_linear(&s, &t, &h, &rows, LOSS_TEMPERATURE, CHUNK)
            .map_err(|error| error.to_string())?;
        Ok((result.kl, download(result.gradient)?))
    })?;
    let (mut kl, mut gradient) = (Vec::new(), Vec::new());
    for (row, (s, t)) in student.chunks(WIDTH).zip(teacher.chunks(WIDTH)).enumerate() {
        let (value, slope) = host_kl(s, t, &head, direction(row));
        kl.push(value);
        gradient.extend(slope);
    }
    let error = relative_error(&found.0, &kl).max(relative_error(&found.1, &gradient));
    Ok(Found { error, seconds, baseline_seconds: None })
}

/// The divergence of one row and its gradient, in f64.
fn host_kl(student: &[f32], teacher: &[f32], head: &[f32], direction: Direction) -> (f64, Vec<f64>) {
    let log_p = host_log_softmax(student, head);
    let log_q = host_log_softmax(teacher, head);
    let terms = || log_p.iter().zip(&log_q);
    let kl: f64 = match direction {
        Direction::Forward => terms().map(|(p, q)| q.exp() * (q - p)).sum(),
        Direction::Reverse => terms().map(|(p, q)| p.exp() * (p - q)).sum(),
    };
    let slopes = terms().map(|(p, q)| match direction {
        Direction::Forward => p.exp() - q.exp(),
        Direction::Reverse => p.exp() * (p - q - kl),
    });
    let mut gradient = vec![0.0; WIDTH];
    for (slope, line) in slopes.zip(head.chunks(WIDTH)) {
        gradient.iter_mut().zip(line).for_each(|(sum, h)| *sum += slope / LOSS_TEMPERATURE * f64::from(*h));
    }
    (kl, gradient)
}

fn host_log_softmax(hidden: &[f32], head: &[f32]) -> Vec<f64> {
    let logit = |line: &[f32]| {
        line.iter().zip(hidden).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>() / LOSS_TEMPERATURE
    };
    let logits: Vec<f64> = head.chunks(WIDTH).map(logit).collect();
    let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let log_sum = max + logits.iter().map(|l| (l - max).exp()).sum::<f64>().ln();
    logits.into_iter().map(|l| l - log_sum).collect()
}

/// The result, and the seconds of the best of three runs after one that warms up.
fn timed<T>(mut run: impl FnMut() -> Result<T, String>) -> Result<(T, f64), String> {
    let mut result = run()?;
    let mut best = f64::INFINITY;
    for _ in 0..3 {
        let begin = Instant::now();
        result = run()?;
        best = best.min(begin.elapsed().as_secs_f64());
    }
    Ok((result, best))
}

/// Standard normal numbers, the same on every machine.
fn numbers(stream: u64, count: usize) -> Vec<f32> {
    let mut draws = draws(Purpose::Initialisation, Key { sample: stream, ..Key::default() });
    (0..count).map(|_| draws.normal() as f32).collect()
}

fn upload(values: &[f32], width: usize, device: &Device) -> Tensor<2> {
    let rows = values.len() / width;
    Tensor::from_data(TensorData::new(values.to_vec(), [rows, width]), (device, DType::F32))
}

fn download(tensor: Tensor<2>) -> Result<Vec<f64>, String> {
    let values: Vec<f32> = tensor.try_into_vec_as().map_err(|error| error.to_string())?;
    Ok(values.into_iter().map(f64::from).collect())
}

/// Largest difference over largest value; infinite where a number is missing or NaN.
fn relative_error(found: &[f64], wanted: &[f64]) -> f64 {
    let scale = wanted.iter().fold(f64::MIN_POSITIVE, |max, value| max.max(value.abs()));
    if found.len() != wanted.len() || found.iter().any(|value| value.is_nan()) {
        return f64::INFINITY;
    }
    found.iter().zip(wanted).map(|(f, w)| (f - w).abs()).fold(0.0, f64::max) / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sound_device_passes_with_room_to_spare() {
        for check in check(&Device::flex()) {
            // Separate operators in f32 are themselves off by a few 1e-5.
            let bound = if check.name == "kernel" { 1e-4 } else { 1e-5 };
            assert!(check.passed && check.error.unwrap() < bound, "{check:?}");
        }
    }

    #[test]
    fn wrong_numbers_and_panics_fail_their_check_and_nothing_else() {
        let found = |error| Ok(Found { error, seconds: 1.0, baseline_seconds: None });
        assert!(!guarded("wrong", || found(0.1)).passed);
        assert!(!guarded("nan", || found(relative_error(&[f64::NAN], &[1.0]))).passed);
        let failed = guarded("panic", || panic!("no device"));
        assert_eq!((failed.passed, failed.failure.as_deref()), (false, Some("no device")));
    }
}
