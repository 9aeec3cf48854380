//! The gate of an MLP on the CPU: one pass forward, one back, and the sigmoid again rather than kept.

use super::share::{PIECE, dense, tensor, values, write_rows, zeros};
use super::vector::{LANES, exp, filled, load, store};
use crate::gate::fused::GateBackend;
use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use macerator::{Scalar, Simd, Vector};
use rayon::prelude::*;

impl GateBackend for Flex {
    fn gated(gate: FlexTensor, up: FlexTensor) -> FlexTensor {
        let (gate, up) = (dense(gate), dense(up));
        let shape = gate.layout().shape().clone();
        let (gate, up) = (values(&gate), values(&up));
        let mut out = zeros(gate.len());
        write_rows(&mut out, 1, |first, out| {
            let all = first..first + out.len();
            forward(&gate[all.clone()], &up[all], out);
        });
        tensor(out, shape)
    }

    fn gated_back(gate: FlexTensor, up: FlexTensor, upstream: FlexTensor) -> (FlexTensor, FlexTensor) {
        let (gate, up, upstream) = (dense(gate), dense(up), dense(upstream));
        let shape = gate.layout().shape().clone();
        let (gate, up, upstream) = (values(&gate), values(&up), values(&upstream));
        let (mut of_gate, mut of_up) = (zeros(gate.len()), zeros(gate.len()));
        let inputs = gate.par_chunks(PIECE).zip(up.par_chunks(PIECE)).zip(upstream.par_chunks(PIECE));
        inputs.zip(of_gate.par_chunks_mut(PIECE).zip(of_up.par_chunks_mut(PIECE))).for_each(
            |(((gate, up), upstream), (of_gate, of_up))| back([gate, up, upstream], of_gate, of_up),
        );
        (tensor(of_gate, shape.clone()), tensor(of_up, shape))
    }
}

#[macerator::with_simd]
fn forward<S: Simd>(gate: &[f32], up: &[f32], out: &mut [f32]) {
    let whole = out.len() - out.len() % f32::lanes::<S>();
    forward_vectors::<S>(&gate[..whole], &up[..whole], &mut out[..whole]);
    let mut padded = [0.0f32; LANES];
    forward_vectors::<S>(&filled(&gate[whole..], 0.0), &filled(&up[whole..], 0.0), &mut padded);
    copy_beginning(&padded, &mut out[whole..]);
}

#[macerator::with_simd]
fn back<S: Simd>(inputs: [&[f32]; 3], of_gate: &mut [f32], of_up: &mut [f32]) {
    let whole = of_up.len() - of_up.len() % f32::lanes::<S>();
    let [gate, up, upstream] = inputs;
    let vectors = [&gate[..whole], &up[..whole], &upstream[..whole]];
    back_vectors::<S>(vectors, &mut of_gate[..whole], &mut of_up[..whole]);
    let (mut padded_gate, mut padded_up) = ([0.0f32; LANES], [0.0f32; LANES]);
    let rest = [gate, up, upstream].map(|input| filled(&input[whole..], 0.0));
    back_vectors::<S>([&rest[0], &rest[1], &rest[2]], &mut padded_gate, &mut padded_up);
    copy_beginning(&padded_gate, &mut of_gate[whole..]);
    copy_beginning(&padded_up, &mut of_up[whole..]);
}

/// The forward for whole vectors.
#[inline(always)]
fn forward_vectors<S: Simd>(gate: &[f32], up: &[f32], out: &mut [f32]) {
    let lanes = f32::lanes::<S>();
    for ((gate, up), out) in
        gate.chunks_exact(lanes).zip(up.chunks_exact(lanes)).zip(out.chunks_exact_mut(lanes))
    {
        let gate = load::<S>(gate);
        store::<S>(gate * sigmoid::<S>(gate) * load::<S>(up), out);
    }
}

/// The backward for whole vectors. With s = σ(gate): ∂gate = g·up·s·(1 + gate·(1 − s)), ∂up = g·gate·s.
#[inline(always)]
fn back_vectors<S: Simd>([gate, up, upstream]: [&[f32]; 3], of_gate: &mut [f32], of_up: &mut [f32]) {
    let (lanes, one) = (f32::lanes::<S>(), 1.0f32.splat::<S>());
    let inputs = gate.chunks_exact(lanes).zip(up.chunks_exact(lanes)).zip(upstream.chunks_exact(lanes));
    let outputs = of_gate.chunks_exact_mut(lanes).zip(of_up.chunks_exact_mut(lanes));
    for (((gate, up), upstream), (of_gate, of_up)) in inputs.zip(outputs) {
        let (gate, upstream) = (load::<S>(gate), load::<S>(upstream));
        let s = sigmoid::<S>(gate);
        let slope = s * (gate * (one - s) + one);
        store::<S>(upstream * load::<S>(up) * slope, of_gate);
        store::<S>(upstream * gate * s, of_up);
    }
}

/// σ(x) from the exponential of −|x|, which does not overflow.
#[inline(always)]
fn sigmoid<S: Simd>(x: Vector<S, f32>) -> Vector<S, f32> {
    let (zero, one) = (0.0f32.splat::<S>(), 1.0f32.splat::<S>());
    let small = exp::<S>(x.min(zero - x));
    let numerator = x.lt(zero).select(small, one);
    numerator / (small + one)
}

fn copy_beginning(padded: &[f32; LANES], rest: &mut [f32]) {
    rest.copy_from_slice(&padded[..rest.len()]);
}
