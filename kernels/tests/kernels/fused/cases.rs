//! What the fused operator promises, on any device.

use crate::common::{exact, normal, pair};
use burn::tensor::{DType, Device, Tensor, TensorData};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use vigos_kernels::{Direction, RowLoss, span_kl, span_kl_loss, span_kl_reference, span_kl_stacked};

const DIRECTIONS: [Direction; 2] = [Direction::Forward, Direction::Reverse];
const INF: f32 = f32::INFINITY;
/// Largest error of a divergence, absolute up to 1, relative above.
const KL: f64 = 1e-6;
/// Largest error of a gradient, relative to the magnitude of what it is the difference of.
const GRADIENT: f64 = 4e-7;

/// The precisions of logits that the device computes in.
pub(crate) fn precisions(on: &Device) -> Vec<DType> {
    let all = [DType::F32, DType::F16, DType::BF16];
    all.into_iter().filter(|dtype| on.supports_dtype(*dtype)).collect()
}

pub(crate) fn matrix(values: &[f32], rows: usize, dtype: DType, on: &Device) -> Tensor<2> {
    let shape = [rows, values.len().checked_div(rows).unwrap_or(5)];
    Tensor::<2>::from_data(TensorData::new(values.to_vec(), shape), (on, DType::F32)).cast(dtype)
}

fn one(values: &[f32], on: &Device) -> Tensor<2> {
    matrix(values, 1, DType::F32, on)
}

pub(crate) fn host(tensor: Tensor<2>) -> Vec<f32> {
    tensor.cast(DType::F32).try_into_vec_as().unwrap()
}

fn wide(tensor: Tensor<2>) -> Vec<f64> {
    host(tensor).into_iter().map(f64::from).collect()
}

fn row(direction: Direction, weight: f64, clip: Option<f64>) -> RowLoss {
    RowLoss { direction, weight, clip }
}

/// Divergence and gradient of one row in f32.
fn single(student: &[f32], teacher: &[f32], direction: Direction, on: &Device) -> (f64, Vec<f32>) {
    let result = span_kl(one(student, on), one(teacher, on), &[row(direction, 1.0, None)], 1.0).unwrap();
    (result.rows[0].kl, host(result.gradient))
}

pub(crate) fn every_case_equals_the_definition(on: &Device) {
    for vocabulary in [1, 2, 31, 1003, 32_000, 151_936, 262_144] {
        let (s, t) = pair(vocabulary as u64, vocabulary);
        for dtype in precisions(on) {
            let (student, teacher) = (matrix(&s, 1, dtype, on), matrix(&t, 1, dtype, on));
            let (s, t) = (wide(student.clone()), wide(teacher.clone()));
            for direction in DIRECTIONS {
                for temperature in [1.0, 2.5] {
                    let wanted = exact(&s, &t, direction, temperature);
                    for clip in [None, Some(wanted.kl * 0.5), Some(wanted.kl * 2.0 + 1e-3)] {
                        let case =
                            format!("V {vocabulary} {dtype:?} {direction:?} τ {temperature} clip {clip:?}");
                        let losses = [row(direction, 0.75, clip)];
                        let found = span_kl(student.clone(), teacher.clone(), &losses, temperature).unwrap();
                        let statistics = found.rows[0];
                        let error = (statistics.kl - wanted.kl).abs();
                        assert!(error < KL, "{case}: {error:e} of {}", wanted.kl);
                        assert!(statistics.kl > -1e-6, "{case}");
                        assert!((statistics.student_entropy - wanted.student_entropy).abs() < 1e-5, "{case}");
                        assert!((statistics.teacher_entropy - wanted.teacher_entropy).abs() < 1e-5, "{case}");
                        let clipped = clip.is_some_and(|c| statistics.kl > c);
                        let counted = if clipped { clip.unwrap() } else { statistics.kl };
                        assert_eq!(found.loss, 0.75 * counted, "{case}");
                        assert_eq!(found.gradient.dtype(), dtype);
                        // Half a unit in the last place, and below the smallest normal number its spacing.
                        let (relative, absolute) = match dtype {
                            DType::F16 => (1.0 / 2048.0, 6e-8),
                            DType::BF16 => (1.0 / 256.0, 1e-9),
                            _ => (0.0, 0.0),
                        };
                        for (i, (g, w)) in wide(found.gradient).iter().zip(&wanted.gradient).enumerate() {
                            let w = if clipped { 0.0 } else { 0.75 * w };
                            let bound = GRADIENT * wanted.magnitude[i] + relative * w.abs() + absolute;
                            assert!((g - w).abs() <= bound, "{case} entry {i}: {g:e} and {w:e}");
                        }
                    }
                }
            }
        }
    }
}

