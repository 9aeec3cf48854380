//! The definition in f64, and logits to try it on.
#![allow(dead_code, unreachable_pub)] // Each test binary uses its own part.

pub mod graded;

use vigos_kernels::Direction;

/// A row in f64: divergence, gradient of the divergence, and entropies.
pub struct Exact {
    pub kl: f64,
    pub gradient: Vec<f64>,
    /// For each token, what the gradient's rounding is relative to: probabilities times their exponents.
    pub magnitude: Vec<f64>,
    pub student_entropy: f64,
    pub teacher_entropy: f64,
}

pub fn exact(student: &[f64], teacher: &[f64], direction: Direction, temperature: f64) -> Exact {
    let log_softmax = |logits: &[f64]| -> Vec<f64> {
        let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logits.iter().map(|l| ((l - max) / temperature).exp()).sum();
        logits.iter().map(|l| (l - max) / temperature - sum.ln()).collect()
    };
    let (log_p, log_q) = (log_softmax(student), log_softmax(teacher));
    let mean = |log: &[f64], f: &dyn Fn(usize) -> f64| -> f64 {
        (0..log.len()).filter(|i| log[*i].exp() > 0.0).map(|i| log[i].exp() * f(i)).sum()
    };
    let (kl, gradient) = match direction {
        Direction::Forward => {
            let kl = mean(&log_q, &|i| log_q[i] - log_p[i]);
            (kl, log_p.iter().zip(&log_q).map(|(p, q)| (p.exp() - q.exp()) / temperature).collect())
        }
        Direction::Reverse => {
            let kl = mean(&log_p, &|i| log_p[i] - log_q[i]);
            let slope = |(p, q): (&f64, &f64)| p.exp() * (p - q - kl) / temperature;
            (kl, log_p.iter().zip(&log_q).map(slope).collect())
        }
    };
    let (student_entropy, teacher_entropy) = (-mean(&log_p, &|i| log_p[i]), -mean(&log_q, &|i| log_q[i]));
    // The exponential turns a rounded exponent into a relative error of its size.
    let size = |(p, q): (&f64, &f64)| {
        let factor = if direction == Direction::Reverse { 1.0 + p.abs() + q.abs() + kl } else { 1.0 };
        (p.exp() * (1.0 + p.abs()) * factor + q.exp() * (1.0 + q.abs())) / temperature
    };
    let magnitude = log_p.iter().zip(&log_q).map(size).collect();
    Exact { kl, gradient, magnitude, student_entropy, teacher_entropy }
}

/// Normal numbers that are the same in every run.
pub fn normal(seed: u64, count: usize, deviation: f64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(1);
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    };
    (0..count)
        .map(|_| {
            (deviation * (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos()) as f32
        })
        .collect()
}

/// A student and a teacher near it, so that the divergence is about 0.05.
pub fn pair(seed: u64, count: usize) -> (Vec<f32>, Vec<f32>) {
    let student = normal(seed, count, 2.5);
    let teacher = student.iter().zip(normal(seed + 1000, count, 0.3)).map(|(s, d)| s + d).collect();
    (student, teacher)
}
