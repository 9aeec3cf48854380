//! What follows the model: a token is drawn, weights are updated.

use super::bench::Bench;
use super::case::{Case, Pass, moving};
use burn::tensor::activation::softmax;
use burn::tensor::{Int, Tensor};
use vigos_core::random::Key;
use vigos_kernels::{AdamWStep, Moments, adamw, adamw_reference};
use vigos_rollout::sampler::{Sampling, Seen};

pub(super) fn measure(bench: &mut Bench) {
    draw(bench);
    update(bench);
}

/// One token from one row of logits on the host, against sorting them on the device.
fn draw(bench: &mut Bench) {
    let vocabulary = bench.sizes.vocabulary.get();
    let logits = bench.random(1, vocabulary) * 3.0;
    // A device that fails shows in the measurements of others.
    let values: Vec<f32> = logits.clone().try_into_vec_as().unwrap_or_default();
    let (sampling, seen) = (Sampling::default(), Seen::default());
    let case = Case {
        name: "sampler",
        pass: Pass::Forward,
        shape: vec![1, vocabulary],
        dtype: "f32",
        work: moving(vocabulary),
    };
    bench.compare(
        case,
        || sampling.draw(&values, &seen, Key::default()),
        || sorted(logits.clone(), &sampling),
    );
}

/// Temperature, top-k and top-p by sorting, and the token at half of what is left.
fn sorted(logits: Tensor<2>, sampling: &Sampling) -> Tensor<2, Int> {
    let count = logits.dims()[1].min(sampling.top_k.max(1));
    let (scores, ids) = (logits / sampling.temperature).sort_descending_with_indices(1);
    let chances = softmax(scores.narrow(1, 0, count), 1);
    let before = chances.clone().cumsum(1) - chances.clone();
    let chances = chances.mask_fill(before.greater_equal_elem(sampling.top_p), 0.0);
    let middle = chances.clone().sum_dim(1) * 0.5;
    let place = chances.cumsum(1).lower(middle.expand([1, count])).int().sum_dim(1);
    ids.gather(1, place)
}

/// AdamW on one tensor of the width's square.
fn update(bench: &mut Bench) {
    let width = bench.sizes.width.get();
    let of = || bench.random(width, width);
    let (weight, gradient) = (of(), of());
    let fresh = || Moments { mean: weight.zeros_like(), square: weight.zeros_like() };
    let (mut ours, mut theirs) = (Some((weight.clone(), fresh())), Some((weight.clone(), fresh())));
    let step =
        AdamWStep { lr: 1e-4, betas: (0.9, 0.999), corrections: (0.1, 0.001), epsilon: 1e-8, decay: 0.01 };
    let case = Case {
        name: "adamw",
        pass: Pass::Forward,
        shape: vec![width, width],
        dtype: "f32",
        work: moving(7 * width * width),
    };
    type Update = fn(Tensor<2>, Tensor<2>, Moments, AdamWStep) -> (Tensor<2>, Moments);
    let run = |state: &mut Option<(Tensor<2>, Moments)>, update: Update| {
        *state = state.take().map(|(weight, moments)| update(weight, gradient.clone(), moments, step));
    };
    bench.compare(case, || run(&mut ours, adamw), || run(&mut theirs, adamw_reference));
}
