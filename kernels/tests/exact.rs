//! The plain operators against the definition in f64, and the loss from hidden states against autodiff.
#![allow(clippy::unwrap_used)] // In helpers too.

use burn::tensor::{DType, Device, Distribution, Tensor, TensorData};
use proptest::prelude::*;
use vigos_kernels::{ActiveRow, Direction, row_kl, span_kl_linear};

const DIRECTIONS: [Direction; 2] = [Direction::Forward, Direction::Reverse];

/// The definition, term by term in f64.
fn divergence(student: &[f64], teacher: &[f64], direction: Direction, temperature: f64) -> f64 {
    let log_softmax = |logits: &[f64]| -> Vec<f64> {
        let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = logits.iter().map(|l| ((l - max) / temperature).exp()).sum();
        logits.iter().map(|l| (l - max) / temperature - sum.ln()).collect()
    };
    let (p, q) = (log_softmax(student), log_softmax(teacher));
    let (over, under) = match direction {
        Direction::Forward => (q, p),
        Direction::Reverse => (p, q),
    };
    over.iter().zip(under).filter(|(o, _)| o.exp() > 0.0).map(|(o, u)| o.exp() * (o - u)).sum()
}

fn matrix(values: &[f32], rows: usize) -> Tensor<2> {
    let shape = [rows, values.len() / rows];
    Tensor::from_data(TensorData::new(values.to_vec(), shape), (&Device::flex(), DType::F32))
}

fn host(tensor: Tensor<2>) -> Vec<f32> {
    tensor.try_into_vec_as().unwrap()
}

fn random(rows: usize, columns: usize, deviation: f64) -> Tensor<2> {
    let device = Device::flex();
    Tensor::random([rows, columns], Distribution::Normal(0.0, deviation), (&device, DType::F32))
}

#[test]
fn the_divergence_equals_the_definition_for_every_vocabulary_size() {
    for vocabulary in [1, 2, 31, 1003, 32_000] {
        for direction in DIRECTIONS {
            for temperature in [1.0, 6.0] {
                let (s, t) = (random(3, vocabulary, 2.0), random(3, vocabulary, 2.0));
                let found = host(row_kl(s.clone(), t.clone(), direction, temperature).kl);
                let (s, t) = (host(s), host(t));
                for row in 0..3 {
                    let wide = |x: &[f32]| -> Vec<f64> {
                        x[row * vocabulary..(row + 1) * vocabulary].iter().map(|v| f64::from(*v)).collect()
                    };
                    let wanted = divergence(&wide(&s), &wide(&t), direction, temperature);
                    let error = (f64::from(found[row]) - wanted).abs();
                    assert!(
                        error < 1e-5 * wanted.max(1.0),
                        "V {vocabulary} {direction:?}: {error:e} of {wanted}"
                    );
                }
            }
        }
    }
}

#[test]
fn the_gradient_equals_finite_differences_in_f64() {
    let vocabulary = 7;
    for direction in DIRECTIONS {
        for temperature in [1.0, 2.5] {
            let (s, t) = (random(1, vocabulary, 1.5), random(1, vocabulary, 1.5));
            let gradient = host(row_kl(s.clone(), t.clone(), direction, temperature).gradient);
            let wide = |x: Tensor<2>| -> Vec<f64> { host(x).into_iter().map(f64::from).collect() };
            let (s, t) = (wide(s), wide(t));
            for i in 0..vocabulary {
                let at = |step: f64| {
                    let mut moved = s.clone();
                    moved[i] += step;
                    divergence(&moved, &t, direction, temperature)
                };
                let wanted = (at(1e-5) - at(-1e-5)) / 2e-5;
                assert!(
                    (f64::from(gradient[i]) - wanted).abs() < 1e-5,
                    "{direction:?} τ {temperature} entry {i}"
                );
            }
        }
    }
}

#[test]
fn the_teacher_itself_has_exactly_no_divergence_and_no_gradient() {
    for direction in DIRECTIONS {
        let logits = random(4, 501, 8.0);
        let result = row_kl(logits.clone(), logits, direction, 1.0);
        assert!(host(result.kl).iter().chain(&host(result.gradient)).all(|v| *v == 0.0));
    }
}

