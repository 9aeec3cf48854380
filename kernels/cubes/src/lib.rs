//! A language model's inner operators as kernels in CubeCL, for CUDA, ROCm, Metal, Vulkan and WebGPU alike.
//!
//! Tensors in, tensors out, one launch each: what they compute, and when they are taken, is said in `vigos-operators`,
//! which is where a program finds them. Numbers are f32 inside, whatever the tensors' precision.
#![cfg(feature = "cube")]

pub mod adamw;
pub mod attention;
pub mod attention_back;
pub mod decode;
pub mod definitions;
pub mod dropout;
pub mod few_rows;
pub mod gate;
mod launch;
pub mod likeliest;
pub mod norm;
pub mod reduce;
pub mod rotary;
pub mod special;
mod tile;

pub use launch::cube_count;