pub(crate) fn the_gradient_equals_finite_differences(on: &Device) {
    let (s, t) = (normal(1, 37, 1.5), normal(2, 37, 1.5));
    let (ws, wt) = (wide(one(&s, on)), wide(one(&t, on)));
    for direction in DIRECTIONS {
        for temperature in [0.7, 1.0, 3.0] {
            let found = span_kl(one(&s, on), one(&t, on), &[row(direction, 2.0, None)], temperature).unwrap();
            for (i, g) in host(found.gradient).iter().enumerate() {
                let at = |step: f64| {
                    let mut moved = ws.clone();
                    moved[i] += step;
                    2.0 * exact(&moved, &wt, direction, temperature).kl
                };
                let wanted = (at(1e-5) - at(-1e-5)) / 2e-5;
                assert!((f64::from(*g) - wanted).abs() < 1e-6, "{direction:?} τ {temperature} entry {i}");
            }
        }
    }
}

pub(crate) fn equal_logits_have_exactly_no_divergence_and_no_gradient(on: &Device) {
    for dtype in precisions(on) {
        for direction in DIRECTIONS {
            for vocabulary in [1, 17, 5000] {
                let logits = matrix(&normal(3, 2 * vocabulary, 6.0), 2, dtype, on);
                let rows = [row(direction, 1.0, None); 2];
                let found = span_kl(logits.clone(), logits, &rows, 1.0).unwrap();
                assert!(found.loss == 0.0 && found.rows.iter().all(|r| r.kl == 0.0 && r.agrees));
                assert!(host(found.gradient).iter().all(|g| *g == 0.0));
            }
        }
    }
}

pub(crate) fn an_offset_of_ten_thousand_costs_no_precision(on: &Device) {
    // Multiples of 1/64 stay exact beside the offset.
    let grid = |x: Vec<f32>| -> Vec<f32> { x.into_iter().map(|v| (v * 64.0).round() / 64.0).collect() };
    let (s, t) = pair(5, 3001);
    let (s, t) = (grid(s), grid(t));
    for direction in DIRECTIONS {
        let (plain, gradient) = single(&s, &t, direction, on);
        for offset in [1e4, -1e4] {
            let moved: Vec<f32> = t.iter().map(|v| v + offset).collect();
            assert_eq!(single(&s, &moved, direction, on), (plain, gradient.clone()));
        }
    }
}

pub(crate) fn extreme_logits_stay_stable(on: &Device) {
    for direction in DIRECTIONS {
        let (kl, gradient) = single(&[1e4, -1e4, 0.0], &[1e4, 0.0, -1e4], direction, on);
        assert!(kl == 0.0 && gradient.iter().all(|g| *g == 0.0), "one-hot on the same token");
        let (kl, gradient) = single(&[1e4, -1e4, 0.0], &[-1e4, 0.0, 1e4], direction, on);
        assert!(kl >= 1e4 && kl.is_finite() && gradient.iter().all(|g| g.is_finite()), "{direction:?} {kl}");
        let (kl, gradient) = single(&[3e38, -3e38], &[-3e38, 3e38], direction, on);
        assert!(!kl.is_nan() && gradient.iter().all(|g| g.is_finite()));
    }
}

pub(crate) fn a_token_that_both_exclude_counts_nothing(on: &Device) {
    let (mut s, mut t) = pair(7, 1500);
    for direction in DIRECTIONS {
        let without = single(&s[..1400], &t[..1400], direction, on);
        s[1400..].fill(-INF);
        t[1400..].fill(-INF);
        let (kl, gradient) = single(&s, &t, direction, on);
        assert!((kl - without.0).abs() < 0.1 * KL, "{kl} and {}", without.0);
        assert_eq!(gradient[1400..], [0.0; 100]);
        // And where whole blocks come before the first finite logit.
        let pad = |x: &[f32]| [vec![-INF; 2048], x.to_vec()].concat();
        let (kl, _) = single(&pad(&s), &pad(&t), direction, on);
        assert!((kl - without.0).abs() < 0.1 * KL, "{kl} and {}", without.0);
    }
}

