//! The root-mean-square norm on the CPU: a row at a time, twice read and once written.

use super::share::{dense, piece_rows, tensor, values, write_rows, zeros};
use super::vector::dot;
use crate::norm::fused::NormBackend;
use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use macerator::Simd;
use rayon::prelude::*;

impl NormBackend for Flex {
    fn rms_norm(x: FlexTensor, scale: FlexTensor, epsilon: f32) -> FlexTensor {
        let (x, scale) = (dense(x), dense(scale));
        let shape = x.layout().shape().clone();
        let (x, scale) = (values(&x), values(&scale));
        let width = scale.len();
        let mut out = zeros(x.len());
        write_rows(&mut out, width, |first, out| {
            let x = &x[first * width..first * width + out.len()];
            for (x, out) in x.chunks_exact(width).zip(out.chunks_exact_mut(width)) {
                normed(x, scale, epsilon, out);
            }
        });
        tensor(out, shape)
    }

    fn rms_norm_back(x: FlexTensor, scale: FlexTensor, upstream: FlexTensor, epsilon: f32) -> FlexTensor {
        let (x, scale, upstream) = (dense(x), dense(scale), dense(upstream));
        let shape = x.layout().shape().clone();
        let (x, scale, upstream) = (values(&x), values(&scale), values(&upstream));
        let width = scale.len();
        let mut of_x = zeros(x.len());
        write_rows(&mut of_x, width, |first, of_x| {
            let all = first * width..first * width + of_x.len();
            let rows = x[all.clone()].chunks_exact(width).zip(upstream[all].chunks_exact(width));
            for ((x, upstream), of_x) in rows.zip(of_x.chunks_exact_mut(width)) {
                back(x, scale, upstream, epsilon, of_x);
            }
        });
        tensor(of_x, shape)
    }

    fn rms_norm_back_scale(
        x: FlexTensor,
        scale: FlexTensor,
        upstream: FlexTensor,
        epsilon: f32,
    ) -> FlexTensor {
        let (x, scale, upstream) = (dense(x), dense(scale), dense(upstream));
        let shape = scale.layout().shape().clone();
        let (x, upstream) = (values(&x), values(&upstream));
        let width = values(&scale).len();
        let length = (piece_rows(width) * width).max(1);
        // Each piece sums its rows; the pieces are summed in their order.
        let parts: Vec<Vec<f32>> = x
            .par_chunks(length)
            .zip(upstream.par_chunks(length))
            .map(|(x, upstream)| {
                let mut sums = vec![0.0f32; width];
                for (x, upstream) in x.chunks_exact(width).zip(upstream.chunks_exact(width)) {
                    add_slopes(x, upstream, epsilon, &mut sums);
                }
                sums
            })
            .collect();
        let mut of_scale = vec![0.0f32; width];
        for part in parts {
            of_scale.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
        }
        tensor(of_scale, shape)
    }
}

/// `x / √(mean(x²) + ε) · γ`
#[macerator::with_simd]
fn normed<S: Simd>(x: &[f32], scale: &[f32], epsilon: f32, out: &mut [f32]) {
    let inverse = inverse_root::<S>(x, epsilon);
    for ((out, x), scale) in out.iter_mut().zip(x).zip(scale) {
        *out = x * inverse * scale;
    }
}

/// With r = 1/√(mean(x²) + ε) and n = x·r: ∂x = r·(γ·g − n·mean(γ·g·n)).
#[macerator::with_simd]
fn back<S: Simd>(x: &[f32], scale: &[f32], upstream: &[f32], epsilon: f32, of_x: &mut [f32]) {
    let inverse = inverse_root::<S>(x, epsilon);
    for ((of_x, upstream), scale) in of_x.iter_mut().zip(upstream).zip(scale) {
        *of_x = upstream * scale;
    }
    let mean = dot::<S>(of_x, x) * inverse / x.len() as f32;
    for (of_x, x) in of_x.iter_mut().zip(x) {
        *of_x = inverse * (*of_x - x * inverse * mean);
    }
}

/// Adds `g·n` of a row.
#[macerator::with_simd]
fn add_slopes<S: Simd>(x: &[f32], upstream: &[f32], epsilon: f32, sums: &mut [f32]) {
    let inverse = inverse_root::<S>(x, epsilon);
    for (sum, (x, upstream)) in sums.iter_mut().zip(x.iter().zip(upstream)) {
        *sum += upstream * (x * inverse);
    }
}

#[inline(always)]
fn inverse_root<S: Simd>(x: &[f32], epsilon: f32) -> f32 {
    1.0 / (dot::<S>(x, x) / x.len() as f32 + epsilon).sqrt()
}
