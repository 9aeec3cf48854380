//! The operators on the CPU: rows in parallel, each of them on the vector units.

mod adamw;
mod adapted;
mod attention;
mod decode;
mod few_rows;
mod gate;
mod gemm;
mod norm;
pub(crate) mod projection;
mod rotary;
mod share;
pub mod vector;