pub(crate) fn a_token_that_one_side_excludes_gives_infinity_and_no_gradient_that_is_no_number(on: &Device) {
    let (full, mut holed) = pair(9, 3000);
    for place in [0, 1023, 2999] {
        holed[place] = -INF;
        let cases = [(&holed, &full, Direction::Forward), (&full, &holed, Direction::Reverse)];
        for (student, teacher, direction) in cases {
            let (kl, gradient) = single(student, teacher, direction, on);
            assert_eq!(kl, f64::INFINITY);
            assert!(gradient.iter().all(|g| g.is_finite()));
            let clipped =
                span_kl(one(student, on), one(teacher, on), &[row(direction, 0.5, Some(3.0))], 1.0).unwrap();
            assert_eq!((clipped.loss, clipped.rows[0].kl), (1.5, f64::INFINITY));
            assert!(host(clipped.gradient).iter().all(|g| *g == 0.0));
            // The other direction never asks for the excluded token's probability.
            let other = DIRECTIONS.into_iter().find(|d| *d != direction).unwrap();
            assert!(single(student, teacher, other, on).0.is_finite());
        }
    }
}

pub(crate) fn an_excluded_token_without_probability_counts_nothing_wherever_it_is(on: &Device) {
    let (mut full, mut holed) = pair(11, 2500);
    for place in [3, 2400] {
        let (low, hole) = (full[place], holed[place]);
        (full[place], holed[place]) = (-200.0, -INF);
        let (kl, _) = single(&holed, &full, Direction::Forward, on);
        assert!(kl.is_finite() && kl < 0.2, "{kl}");
        (full[place], holed[place]) = (low, hole);
    }
    // The token is likely among the first block's, and nothing any more once the last block is known.
    (full[3], holed[3]) = (20.0, -INF);
    (full[2400], holed[2400]) = (300.0, 300.0);
    assert!(single(&holed, &full, Direction::Forward, on).0.abs() < 1e-6);
}

pub(crate) fn what_is_no_distribution_is_reported_and_has_no_gradient(on: &Device) {
    let fine = [0.0, 1.0, 2.0];
    for broken in [[f32::NAN, 0.0, 0.0], [INF, 0.0, 0.0], [-INF, -INF, -INF]] {
        for direction in DIRECTIONS {
            for (student, teacher) in [(broken, fine), (fine, broken)] {
                let (kl, gradient) = single(&student, &teacher, direction, on);
                assert!(kl.is_nan(), "{broken:?} {direction:?} {kl}");
                assert!(gradient.iter().all(|g| g.is_finite()), "{broken:?} {gradient:?}");
            }
        }
    }
}

pub(crate) fn agreement_is_that_of_the_first_largest_logits(on: &Device) {
    let agrees = |s: &[f32], t: &[f32]| {
        span_kl(one(s, on), one(t, on), &[row(Direction::Forward, 1.0, None)], 1.0).unwrap().rows[0].agrees
    };
    assert!(agrees(&[1.0, 3.0, 3.0], &[0.0, 5.0, 4.0]));
    assert!(!agrees(&[1.0, 3.0, 3.5], &[0.0, 5.0, 4.0]));
    let (mut s, mut t) = (normal(1, 4000, 1.0), normal(2, 4000, 1.0));
    (s[3500], t[3500]) = (9.0, 9.5);
    assert!(agrees(&s, &t));
    t[100] = 9.5;
    assert!(!agrees(&s, &t));
}

pub(crate) fn no_rows_and_rows_without_weight_give_no_loss(on: &Device) {
    let found = span_kl(matrix(&[], 0, DType::F32, on), matrix(&[], 0, DType::F32, on), &[], 1.0).unwrap();
    assert_eq!((found.loss, found.rows.len(), found.gradient.dims()), (0.0, 0, [0, 5]));
    let (s, t) = pair(13, 40);
    let found = span_kl(one(&s, on), one(&t, on), &[row(Direction::Reverse, 0.0, None)], 1.0).unwrap();
    assert!(found.loss == 0.0 && found.rows[0].kl > 0.0);
    assert!(host(found.gradient).iter().all(|g| *g == 0.0));
}

