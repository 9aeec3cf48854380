//! The rotary embedding on the CPU.

#![allow(clippy::extra_unused_type_parameters)] // Plain loops, compiled for each width of the vector units.

use super::share::{dense, tensor, values, write_rows, zeros};
use crate::rotary::fused::RotaryBackend;
use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use macerator::Simd;

impl RotaryBackend for Flex {
    fn rotate(x: FlexTensor, cos: FlexTensor, sin: FlexTensor, direction: f32) -> FlexTensor {
        let (x, cos, sin) = (dense(x), dense(cos), dense(sin));
        let shape = x.layout().shape().clone();
        let (heads, width) = (shape[1], shape[2]);
        let (x, cos, sin) = (values(&x), values(&cos), values(&sin));
        let mut out = zeros(x.len());
        write_rows(&mut out, heads * width, |first, out| {
            let pairs = width / 2;
            for (row, out) in (first..).zip(out.chunks_exact_mut(heads * width)) {
                let x = &x[row * heads * width..(row + 1) * heads * width];
                let (cos, sin) = (&cos[row * pairs..][..pairs], &sin[row * pairs..][..pairs]);
                rotate_row(x, cos, sin, direction, out);
            }
        });
        tensor(out, shape)
    }
}

/// Rotates the pairs (i, i + C/2) of every head of a row.
#[macerator::with_simd]
fn rotate_row<S: Simd>(x: &[f32], cos: &[f32], sin: &[f32], direction: f32, out: &mut [f32]) {
    let pairs = cos.len();
    for (x, out) in x.chunks_exact(2 * pairs).zip(out.chunks_exact_mut(2 * pairs)) {
        let ((left, right), (out_left, out_right)) = (x.split_at(pairs), out.split_at_mut(pairs));
        for i in 0..pairs {
            let (a, b, c, s) = (left[i], right[i], cos[i], sin[i] * direction);
            out_left[i] = a * c - b * s;
            out_right[i] = b * c + a * s;
        }
    }
}
