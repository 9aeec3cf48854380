//! Estimators against their definitions.

use proptest::prelude::*;
use vigos_eval::{Mean, pass_at};

/// The share of the k-subsets of n answers, the first `right` of which are right, that hold a right one.
fn by_counting(k: usize, n: usize, right: usize) -> f64 {
    let subsets: Vec<u32> = (0..1u32 << n).filter(|set| set.count_ones() as usize == k).collect();
    let hits = subsets.iter().filter(|set| *set & ((1 << right) - 1) != 0).count();
    hits as f64 / subsets.len() as f64
}

#[test]
fn pass_at_k_is_the_share_of_subsets_with_a_right_answer() {
    for n in 1..=10 {
        for right in 0..=n {
            for k in 1..=n {
                let (found, wanted) = (pass_at(k, n, right), by_counting(k, n, right));
                assert!((found - wanted).abs() < 1e-14, "k {k}, n {n}, right {right}: {found}, {wanted}");
            }
        }
    }
}

#[test]
fn pass_at_all_samples_is_whether_any_is_right() {
    assert_eq!([pass_at(5, 5, 0), pass_at(5, 5, 1), pass_at(5, 5, 5)], [0.0, 1.0, 1.0]);
    assert!((pass_at(1, 10_000, 2_500) - 0.25).abs() < 1e-15);
}

#[test]
fn a_mean_has_its_standard_error() {
    let mean = Mean::of(&[1.0, 2.0, 3.0, 6.0]);
    // Sample variance 14/3, over 4 values.
    assert_eq!((mean.value, mean.n), (3.0, 4));
    assert!((mean.standard_error.unwrap() - (14.0f64 / 12.0).sqrt()).abs() < 1e-15);
    assert_eq!(Mean::of(&[0.5]), Mean { value: 0.5, standard_error: None, n: 1 });
    assert_eq!(Mean::of(&[]), Mean { value: 0.0, standard_error: None, n: 0 });
}

proptest! {
    #[test]
    fn more_answers_never_pass_less(n in 1usize..200, right in 0usize..200, k in 1usize..200) {
        let (right, k) = (right.min(n), k.min(n));
        let pass = pass_at(k, n, right);
        prop_assert!((0.0..=1.0).contains(&pass));
        prop_assert!(pass_at(1, n, right) <= pass + 1e-12);
        prop_assert!((pass_at(1, n, right) - right as f64 / n as f64).abs() < 1e-12);
    }
}
