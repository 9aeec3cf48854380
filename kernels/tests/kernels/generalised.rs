//! The generalised Jensen-Shannon divergence, and divergences over the teacher's likeliest tokens, against f64.
#![cfg(feature = "flex")]

use crate::common::normal;
use burn::tensor::{DType, Device, Tensor, TensorData};
use std::num::NonZeroUsize;
use vigos_kernels::{
    ActiveRow, Divergence, ForwardKl, JensenShannon, ReverseKl, TopTokens, divergence_linear,
};

const VOCABULARY: usize = 61;
const WIDTH: usize = 5;
const ROWS: usize = 3;

fn probabilities(hidden: &[f64], head: &[f32], temperature: f64) -> Vec<f64> {
    let logit = |line: &[f32]| line.iter().zip(hidden).map(|(a, b)| f64::from(*a) * b).sum::<f64>();
    let powers: Vec<f64> = head.chunks(WIDTH).map(|line| (logit(line) / temperature).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

fn kl(p: &[f64], q: &[f64]) -> f64 {
    p.iter().zip(q).map(|(p, q)| if *p > 0.0 { p * (p / q).ln() } else { 0.0 }).sum()
}

fn jsd(p: &[f64], q: &[f64], beta: f64) -> f64 {
    let m: Vec<f64> = p.iter().zip(q).map(|(p, q)| beta * q + (1.0 - beta) * p).collect();
    beta * kl(q, &m) + (1.0 - beta) * kl(p, &m)
}

/// The teacher's likeliest `count`, and the rest as one.
fn grouped(p: &[f64], teacher: &[f64], count: usize) -> Vec<f64> {
    let mut order: Vec<usize> = (0..teacher.len()).collect();
    order.sort_by(|a, b| teacher[*b].total_cmp(&teacher[*a]));
    let (top, rest) = order.split_at(count);
    let sum = |tokens: &[usize]| tokens.iter().map(|token| p[*token]).sum();
    top.iter().map(|token| p[*token]).chain([sum(rest)]).collect()
}

/// Values and gradients of a divergence from hidden states, against a formula of student's and teacher's probabilities.
#[track_caller]
fn holds(divergence: &dyn Divergence, formula: impl Fn(&[f64], &[f64]) -> f64) {
    let (student, teacher) = (normal(1, ROWS * WIDTH, 1.0), normal(2, ROWS * WIDTH, 1.0));
    let head = normal(3, VOCABULARY * WIDTH, 1.0);
    let on = |values: &[f32], rows| {
        let data = TensorData::new(values.to_vec(), [rows, WIDTH]);
        Tensor::<2>::from_data(data, (&Device::flex(), DType::F32))
    };
    let rows: Vec<ActiveRow> = (0..ROWS)
        .map(|row| ActiveRow { student: row, teacher: row, divergence, weight: 1.0, clip: None })
        .collect();
    for temperature in [0.7, 1.0, 2.5] {
        let chunk = NonZeroUsize::new(2).unwrap();
        let (s, t, h) = (on(&student, ROWS), on(&teacher, ROWS), on(&head, VOCABULARY));
        let found = divergence_linear(&s, &t, &h, &rows, temperature, chunk).unwrap();
        let wide = |values: &[f32]| -> Vec<f64> { values.iter().copied().map(f64::from).collect() };
        let (student, teacher) = (wide(&student), wide(&teacher));
        let of = |student: &[f64], row: usize| {
            let part =
                |hidden: &[f64]| probabilities(&hidden[row * WIDTH..(row + 1) * WIDTH], &head, temperature);
            formula(&part(student), &part(&teacher))
        };
        for (row, found) in found.kl.iter().enumerate() {
            let wanted = of(&student, row);
            assert!(
                (found - wanted).abs() < 1e-6 * wanted.max(1.0),
                "τ {temperature} row {row}: {found} {wanted}"
            );
        }
        let slopes: Vec<f32> = found.gradient.try_into_vec_as().unwrap();
        for (i, slope) in slopes.iter().enumerate() {
            let at = |step: f64| {
                let mut moved = student.clone();
                moved[i] += step;
                of(&moved, i / WIDTH)
            };
            let wanted = (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!(
                (f64::from(*slope) - wanted).abs() < 1e-5 * wanted.abs().max(1.0),
                "τ {temperature} entry {i}: {slope} {wanted}"
            );
        }
    }
}

#[test]
fn jensen_and_shannons_divergence_has_its_value_and_gradient_for_every_share() {
    for beta in [0.1, 0.5, 0.9] {
        holds(&JensenShannon::new(beta).unwrap(), |p, q| jsd(p, q, beta));
    }
    for beta in [0.0, 1.0, -1.0, f64::NAN] {
        assert!(JensenShannon::new(beta).is_none(), "{beta}");
    }
}

#[test]
fn likeliest_tokens_stand_for_themselves_and_the_rest_is_one() {
    for count in [1, 7, VOCABULARY - 1] {
        let some = NonZeroUsize::new(count).unwrap();
        holds(&TopTokens::new(some, ForwardKl), |p, q| kl(&grouped(q, q, count), &grouped(p, q, count)));
        holds(&TopTokens::new(some, ReverseKl), |p, q| kl(&grouped(p, q, count), &grouped(q, q, count)));
        let mixed = TopTokens::new(some, JensenShannon::new(0.3).unwrap());
        holds(&mixed, |p, q| jsd(&grouped(p, q, count), &grouped(q, q, count), 0.3));
    }
    let all = NonZeroUsize::new(VOCABULARY).unwrap();
    holds(&TopTokens::new(all, ForwardKl), |p, q| kl(q, p));
}

#[test]
fn tokens_that_cannot_be_count_nothing_and_leave_numbers() {
    let of = |values: [f32; 3]| Tensor::<2>::from_floats([values], &Device::flex());
    let (p, q) = (of([0.0, f32::NEG_INFINITY, f32::NEG_INFINITY]), of([-0.5, -0.932_752, f32::NEG_INFINITY]));
    let leaf = Tensor::from_inner(p).require_grad();
    let found = JensenShannon::default().rows(leaf.clone(), Tensor::from_inner(q));
    let slope: Vec<f32> = leaf.grad(&found.clone().sum().backward()).unwrap().try_into_vec_as().unwrap();
    let wanted = jsd(&[1.0, 0.0, 0.0], &[(-0.5f64).exp(), (-0.932_752f64).exp(), 0.0], 0.5);
    assert!((f64::from(found.inner().into_scalar::<f32>()) - wanted).abs() < 1e-6);
    assert!(slope.iter().all(|value| value.is_finite()), "{slope:?}");
}