#[test]
fn excluded_tokens_count_nothing_and_a_token_excluded_by_one_side_gives_infinity() {
    let inf = f32::INFINITY;
    let both = row_kl(matrix(&[0.0, 1.0, -inf], 1), matrix(&[1.0, 0.0, -inf], 1), Direction::Forward, 1.0);
    let wanted = divergence(&[0.0, 1.0], &[1.0, 0.0], Direction::Forward, 1.0);
    assert!((f64::from(host(both.kl)[0]) - wanted).abs() < 1e-6);
    assert!(host(both.gradient).iter().all(|g| g.is_finite()));
    let one = row_kl(matrix(&[0.0, -inf], 1), matrix(&[0.0, 0.0], 1), Direction::Forward, 1.0);
    assert_eq!(host(one.kl), [inf]);
    let one = row_kl(matrix(&[0.0, 0.0], 1), matrix(&[0.0, -inf], 1), Direction::Reverse, 1.0);
    assert_eq!(host(one.kl), [inf]);
    for direction in DIRECTIONS {
        let large = row_kl(matrix(&[1e4, -1e4, 0.0], 1), matrix(&[1e4, 0.0, -1e4], 1), direction, 1.0);
        assert!(host(large.kl)[0].abs() < 1e-6, "one-hot distributions on the same token agree");
    }
}

fn row(student: usize, teacher: usize, direction: Direction, weight: f64, clip: Option<f64>) -> ActiveRow {
    ActiveRow { student, teacher, direction, weight, clip }
}

#[test]
fn hidden_states_give_the_loss_and_gradient_of_autodiff_whatever_the_chunk() {
    let device = Device::flex();
    let (student, teacher, head) = (random(6, 5, 1.0), random(8, 5, 1.0), random(41, 5, 1.0));
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
        let kl = match r.direction {
            Direction::Forward => (q.clone().exp() * (q - p)).sum(),
            Direction::Reverse => (p.clone().exp() * (p - q)).sum(),
        };
        composed = composed + kl * r.weight;
    }
    let wanted: Vec<f32> = leaf.grad(&composed.backward()).unwrap().try_into_vec_as().unwrap();
    let loss = f64::from(composed.inner().into_scalar::<f32>()) + 1e-9;
    let whole = host(span_kl_linear(&student, &teacher, &head, &rows, 1.0, 100).gradient);
    let largest = whole.iter().fold(0.0f32, |max, g| max.max(g.abs()));
    for chunk in [1, 2, 100] {
        let result = span_kl_linear(&student, &teacher, &head, &rows, 1.0, chunk);
        let gradient = host(result.gradient.clone());
        assert!(gradient.iter().zip(&whole).all(|(a, b)| (a - b).abs() < 1e-6 * largest), "chunk {chunk}");
        assert!((result.loss - loss).abs() < 1e-5 * loss, "chunk {chunk}");
        for (f, w) in host(result.gradient).iter().zip(&wanted) {
            assert!((f - w).abs() < 1e-5, "chunk {chunk}: {f} and {w}");
        }
    }
}

#[test]
fn the_gradient_passes_at_the_clip_and_stops_above_it() {
    let (student, teacher, head) = (random(1, 4, 1.0), random(1, 4, 1.0), random(9, 4, 1.0));
    let at =
        |clip| span_kl_linear(&student, &teacher, &head, &[row(0, 0, Direction::Forward, 1.0, clip)], 1.0, 8);
    let kl = at(None).kl[0];
    let gradient = |clip| host(at(clip).gradient);
    assert_eq!(gradient(Some(kl)), gradient(None));
    assert!(gradient(Some(kl * 0.999)).iter().all(|g| *g == 0.0));
    assert_eq!(at(Some(kl * 0.5)).loss, kl * 0.5);
    assert_eq!(at(Some(kl * 0.5)).kl[0], kl, "the divergence is reported unclipped");
}

#[test]
fn no_active_row_gives_no_loss() {
    let (student, teacher, head) = (random(3, 4, 1.0), random(1, 4, 1.0), random(9, 4, 1.0));
    let result = span_kl_linear(&student, &teacher, &head, &[], 1.0, 8);
    assert_eq!((result.loss, result.kl.len()), (0.0, 0));
    assert!(host(result.gradient).iter().all(|g| *g == 0.0));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_divergence_is_never_below_zero_by_more_than_rounding(
        logits in prop::collection::vec((-30.0f32..30.0, -30.0f32..30.0), 1..200),
        forward in any::<bool>(),
    ) {
        let (s, t): (Vec<f32>, Vec<f32>) = logits.into_iter().unzip();
        let direction = if forward { Direction::Forward } else { Direction::Reverse };
        let result = row_kl(matrix(&s, 1), matrix(&t, 1), direction, 1.0);
        prop_assert!(host(result.kl)[0] >= -1e-6);
        // Probabilities sum to one on both sides, so a forward gradient sums to zero.
        let sum: f32 = host(result.gradient).iter().sum();
        prop_assert!(sum.abs() < 1e-4);
    }
}
