//! Which way a product goes.

use crate::library;
use crate::matrix::Matrix;
use crate::task::{Target, Threads};
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
use crate::unit;
use half::bf16;

/// `out ← kept·out + factor·a·b`, rows of `out` beginning `stride` values apart. Where `kept` is zero, `out` is not read.
///
/// ```
/// use vigos_products::{Matrix, Threads, product};
///
/// let (a, b) = ([1.0, 2.0, 3.0, 4.0], [1.0, 1.0]);
/// let mut out = [10.0, 10.0];
/// let factors = [Matrix::new(&a, [2, 2], 2), Matrix::new(&b, [2, 1], 1)];
/// product(&mut out, 1, 1.0, 0.5, factors, Threads::One);
/// assert_eq!(out, [11.5, 13.5]);
/// ```
///
/// # Panics
/// If shapes do not fit.
pub fn product(
    out: &mut [f32],
    stride: usize,
    kept: f32,
    factor: f32,
    [a, b]: [Matrix; 2],
    threads: Threads,
) {
    let into = Target { out, stride, kept, factor };
    if !into.fits(&a, &b) {
        return;
    }
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    if unit::is_worth_it(a.rows(), a.columns(), b.columns()) {
        return unit::product(into, a, b, threads);
    }
    library::product(into, a, b, threads);
}

/// The same with a right factor in bf16, which is multiplied as it is where [`has_unit`] says so. Elsewhere the whole
/// of it is made wide first.
///
/// # Panics
/// If shapes do not fit.
pub fn product_with_halves(
    out: &mut [f32],
    stride: usize,
    kept: f32,
    factor: f32,
    a: Matrix,
    b: Matrix<bf16>,
    threads: Threads,
) {
    let into = Target { out, stride, kept, factor };
    if !into.fits(&a, &b) {
        return;
    }
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    if has_unit() && a.columns() > 0 {
        return unit::product(into, a, b, threads);
    }
    let wide: Vec<f32> = b.values().iter().map(|value| value.to_f32()).collect();
    library::product(into, a, b.with(&wide), threads);
}

/// Whether the processor has a matrix unit that [`product`] uses.
pub fn has_unit() -> bool {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    return unit::is_there();
    #[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
    return false;
}
