//! What a divergence that the project does not have is promised, on any device.

use super::cases::{host, matrix};
use crate::common::normal;
use burn::tensor::{DType, Device, IndexingUpdateOp, Int, Tensor, TensorData};
use std::num::NonZeroUsize;
use vigos_kernels::{
    ActiveRow, Direction, Divergence, ForwardKl, LinearLoss, ReverseKl, RowLoss, divergence_linear, project,
    project_back, span_kl_stacked,
};

/// Hidden states, their width, and the vocabulary.
const STUDENTS: usize = 6;
const TEACHERS: usize = 8;
const WIDTH: usize = 5;
const VOCABULARY: usize = 41;

/// A KL as a person would write it, who knows nothing of the fused operator.
#[derive(Debug)]
struct Plain(Direction);

impl Divergence for Plain {
    fn name(&self) -> &str {
        "plain"
    }

    fn rows(&self, student: Tensor<2>, teacher: Tensor<2>) -> Tensor<1> {
        self.0.divergence().rows(student, teacher)
    }
}

/// The mean of the KLs of both sides to their mixture.
#[derive(Debug)]
struct JensenShannon;

impl Divergence for JensenShannon {
    fn name(&self) -> &str {
        "jensen_shannon"
    }

    fn rows(&self, student: Tensor<2>, teacher: Tensor<2>) -> Tensor<1> {
        let (p, q) = (student.clone().exp(), teacher.clone().exp());
        let mixture = ((p.clone() + q.clone()) / 2.0).log();
        ((p * (student - mixture.clone()) + q * (teacher - mixture)).sum_dim(1) / 2.0).squeeze_dim(1)
    }
}

/// Jensen and Shannon's divergence from hidden states, in f64.
fn exact(student: &[f64], teacher: &[f64], head: &[f32], temperature: f64) -> f64 {
    let probabilities = |hidden: &[f64]| -> Vec<f64> {
        let logit =
            |line: &[f32]| line.iter().zip(hidden).map(|(a, b)| f64::from(*a) * b).sum::<f64>() / temperature;
        let powers: Vec<f64> = head.chunks(WIDTH).map(|line| logit(line).exp()).collect();
        let sum: f64 = powers.iter().sum();
        powers.into_iter().map(|power| power / sum).collect()
    };
    let kl = |p: f64, m: f64| p * (p / m).ln();
    let pairs = probabilities(student).into_iter().zip(probabilities(teacher));
    pairs.map(|(p, q)| (kl(p, (p + q) / 2.0) + kl(q, (p + q) / 2.0)) / 2.0).sum()
}

/// Hidden states of both models and a head.
struct Problem {
    student: Tensor<2>,
    teacher: Tensor<2>,
    head: Tensor<2>,
}

impl Problem {
    fn new(dtype: DType, on: &Device) -> Self {
        let random = |seed, rows| matrix(&normal(seed, rows * WIDTH, 1.0), rows, dtype, on);
        Self { student: random(201, STUDENTS), teacher: random(202, TEACHERS), head: random(203, VOCABULARY) }
    }

    fn loss(&self, rows: &[ActiveRow], temperature: f64, chunk: usize) -> LinearLoss {
        let chunk = NonZeroUsize::new(chunk).unwrap();
        divergence_linear(&self.student, &self.teacher, &self.head, rows, temperature, chunk).unwrap()
    }
}

fn row(student: usize, teacher: usize, divergence: &dyn Divergence) -> ActiveRow<'_> {
    ActiveRow { student, teacher, divergence, weight: 1.0, clip: None }
}