pub(crate) fn more_rows_than_a_device_launches_along_one_axis_are_all_computed(on: &Device) {
    let count = 70_000;
    let (student, teacher) = ([0.0, 1.0].repeat(count), [1.0, 0.5].repeat(count));
    let student = matrix(&student, count, DType::F32, on);
    let teacher = matrix(&teacher, count, DType::F32, on);
    let rows = vec![row(Direction::Forward, 1.0, None); count];
    let found = span_kl(student, teacher, &rows, 1.0).unwrap();
    let wanted = exact(&[0.0, 1.0], &[1.0, 0.5], Direction::Forward, 1.0);
    assert!(found.rows.iter().all(|row| (row.kl - wanted.kl).abs() < KL && !row.agrees));
    let slopes = host(found.gradient);
    assert!(slopes.chunks(2).all(|pair| (f64::from(pair[0]) - wanted.gradient[0]).abs() < KL));
}

pub(crate) fn a_tensor_that_is_still_held_does_not_change(on: &Device) {
    let (s, t) = pair(15, 500);
    for dtype in precisions(on) {
        let (student, teacher) = (matrix(&s, 1, dtype, on), matrix(&t, 1, dtype, on));
        let before = (host(student.clone()), host(teacher.clone()));
        let rows = [row(Direction::Forward, 1.0, None)];
        let found = span_kl(student.clone(), teacher.clone(), &rows, 1.0).unwrap();
        assert_ne!(host(found.gradient), before.0);
        assert_eq!((host(student), host(teacher)), before);
    }
}

pub(crate) fn stacked_and_strided_logits_give_the_same(on: &Device) {
    let (s, t) = pair(17, 3 * 1100);
    let rows = [
        row(Direction::Forward, 1.0, None),
        row(Direction::Reverse, 0.5, Some(1e-3)),
        row(Direction::Reverse, 2.0, None),
    ];
    let (student, teacher) = (matrix(&s, 3, DType::F32, on), matrix(&t, 3, DType::F32, on));
    let apart = span_kl(student.clone(), teacher.clone(), &rows, 1.5).unwrap();
    let wanted = host(apart.gradient);
    let stacked = Tensor::cat(vec![student.clone(), teacher.clone()], 0);
    let strided = |x: Tensor<2>| (x.transpose() * 1.0).transpose();
    for found in [
        span_kl_stacked(stacked.clone(), &rows, 1.5).unwrap(),
        span_kl(stacked.clone().narrow(0, 0, 3), stacked.narrow(0, 3, 3), &rows, 1.5).unwrap(),
        span_kl(strided(student), strided(teacher), &rows, 1.5).unwrap(),
    ] {
        assert_eq!((found.loss, &found.rows), (apart.loss, &apart.rows));
        assert_eq!(found.gradient.dims(), [3, 1100]);
        assert_eq!(host(found.gradient), wanted);
    }
}

pub(crate) fn the_plain_operators_agree(on: &Device) {
    let (s, t) = (normal(19, 6 * 777, 2.0), normal(20, 6 * 777, 2.0));
    let rows = [
        row(Direction::Forward, 1.0, None),
        row(Direction::Reverse, 0.5, None),
        row(Direction::Reverse, 0.5, Some(0.1)),
        row(Direction::Forward, 2.0, Some(0.1)),
        row(Direction::Forward, 0.0, None),
        row(Direction::Reverse, 0.25, Some(1e6)),
    ];
    for temperature in [1.0, 4.0] {
        let (student, teacher) = (matrix(&s, 6, DType::F32, on), matrix(&t, 6, DType::F32, on));
        let plain = span_kl_reference(student.clone(), teacher.clone(), &rows, temperature).unwrap();
        let fused = span_kl(student, teacher, &rows, temperature).unwrap();
        assert!((plain.loss - fused.loss).abs() < 1e-5);
        for (a, b) in plain.rows.iter().zip(&fused.rows) {
            assert!((a.kl - b.kl).abs() < 1e-5 && a.agrees == b.agrees);
            assert!((a.student_entropy - b.student_entropy).abs() < 1e-5);
            assert!((a.teacher_entropy - b.teacher_entropy).abs() < 1e-5);
        }
        for (a, b) in host(plain.gradient).iter().zip(host(fused.gradient)) {
            assert!((a - b).abs() < 1e-6);
        }
    }
}

