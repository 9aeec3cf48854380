//! Weights that are kept in less than f32, with x in f32: against f64 of the values that they stand for.
#![cfg(feature = "flex")]

use crate::common::normal;
use crate::projection::{exact, values};
use burn::tensor::{DType, Device, Tensor, TensorData};
use vigos_kernels::{
    AdamWStep, Bits, Moments, Quantised, Update, Weight, adamw, adamw_reference, adapted, adapted_reference,
};

/// Rounding of an f32 sum, relative to the sum of its absolute terms.
const ROUNDING: f64 = 1e-6;
/// What a matrix unit leaves of a value that it multiplies with bf16.
const OF_HALVES: f64 = 1.0 / (1 << 18) as f64;

/// Rows, inputs, outputs: less than a block, whole blocks, some behind them, more panels than one; few rows, those of which each
/// core has panels of its own, and so many that all share one.
const SHAPES: [[usize; 3]; 9] = [
    [1, 1, 1],
    [2, 64, 5],
    [3, 130, 70],
    [5, 700, 33],
    [16, 256, 65],
    [33, 130, 47],
    [40, 2048, 300],
    [300, 700, 400],
    [513, 130, 47],
];

fn of(seed: u64, [rows, columns]: [usize; 2]) -> Tensor<2> {
    let data = TensorData::new(normal(seed, rows * columns, 1.0), [rows, columns]);
    Tensor::from_data(data, (&Device::flex(), DType::F32))
}

/// The same weight in every form.
fn kept(seed: u64, shape: [usize; 2]) -> Vec<(&'static str, Weight)> {
    let numbers = normal(seed, shape[0] * shape[1], 1.0);
    let quantised = |bits| Weight::Quantised(Quantised::new(&numbers, shape, bits, &Device::flex()));
    vec![
        ("f32", of(seed, shape).into()),
        ("bf16", of(seed, shape).cast(DType::BF16).into()),
        ("int8", quantised(Bits::Eight)),
        ("int4", quantised(Bits::Four)),
    ]
}

#[track_caller]
fn near(found: &Tensor<2>, wanted: &[(f64, f64)], what: &str) {
    let found = values(found);
    assert_eq!(found.len(), wanted.len(), "{what}");
    let rounding = if what.starts_with("bf16") { ROUNDING + OF_HALVES } else { ROUNDING };
    for (found, (wanted, terms)) in found.iter().zip(wanted) {
        assert!((found - wanted).abs() <= rounding * terms, "{what}: found {found}, wanted {wanted}");
    }
}

#[test]
fn products_both_ways_are_those_of_the_values_that_are_kept() {
    for [rows, inputs, outputs] in SHAPES {
        for (name, weight) in kept(3, [outputs, inputs]) {
            let what = format!("{name} {rows} {inputs} {outputs}");
            let (x, upstream) = (of(1, [rows, inputs]), of(2, [rows, outputs]));
            let wide = weight.wide(DType::F32);
            let leaf = Tensor::from_inner(x.clone()).require_grad();
            let y = adapted(leaf.clone(), &weight, None, None);
            near(&y.clone().inner(), &exact(&x, &wide.clone().transpose()), &what);
            let gradients = (y * Tensor::from_inner(upstream.clone())).sum().backward();
            near(&leaf.grad(&gradients).unwrap(), &exact(&upstream, &wide), &format!("{what}, back"));
        }
    }
}

#[test]
fn a_row_has_the_same_bits_whatever_the_others_are() {
    let x = of(1, [32, 330]);
    for (name, weight) in kept(3, [90, 330]) {
        let all = adapted(x.clone(), &weight, None, None);
        for row in 0..32 {
            let alone = adapted(x.clone().narrow(0, row, 1), &weight, None, None);
            assert_eq!(values(&alone), values(&all.clone().narrow(0, row, 1)), "{name}, row {row}");
        }
    }
}

