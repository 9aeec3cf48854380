//! The operators on the CPU: rows in parallel, each of them on the vector units.

mod adamw;
mod adapted;
mod attention;
mod decode;
mod dropout;
mod few_rows;
mod frozen;
mod gate;
mod norm;
mod packed;
mod rotary;
mod share;
pub mod vector;
