//! Products through the `gemm` library, on the vector units.

#![allow(unsafe_code)] // The library's product takes pointers.

use crate::matrix::Matrix;
use crate::task::{Target, Threads, is_shared};
use gemm::Parallelism;

pub(crate) fn product(into: Target, a: Matrix, b: Matrix, threads: Threads) {
    let Target { out, stride, kept, factor } = into;
    let (rows, inner, columns) = (a.rows(), a.columns(), b.columns());
    let parallelism = match is_shared(threads, rows, inner, columns) {
        true => Parallelism::Rayon(0),
        false => Parallelism::None,
    };
    let ([a_row, a_column], [b_row, b_column]) = (a.strides(), b.strides());
    // SAFETY: `a`, `b` and `out` lie within their slices: `Matrix::new` has checked the last element of `a` and `b`, a
    // transpose has the same elements, and `Target::fits` that of `out`, which is borrowed mutably, so it overlaps neither,
    // and whose rows do not overlap each other as `columns <= stride`.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            inner,
            out.as_mut_ptr(),
            1,
            stride as isize,
            kept != 0.0,
            a.values().as_ptr(),
            a_column as isize,
            a_row as isize,
            b.values().as_ptr(),
            b_column as isize,
            b_row as isize,
            kept,
            factor,
            false,
            false,
            false,
            parallelism,
        );
    }
}
