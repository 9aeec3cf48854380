//! Dropout on the CPU: one pass, forward and back.

use super::share::{dense, tensor, values, write_rows, zeros};
use crate::dropout::fused::DropBackend;
use crate::dropout::{ROUNDS, WORD, column_words};
use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use macerator::Simd;

impl DropBackend for Flex {
    fn dropped(x: FlexTensor, rows: FlexTensor, site: u64, threshold: u32, scale: f32) -> FlexTensor {
        let x = dense(x);
        let rows = if rows.is_contiguous() { rows } else { rows.to_contiguous() };
        let words: &[i32] = rows.as_slice().unwrap_or_else(|| unreachable!("words of 32 bits"));
        let shape = x.layout().shape().clone();
        let width = shape[1].max(1);
        let of_columns: (Vec<u32>, Vec<u32>) =
            (0..width as u32).map(|column| column_words(site, column).into()).unzip();
        let x = values(&x);
        let mut out = zeros(x.len());
        write_rows(&mut out, width, |first, out| {
            let x = &x[first * width..][..out.len()];
            let words = &words[2 * first..];
            for ((x, out), words) in
                x.chunks_exact(width).zip(out.chunks_exact_mut(width)).zip(words.chunks_exact(2))
            {
                let of_row = [words[0] as u32, words[1] as u32];
                row(x, of_row, [&of_columns.0, &of_columns.1], threshold, scale, out);
            }
        });
        tensor(out, shape)
    }
}

/// A row; the compiler makes vectors of it.
#[macerator::with_simd]
#[allow(clippy::extra_unused_type_parameters)] // It says which vector units this is compiled for.
fn row<S: Simd>(
    x: &[f32],
    of_row: [u32; 2],
    of_columns: [&[u32]; 2],
    threshold: u32,
    scale: f32,
    out: &mut [f32],
) {
    let ([r0, r1], [c0, c1]) = (of_row, of_columns);
    let round = |mixed: u32, number: usize| {
        let (multiplier, shift) = ROUNDS[number];
        let mixed = (mixed * multiplier) & WORD;
        mixed ^ (mixed >> shift)
    };
    for (((out, x), c0), c1) in out.iter_mut().zip(x).zip(c0).zip(c1) {
        let mixed = round((r0 + c0) & WORD, 0) ^ r1;
        let mixed = round(round(round(mixed, 1) ^ c1, 2) ^ r0, 3);
        *out = if mixed >= threshold { x * scale } else { 0.0 };
    }
}
