//! What stands between a model's products, and the optimiser's update.

use super::bench::{Cases, ROUNDING};
use crate::host::{self, Matrix};
use crate::numbers::{download, drawn, relative_error, upload};
use burn::tensor::Tensor;
use vigos_kernels::{AdamWStep, Moments};

const ROWS: usize = 40;
/// Wider than a group of threads, so that a norm's sum is made of several.
const WIDTH: usize = 2_064;
/// Heads, and half of the width of one.
const HEADS: usize = 3;
const HALF: usize = 40;
const EPSILON: f64 = 1e-6;
const STEP: AdamWStep =
    AdamWStep { lr: 0.1, betas: (0.9, 0.999), corrections: (0.19, 0.001_999), epsilon: 1e-8, decay: 0.01 };

pub(super) fn check(cases: &mut Cases) {
    let (own, device) = (cases.own, cases.device);
    cases.both_ways(
        "norm",
        ROUNDING,
        &[drawn(10, ROWS, WIDTH), drawn(11, 1, WIDTH)],
        &|x| own.norm(x[0].clone(), &x[1], EPSILON),
        &|x| host::norm(x[0], x[1], EPSILON),
    );
    cases.both_ways(
        "swiglu",
        ROUNDING,
        &[drawn(12, ROWS, WIDTH), drawn(13, ROWS, WIDTH)],
        &|x| own.gated(x[0].clone(), x[1].clone()),
        &|x| host::gated(x[0], x[1]),
    );
    let angles = drawn(14, ROWS, HALF);
    let table = |of: fn(f64) -> f64| {
        let values = Matrix::of(ROWS, HALF, angles.values.iter().map(|angle| of(*angle)));
        upload(&values, device).reshape([ROWS, 1, HALF])
    };
    let (cos, sin) = (table(f64::cos), table(f64::sin));
    cases.both_ways(
        "rotary",
        ROUNDING,
        &[drawn(15, ROWS, HEADS * 2 * HALF)],
        &|x| {
            // Under autodiff the table comes along without a gradient.
            let like = |table: &Tensor<3>| match x[0].is_autodiff() {
                true => Tensor::from_inner(table.clone()),
                false => table.clone(),
            };
            let turned = own.rotate(x[0].clone().reshape([ROWS, HEADS, 2 * HALF]), &like(&cos), &like(&sin));
            turned.reshape([ROWS, HEADS * 2 * HALF])
        },
        &|x| host::rotate(x[0], &angles),
    );
    cases.check("adamw", ROUNDING, || {
        let [weight, gradient, mean] = [16, 17, 18].map(|stream| drawn(stream, ROWS, HALF));
        let square = Matrix::of(ROWS, HALF, drawn(19, ROWS, HALF).values.iter().map(|v| v * v * 0.01));
        // As f32 has it.
        let square = Matrix::of(ROWS, HALF, square.values.iter().map(|v| f64::from(*v as f32)));
        let there = |matrix: &Matrix| upload(matrix, device);
        let moments = Moments { mean: there(&mean), square: there(&square) };
        let (found, moments) = own.adamw(there(&weight), there(&gradient), moments, STEP);
        let AdamWStep { lr, betas, corrections, epsilon, decay } = STEP;
        let mean = mean.with(&gradient, |m, g| betas.0 * m + (1.0 - betas.0) * g);
        let square = square.with(&gradient, |s, g| betas.1 * s + (1.0 - betas.1) * g * g);
        let change =
            mean.with(&square, |m, s| lr * (m / corrections.0) / ((s / corrections.1).sqrt() + epsilon));
        let weight = weight.with(&change, |w, c| w * (1.0 - lr * decay) - c);
        let mut worst = 0.0f64;
        for (found, wanted) in [(found, weight), (moments.mean, mean), (moments.square, square)] {
            worst = worst.max(relative_error(&download(found)?.values, &wanted.values));
        }
        Ok(worst)
    });
}
