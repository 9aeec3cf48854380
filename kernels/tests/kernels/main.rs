//! What the operators promise.
#![allow(clippy::unwrap_used, unreachable_pub)] // In helpers too.

mod attention;
mod between;
mod common;
mod exact;
mod few_rows;
mod fused;
mod generalised;
mod inner;
mod likeliest;
#[cfg(feature = "lowering")]
mod lowering;
mod place;
mod projection;
mod refused;
mod weights;
