//! Products of matrices in f32 that lie in memory as they please, added to what is there already.
//!
//! [`product`] goes through the `gemm` library, and where it is worth it through the processor's matrix unit: AMX, which multiplies
//! bf16 and sums in f32, sixteen times as fast as vector units multiply f32. Every value is split into three in bf16 whose
//! sum it is, so that nothing of it is rounded, and of the nine products of the parts those six are made that an f32 can
//! tell: what comes out is as near to the exact sum as a product in f32. With a right factor in bf16, which is one part,
//! [`product_with_halves`] takes two parts of the left one, all but 2⁻¹⁸ of a value.
//!
//! On the unit a value that is not finite leaves no number in the sums that it is in, where f32 may have an infinity, and parts
//! below 2⁻¹²⁶ count as zero. Sums have one order, whatever the other rows and the threads are.

mod library;
mod matrix;
mod product;
mod task;
#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
mod unit;

pub use matrix::{Matrix, Value};
pub use product::{has_unit, product, product_with_halves};
pub use task::Threads;