pub(crate) fn one_that_someone_writes_has_its_value_and_gradient_in_f64(on: &Device) {
    let problem = Problem::new(DType::F32, on);
    let wide = |tensor: &Tensor<2>| -> Vec<f64> { host(tensor.clone()).into_iter().map(f64::from).collect() };
    let (student, teacher, head) =
        (wide(&problem.student), wide(&problem.teacher), host(problem.head.clone()));
    let rows = [(0, 7), (3, 1), (3, 2)].map(|(s, t)| ActiveRow { weight: 0.5, ..row(s, t, &JensenShannon) });
    for temperature in [0.7, 1.0, 2.5] {
        let found = problem.loss(&rows, temperature, 2);
        let of = |student: &[f64], row: &ActiveRow| {
            let part = |hidden: &[f64], row: usize| hidden[row * WIDTH..(row + 1) * WIDTH].to_vec();
            exact(&part(student, row.student), &part(&teacher, row.teacher), &head, temperature)
        };
        for (row, kl) in rows.iter().zip(&found.kl) {
            assert!((kl - of(&student, row)).abs() < 1e-6, "τ {temperature}: {kl}");
        }
        let total = |student: &[f64]| -> f64 { rows.iter().map(|row| row.weight * of(student, row)).sum() };
        assert!((found.loss - total(&student)).abs() < 1e-6);
        for (i, slope) in host(found.gradient).iter().enumerate() {
            let at = |step: f64| {
                let mut moved = student.clone();
                moved[i] += step;
                total(&moved)
            };
            let wanted = (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!((f64::from(*slope) - wanted).abs() < 2e-6, "τ {temperature} entry {i}: {slope} {wanted}");
        }
    }
}

pub(crate) fn a_kl_that_someone_writes_is_the_fused_one_within_rounding(on: &Device) {
    for dtype in super::cases::precisions(on) {
        let problem = Problem::new(dtype, on);
        // Both sides compute in f32 from the same logits; in half precision the gradient is rounded on its way back.
        let bound = if dtype == DType::F32 { 2e-6 } else { 2e-2 };
        for direction in [Direction::Forward, Direction::Reverse] {
            let plain = Plain(direction);
            let rows = |divergence| {
                [
                    ActiveRow { weight: 0.5, ..row(0, 7, divergence) },
                    ActiveRow { weight: 2.0, clip: Some(1e9), ..row(2, 1, divergence) },
                    ActiveRow { clip: Some(1e-3), ..row(2, 3, divergence) },
                    ActiveRow { weight: 0.0, ..row(5, 5, divergence) },
                    row(4, 0, divergence),
                ]
            };
            for (temperature, chunk) in [(1.0, 1), (1.0, 100), (3.0, 2)] {
                let fused = problem.loss(&rows(direction.divergence()), temperature, chunk);
                let found = problem.loss(&rows(&plain), temperature, chunk);
                assert!((found.loss - fused.loss).abs() < 2e-6 * fused.loss);
                for (a, b) in found.rows.iter().zip(&fused.rows) {
                    assert!((a.kl - b.kl).abs() < 2e-6 * b.kl.max(1.0), "{dtype:?}: {} and {}", a.kl, b.kl);
                    assert!((a.student_entropy - b.student_entropy).abs() < 1e-5);
                    assert!((a.teacher_entropy - b.teacher_entropy).abs() < 1e-5);
                    assert_eq!(a.agrees, b.agrees);
                }
                let (found, fused) = (host(found.gradient), host(fused.gradient));
                let largest = fused.iter().fold(0.0f32, |max, g| max.max(g.abs()));
                assert!(largest > 0.1);
                for (a, b) in found.iter().zip(&fused) {
                    assert!((a - b).abs() < bound * largest, "{dtype:?} {direction:?}: {a} and {b}");
                }
            }
        }
    }
}

pub(crate) fn fused_rows_alone_are_the_fused_operators_numbers_to_the_bit(on: &Device) {
    let Problem { student, teacher, head } = Problem::new(DType::F32, on);
    let chosen = [(0, 7, Direction::Forward), (2, 1, Direction::Reverse), (4, 0, Direction::Forward)];
    let rows = chosen.map(|(s, t, direction)| row(s, t, direction.divergence()));
    let (mut loss, mut kl, mut gradient) = (0.0, Vec::new(), student.zeros_like());
    for part in chosen.chunks(2) {
        let at = |row: fn(&(usize, usize, Direction)) -> usize| {
            let rows: Vec<i32> = part.iter().map(|r| row(r) as i32).collect();
            Tensor::<1, Int>::from_data(TensorData::new(rows, [part.len()]), (on, DType::I32))
        };
        let hidden = vec![student.clone().select(0, at(|r| r.0)), teacher.clone().select(0, at(|r| r.1))];
        let losses: Vec<RowLoss> =
            part.iter().map(|r| RowLoss { direction: r.2, weight: 1.0, clip: None }).collect();
        let found = span_kl_stacked(project(Tensor::cat(hidden, 0), &head), &losses, 1.5).unwrap();
        loss += found.loss;
        kl.extend(found.rows.iter().map(|row| row.kl));
        let back = project_back(found.gradient, &head);
        gradient = gradient.select_assign(0, at(|r| r.0), back, IndexingUpdateOp::Add);
    }
    let found = Problem { student, teacher, head }.loss(&rows, 1.5, 2);
    assert_eq!((found.loss, found.kl, host(found.gradient)), (loss, kl, host(gradient)));
}

pub(crate) fn rows_of_several_divergences_add_up_in_the_order_given(on: &Device) {
    let problem = Problem::new(DType::F32, on);
    let plain = Plain(Direction::Reverse);
    let of: [&dyn Divergence; 6] = [&JensenShannon, &ForwardKl, &plain, &plain, &ReverseKl, &JensenShannon];
    let rows: Vec<ActiveRow> = of.iter().enumerate().map(|(i, d)| row(i, TEACHERS - 1 - i, *d)).collect();
    for chunk in [1, 2, 100] {
        let together = problem.loss(&rows, 1.0, chunk);
        let (mut loss, mut gradient) = (0.0, problem.student.zeros_like());
        for (i, row) in rows.iter().enumerate() {
            let alone = problem.loss(&[*row], 1.0, 1);
            assert!((alone.kl[0] - together.kl[i]).abs() < 1e-6, "row {i}");
            loss += alone.loss;
            gradient = gradient + alone.gradient;
        }
        assert!((together.loss - loss).abs() < 1e-5);
        for (a, b) in host(together.gradient).iter().zip(host(gradient)) {
            assert!((a - b).abs() < 2e-6, "chunk {chunk}: {a} and {b}");
        }
    }
}

pub(crate) fn the_gradient_of_any_divergence_passes_at_the_clip_and_stops_above_it(on: &Device) {
    let problem = Problem::new(DType::F32, on);
    let at = |clip| problem.loss(&[ActiveRow { clip, ..row(1, 2, &JensenShannon) }], 1.0, 4);
    let kl = at(None).kl[0];
    assert_eq!(host(at(Some(kl)).gradient), host(at(None).gradient));
    let above = at(Some(kl * 0.5));
    assert_eq!((above.loss, above.kl[0]), (kl * 0.5, kl), "the divergence is reported unclipped");
    assert!(host(above.gradient).iter().all(|g| *g == 0.0));
}

pub(crate) fn a_row_of_infinite_divergence_is_reported_and_has_no_gradient(on: &Device) {
    /// Infinite in the row where the student is most certain.
    #[derive(Debug)]
    struct Surprised;

    impl Divergence for Surprised {
        fn name(&self) -> &str {
            "surprised"
        }

        fn rows(&self, student: Tensor<2>, teacher: Tensor<2>) -> Tensor<1> {
            let certainty: Tensor<1> = student.clone().max_dim(1).squeeze_dim(1);
            let most = certainty.clone().detach().max();
            let infinite = certainty.clone().equal(most.expand(certainty.dims()));
            ForwardKl.rows(student, teacher).mask_fill(infinite, f32::INFINITY)
        }
    }

    let problem = Problem::new(DType::F32, on);
    let rows = [0, 1, 2].map(|i| row(i, i, &Surprised));
    let found = problem.loss(&rows, 1.0, 4);
    assert_eq!(found.kl.iter().filter(|kl| kl.is_infinite()).count(), 1);
    assert!(found.loss.is_infinite());
    let gradient = host(found.gradient);
    for (i, kl) in found.kl.iter().enumerate() {
        let line = &gradient[i * WIDTH..(i + 1) * WIDTH];
        assert_eq!(line.iter().all(|g| *g == 0.0), kl.is_infinite(), "row {i}");
        assert!(line.iter().all(|g| g.is_finite()));
    }
}