#[test]
fn no_value_is_further_from_its_own_than_half_a_step_of_its_group() {
    let shape = [7, 150];
    let numbers: Vec<f32> =
        normal(5, shape[0] * shape[1], 1.0).iter().enumerate().map(|(i, v)| v * (i % 9) as f32).collect();
    for bits in [Bits::Eight, Bits::Four] {
        let weight = Weight::Quantised(Quantised::new(&numbers, shape, bits, &Device::flex()));
        let found = values(&weight.wide(DType::F32));
        for (wanted, found) in numbers.chunks(shape[1]).zip(found.chunks(shape[1])) {
            for (wanted, found) in wanted.chunks(64).zip(found.chunks(64)) {
                let most = wanted.iter().fold(0.0f32, |most, value| most.max(value.abs()));
                let half = f64::from(most) / f64::from(bits.largest()) / 2.0;
                for (wanted, found) in wanted.iter().zip(found) {
                    let error = (f64::from(*wanted) - found).abs();
                    assert!(error <= half * (1.0 + 1e-5), "{bits:?}: {wanted} became {found}");
                }
            }
        }
    }
}

#[test]
fn values_that_are_no_numbers_stay_none() {
    let mut numbers = vec![1.0f32; 128];
    numbers[70] = f32::INFINITY;
    let weight = Quantised::new(&numbers, [1, 128], Bits::Eight, &Device::flex());
    let found = values(&Weight::Quantised(weight).wide(DType::F32));
    assert!(found[..64].iter().all(|value| (value - 1.0).abs() < 1e-6), "{found:?}");
    assert!(found[64..].iter().all(|value| value.is_nan()), "{found:?}");
}

#[test]
fn an_update_beside_a_quantised_layer_is_the_one_of_separate_operators() {
    for rows in [3, 40] {
        for (name, weight) in kept(3, [50, 70]) {
            let run = |layer: fn(Tensor<2>, &Weight, Option<&Tensor<2>>, Option<Update>) -> Tensor<2>| {
                let leaf = |tensor: Tensor<2>| Tensor::from_inner(tensor).require_grad();
                let leaves = [leaf(of(1, [rows, 70])), leaf(of(4, [4, 70])), leaf(of(6, [50, 4]))];
                let [x, a, b] = leaves.clone();
                let update = Update { dropped: None, a, b, scale: 0.5 };
                let y = layer(x, &weight, Some(&of(8, [1, 50])), Some(update));
                let gradients = (y.clone() * Tensor::from_inner(of(7, [rows, 50]))).sum().backward();
                let mut found = vec![values(&y.inner())];
                found.extend(leaves.iter().map(|leaf| values(&leaf.grad(&gradients).unwrap())));
                found
            };
            let (found, wanted) = (run(adapted), run(adapted_reference));
            for (part, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
                let largest = wanted.iter().fold(1.0f64, |most, value| most.max(value.abs()));
                for (found, wanted) in found.iter().zip(wanted) {
                    let bound = 3e-6 * largest;
                    assert!((found - wanted).abs() <= bound, "{name} {rows}, part {part}: {found} {wanted}");
                }
            }
        }
    }
}

#[test]
fn an_update_of_the_optimiser_has_the_bits_of_separate_operators() {
    for decay in [0.0, 0.1] {
        let zeros = || of(1, [300, 70]).zeros_like();
        let mut ours = (of(1, [300, 70]), Moments { mean: zeros(), square: zeros() });
        let mut theirs = ours.clone();
        for update in 1..4 {
            let left = |beta: f64| 1.0 - beta.powi(update);
            let corrections = (left(0.9), left(0.999));
            let step = AdamWStep { lr: 1e-3, betas: (0.9, 0.999), corrections, epsilon: 1e-8, decay };
            let gradient = of(10 + update as u64, [300, 70]);
            ours = adamw(ours.0, gradient.clone(), ours.1, step);
            theirs = adamw_reference(theirs.0, gradient, theirs.1, step);
            for (ours, theirs) in
                [(&ours.0, &theirs.0), (&ours.1.mean, &theirs.1.mean), (&ours.1.square, &theirs.1.square)]
            {
                assert_eq!(values(ours), values(theirs), "update {update}");
            }
        }
    }
}
