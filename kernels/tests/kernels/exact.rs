//! The plain operators against the definition in f64.

use crate::common;

use burn::tensor::{DType, Device, Tensor, TensorData};
use common::{exact, normal};
use proptest::prelude::*;
use vigos_kernels::{Direction, row_kl};

const DIRECTIONS: [Direction; 2] = [Direction::Forward, Direction::Reverse];

fn matrix(values: &[f32], rows: usize) -> Tensor<2> {
    let shape = [rows, values.len() / rows];
    Tensor::from_data(TensorData::new(values.to_vec(), shape), (&Device::flex(), DType::F32))
}

fn host(tensor: Tensor<2>) -> Vec<f32> {
    tensor.try_into_vec_as().unwrap()
}

fn random(seed: u64, rows: usize, columns: usize, deviation: f64) -> Tensor<2> {
    matrix(&normal(seed, rows * columns, deviation), rows)
}

#[test]
fn the_divergence_equals_the_definition_for_every_vocabulary_size() {
    for vocabulary in [1, 2, 31, 1003, 32_000] {
        for direction in DIRECTIONS {
            for temperature in [1.0, 6.0] {
                let (s, t) = (random(1, 3, vocabulary, 2.0), random(2, 3, vocabulary, 2.0));
                let found = host(row_kl(s.clone(), t.clone(), direction, temperature).kl);
                let (s, t) = (host(s), host(t));
                for row in 0..3 {
                    let wide = |x: &[f32]| -> Vec<f64> {
                        x[row * vocabulary..(row + 1) * vocabulary].iter().map(|v| f64::from(*v)).collect()
                    };
                    let wanted = exact(&wide(&s), &wide(&t), direction, temperature).kl;
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
            let (s, t) = (random(3, 1, vocabulary, 1.5), random(4, 1, vocabulary, 1.5));
            let gradient = host(row_kl(s.clone(), t.clone(), direction, temperature).gradient);
            let wide = |x: Tensor<2>| -> Vec<f64> { host(x).into_iter().map(f64::from).collect() };
            let (s, t) = (wide(s), wide(t));
            for i in 0..vocabulary {
                let at = |step: f64| {
                    let mut moved = s.clone();
                    moved[i] += step;
                    exact(&moved, &t, direction, temperature).kl
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
        let logits = random(5, 4, 501, 8.0);
        let result = row_kl(logits.clone(), logits, direction, 1.0);
        assert!(host(result.kl).iter().chain(&host(result.gradient)).all(|v| *v == 0.0));
    }
}

#[test]
fn excluded_tokens_count_nothing_and_a_token_excluded_by_one_side_gives_infinity() {
    let inf = f32::INFINITY;
    let both = row_kl(matrix(&[0.0, 1.0, -inf], 1), matrix(&[1.0, 0.0, -inf], 1), Direction::Forward, 1.0);
    let wanted = exact(&[0.0, 1.0], &[1.0, 0.0], Direction::Forward, 1.0).kl;
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
