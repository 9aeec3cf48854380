//! Products with a frozen bf16 weight against f64, and against the plain product.

use burn::tensor::{DType, Device, Distribution, Tensor};
use vigos_kernels::{project, project_back};

/// Half a unit in the last of bf16's eight bits, relative; the f32 sum below it adds next to nothing.
const ROUNDING: f64 = 1.0 / 256.0;

fn random(shape: [usize; 2]) -> Tensor<2> {
    let normal = Distribution::Normal(0.0, 1.0);
    Tensor::<2>::random(shape, normal, (&Device::flex(), DType::F32)).cast(DType::BF16)
}

pub fn values(tensor: &Tensor<2>) -> Vec<f64> {
    let values: Vec<f32> = tensor.clone().cast(DType::F32).try_into_vec_as().unwrap();
    values.into_iter().map(f64::from).collect()
}

/// `left·right` in f64, and the sum of the absolute products: what rounding is relative to.
pub fn exact(left: &Tensor<2>, right: &Tensor<2>) -> Vec<(f64, f64)> {
    let ([rows, inner], columns) = (left.dims(), right.dims()[1]);
    let (left, right) = (values(left), values(right));
    let term = |row: usize, column: usize, i: usize| left[row * inner + i] * right[i * columns + column];
    let cells = (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column)));
    cells
        .map(|(row, column)| {
            let terms = || (0..inner).map(|i| term(row, column, i));
            (terms().sum::<f64>(), terms().map(f64::abs).sum::<f64>())
        })
        .collect()
}

#[track_caller]
fn assert_rounded(found: &Tensor<2>, wanted: &[(f64, f64)], what: &str) {
    assert_eq!(found.dtype(), DType::BF16, "{what}");
    let found = values(found);
    assert_eq!(found.len(), wanted.len(), "{what}");
    for (found, (wanted, terms)) in found.iter().zip(wanted) {
        let bound = ROUNDING * wanted.abs() + 1e-6 * terms;
        assert!((found - wanted).abs() <= bound, "{what}: found {found}, wanted {wanted}");
    }
}

/// Shapes with less than a block, several blocks, a last block that is not full, and a single row.
const SHAPES: [[usize; 3]; 5] = [[1, 1, 1], [3, 40, 70], [1, 700, 900], [5, 3000, 203], [20, 513, 1030]];

#[test]
fn products_both_ways_are_f64_rounded_once() {
    for [rows, inputs, outputs] in SHAPES {
        let what = format!("{rows} {inputs} {outputs}");
        let (x, y, weight) = (random([rows, inputs]), random([rows, outputs]), random([outputs, inputs]));
        assert_rounded(&project(x.clone(), &weight), &exact(&x, &weight.clone().transpose()), &what);
        assert_rounded(&project_back(y.clone(), &weight), &exact(&y, &weight), &what);
    }
}

#[test]
fn views_are_taken_as_they_are() {
    let (wide, weight) = (random([7, 90]), random([33, 50]));
    let x = wide.narrow(1, 20, 50).narrow(0, 2, 4);
    let wanted = exact(&x, &weight.clone().transpose());
    assert_rounded(&project(x.clone(), &weight), &wanted, "narrow");
    let turned = weight.clone().transpose().mul_scalar(1.0).transpose();
    assert_rounded(&project(x, &turned), &wanted, "transposed");
}

#[test]
fn the_gradient_is_the_way_back_and_the_weight_has_none() {
    let (x, weight, upstream) = (random([6, 80]), random([45, 80]), random([6, 45]));
    let leaf = Tensor::from_inner(x).require_grad();
    let output = project(leaf.clone(), &weight);
    let gradients = (output * Tensor::from_inner(upstream.clone())).sum().backward();
    let found = leaf.grad(&gradients).unwrap();
    assert_eq!(values(&found), values(&project_back(upstream, &weight)));
}

#[test]
fn many_rows_in_f32_are_f64_up_to_the_rounding_of_a_sum() {
    for [rows, inputs, outputs] in [[40, 60, 50], [100, 160, 230]] {
        let of = |shape: [usize; 2]| random(shape).cast(DType::F32);
        let (x, upstream, weight) = (of([rows, inputs]), of([rows, outputs]), of([outputs, inputs]));
        let near = |found: Tensor<2>, wanted: Vec<(f64, f64)>| {
            for (found, (wanted, terms)) in values(&found).iter().zip(wanted) {
                assert!(
                    (found - wanted).abs() <= 1e-6 * terms,
                    "{rows} {inputs} {outputs}: {found} {wanted}"
                );
            }
        };
        near(project(x.clone(), &weight), exact(&x, &weight.clone().transpose()));
        near(project_back(upstream.clone(), &weight), exact(&upstream, &weight));
    }
}

#[test]
fn few_rows_in_f32_are_f64_up_to_the_rounding_of_a_sum() {
    for [rows, inputs, outputs] in SHAPES {
        let (x, weight) =
            (random([rows, inputs]).cast(DType::F32), random([outputs, inputs]).cast(DType::F32));
        let found = values(&project(x.clone(), &weight));
        for (found, (wanted, terms)) in found.iter().zip(exact(&x, &weight.transpose())) {
            assert!((found - wanted).abs() <= 1e-6 * terms, "{rows} {inputs} {outputs}: {found} {wanted}");
        }
    }
}
