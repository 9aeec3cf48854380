//! What the loss from hidden states promises, on any device.

use super::cases::{host, matrix};
use crate::common::normal;
use burn::tensor::{DType, Device, Tensor};
use std::num::NonZeroUsize;
use vigos_kernels::{ActiveRow, Direction, divergence_linear};

fn chunk(rows: usize) -> NonZeroUsize {
    NonZeroUsize::new(rows).unwrap()
}

fn row(
    student: usize,
    teacher: usize,
    direction: Direction,
    weight: f64,
    clip: Option<f64>,
) -> ActiveRow<'static> {
    ActiveRow { student, teacher, divergence: direction.divergence(), weight, clip }
}

pub(crate) fn hidden_states_give_the_loss_and_gradient_of_autodiff_whatever_the_chunk(on: &Device) {
    let device = on.clone();
    let (student, teacher, head) =
        (random(101, 6, 5, 1.0, on), random(102, 8, 5, 1.0, on), random(103, 41, 5, 1.0, on));
    let rows = [
        row(0, 7, Direction::Forward, 0.5, None),
        row(2, 1, Direction::Reverse, 2.0, None),
        row(2, 3, Direction::Forward, 0.25, Some(1e9)),
        row(5, 5, Direction::Forward, 1.0, Some(1e-9)),
        row(4, 0, Direction::Reverse, 1.5, None),
    ];
    // The same loss, composed of differentiable operators.
    let leaf = Tensor::from_inner(student.clone()).require_grad();
    let mut composed = Tensor::<1>::zeros([1], &device.clone().autodiff());
    for r in rows.iter().filter(|r| r.clip != Some(1e-9)) {
        let log_softmax = |h: Tensor<2>, i: usize| {
            burn::tensor::activation::log_softmax(h.narrow(0, i, 1).matmul(head.clone().transpose()), 1)
        };
        let p = log_softmax(leaf.clone(), r.student);
        let q = Tensor::from_inner(log_softmax(teacher.clone(), r.teacher));
        let kl = match r.divergence.fused().unwrap() {
            Direction::Forward => (q.clone().exp() * (q - p)).sum(),
            Direction::Reverse => (p.clone().exp() * (p - q)).sum(),
        };
        composed = composed + kl * r.weight;
    }
    let wanted: Vec<f32> = leaf.grad(&composed.backward()).unwrap().try_into_vec_as().unwrap();
    let loss = f64::from(composed.inner().into_scalar::<f32>()) + 1e-9;
    let whole = host(divergence_linear(&student, &teacher, &head, &rows, 1.0, chunk(100)).unwrap().gradient);
    let largest = whole.iter().fold(0.0f32, |max, g| max.max(g.abs()));
    for rows_at_once in [1, 2, 100] {
        let chunk = chunk(rows_at_once);
        let result = divergence_linear(&student, &teacher, &head, &rows, 1.0, chunk).unwrap();
        let gradient = host(result.gradient.clone());
        assert!(
            gradient.iter().zip(&whole).all(|(a, b)| (a - b).abs() < 1e-6 * largest.max(1.0)),
            "chunk {chunk}"
        );
        assert!((result.loss - loss).abs() < 1e-5 * loss, "chunk {chunk}");
        for (f, w) in host(result.gradient).iter().zip(&wanted) {
            assert!((f - w).abs() < 1e-5, "chunk {chunk}: {f} and {w}");
        }
    }
}

pub(crate) fn the_gradient_passes_at_the_clip_and_stops_above_it(on: &Device) {
    let (student, teacher, head) =
        (random(104, 1, 4, 1.0, on), random(105, 1, 4, 1.0, on), random(106, 9, 4, 1.0, on));
    let at = |clip| {
        let rows = [row(0, 0, Direction::Forward, 1.0, clip)];
        divergence_linear(&student, &teacher, &head, &rows, 1.0, chunk(8)).unwrap()
    };
    let kl = at(None).kl[0];
    let gradient = |clip| host(at(clip).gradient);
    assert_eq!(gradient(Some(kl)), gradient(None));
    assert!(gradient(Some(kl * 0.999)).iter().all(|g| *g == 0.0));
    assert_eq!(at(Some(kl * 0.5)).loss, kl * 0.5);
    assert_eq!(at(Some(kl * 0.5)).kl[0], kl, "the divergence is reported unclipped");
}

pub(crate) fn no_active_row_gives_no_loss(on: &Device) {
    let (student, teacher, head) =
        (random(107, 3, 4, 1.0, on), random(108, 1, 4, 1.0, on), random(109, 9, 4, 1.0, on));
    let result = divergence_linear(&student, &teacher, &head, &[], 1.0, chunk(8)).unwrap();
    assert_eq!((result.loss, result.kl.len()), (0.0, 0));
    assert!(host(result.gradient).iter().all(|g| *g == 0.0));
}

fn random(seed: u64, rows: usize, columns: usize, deviation: f64, on: &Device) -> Tensor<2> {
    matrix(&normal(seed, rows * columns, deviation), rows, DType::F32, on)
}