pub(crate) fn autodiff_gets_the_gradient_times_what_comes_from_above(on: &Device) {
    let (s, t) = pair(21, 2 * 300);
    let rows = [row(Direction::Forward, 1.0, None), row(Direction::Reverse, 0.5, Some(1e3))];
    for dtype in precisions(on) {
        let (student, teacher) = (matrix(&s, 2, dtype, on), matrix(&t, 2, dtype, on));
        let wanted = span_kl(student.clone(), teacher.clone(), &rows, 1.0).unwrap();
        let leaf = Tensor::from_inner(student).require_grad();
        let doubled = Tensor::from_inner(teacher.clone() * 2.0);
        let loss = span_kl_loss(leaf.clone() * 2.0, doubled, &rows, 2.0).unwrap() * 3.0;
        assert!((f64::from(loss.clone().into_scalar::<f32>()) - 3.0 * wanted.loss).abs() < 1e-5);
        // The doubled logits at twice the temperature are the same distributions.
        let gradient = host(leaf.grad(&loss.backward()).unwrap());
        let bound = if dtype == DType::F32 { 1e-6 } else { 1e-2 };
        for (found, wanted) in gradient.iter().zip(host(wanted.gradient)) {
            assert!((found - 3.0 * wanted).abs() <= bound * wanted.abs().max(0.1), "{found} and 3·{wanted}");
        }
    }
}

pub(crate) fn divergence_and_gradient_hold_for_any_logits(on: &Device) {
    let logits = prop::collection::vec((-40.0f32..40.0, -40.0f32..40.0), 1..2500);
    any_of(&(logits, any::<bool>(), 0.5f64..8.0), |(logits, forward, temperature)| {
        let (s, t): (Vec<f32>, Vec<f32>) = logits.into_iter().unzip();
        let direction = if forward { Direction::Forward } else { Direction::Reverse };
        let wanted = exact(&wide(one(&s, on)), &wide(one(&t, on)), direction, temperature);
        let losses = [row(direction, 1.0, None)];
        let found = span_kl(one(&s, on), one(&t, on), &losses, temperature).unwrap();
        let kl = found.rows[0].kl;
        prop_assert!(kl >= -1e-6);
        prop_assert!((kl - wanted.kl).abs() < KL * wanted.kl.max(1.0), "{kl} and {}", wanted.kl);
        for ((g, w), size) in wide(found.gradient).iter().zip(&wanted.gradient).zip(&wanted.magnitude) {
            prop_assert!((g - w).abs() <= GRADIENT * size + 1e-36, "{g} and {w}");
        }
        Ok(())
    });
}

pub(crate) fn any_token_may_be_excluded_without_a_gradient_that_is_no_number(on: &Device) {
    let logit = || prop_oneof![4 => -20.0f32..20.0, 1 => Just(-INF)];
    let logits = prop::collection::vec((logit(), logit()), 1..1500);
    any_of(&(logits, any::<bool>()), |(logits, forward)| {
        let (mut s, mut t): (Vec<f32>, Vec<f32>) = logits.into_iter().unzip();
        s.push(0.0);
        t.push(0.0);
        let direction = if forward { Direction::Forward } else { Direction::Reverse };
        let wanted = exact(&wide(one(&s, on)), &wide(one(&t, on)), direction, 1.0).kl;
        let (kl, gradient) = single(&s, &t, direction, on);
        prop_assert!(kl == wanted || (kl - wanted).abs() < 1e-5, "{kl} and {wanted}");
        prop_assert!(gradient.iter().all(|g| g.is_finite()));
        Ok(())
    });
}

/// Tries the same examples in every run.
fn any_of<S: Strategy>(examples: &S, holds: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    TestRunner::new_with_rng(ProptestConfig::with_cases(128), rng).run(examples, holds).unwrap();
}
