//! A differentiable operator, forward and backward.
//!
//! The gradient needs no formula: along a direction `d` it is the slope of `Σ u ⊙ f(x + εd)`, which the formula of the
//! forward gives in f64 to nine digits.

use super::bench::Cases;
use crate::check::Bounds;
use crate::host::Matrix;
use crate::numbers::{download, drawn, relative_error, upload};
use burn::tensor::Tensor;

/// Half of the way along a direction over which a slope is taken.
const STEP: f64 = 1e-5;
/// Directions for each input: one that by chance is across an error does not hide it.
const DIRECTIONS: u64 = 4;

/// An operator on matrices.
pub(super) type Function<'a> = &'a dyn Fn(&[Tensor<2>]) -> Tensor<2>;
/// Its formula.
pub(super) type Formula<'a> = &'a dyn Fn(&[&Matrix]) -> Matrix;

impl Cases<'_> {
    /// Checks an operator of these inputs against its formula, both ways.
    pub(super) fn both_ways(
        &mut self,
        name: &str,
        bounds: Bounds,
        inputs: &[Matrix],
        operator: Function,
        formula: Formula,
    ) {
        let device = self.device;
        self.check(name, bounds, || {
            let tensors: Vec<Tensor<2>> = inputs.iter().map(|input| upload(input, device)).collect();
            let found = download(operator(&tensors))?;
            let wanted = formula(&inputs.iter().collect::<Vec<_>>());
            Ok(relative_error(&found.values, &wanted.values))
        });
        self.check(&format!("{name}, backward"), bounds, || {
            let leaves: Vec<Tensor<2>> =
                inputs.iter().map(|x| Tensor::from_inner(upload(x, device)).require_grad()).collect();
            let output = operator(&leaves);
            let [rows, columns] = output.dims();
            let upstream = drawn(90, rows, columns);
            let loss = (output * Tensor::from_inner(upload(&upstream, device))).sum();
            let gradients = loss.backward();
            let mut worst = 0.0f64;
            for (number, leaf) in leaves.iter().enumerate() {
                let gradient = leaf.grad(&gradients).ok_or("an input has no gradient")?;
                let gradient = download(gradient)?;
                let slope = |direction: &Matrix| slope(inputs, number, direction, &upstream, formula);
                worst = worst.max(gradient_error(&gradient, &slope));
            }
            Ok(worst)
        });
    }
}

/// The slope of `Σ u ⊙ f` where one input moves along a direction.
fn slope(inputs: &[Matrix], number: usize, direction: &Matrix, upstream: &Matrix, formula: Formula) -> f64 {
    let at = |step: f64| {
        let moved = inputs[number].with(direction, |x, d| x + step * d);
        let mut all: Vec<&Matrix> = inputs.iter().collect();
        all[number] = &moved;
        formula(&all).dot(upstream)
    };
    (at(STEP) - at(-STEP)) / (2.0 * STEP)
}

/// Largest difference between a gradient and the slopes along some directions, relative to the gradient's length: a
/// direction of normal numbers has the length of a single one along any other. Not finite where a number is not.
pub(super) fn gradient_error(gradient: &Matrix, slope: &dyn Fn(&Matrix) -> f64) -> f64 {
    let length = gradient.dot(gradient).sqrt();
    if !length.is_finite() {
        return f64::INFINITY;
    }
    let error = |stream| {
        let direction = drawn(stream, gradient.rows, gradient.columns);
        let wanted = slope(&direction);
        // A gradient that is gone is as wrong as the slope is steep.
        (gradient.dot(&direction) - wanted).abs() / length.max(f64::MIN_POSITIVE)
    };
    (100..100 + DIRECTIONS).map(error).fold(0.0, f64::max)
}
