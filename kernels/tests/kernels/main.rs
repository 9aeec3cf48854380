//! What the operators promise.
#![allow(clippy::unwrap_used, unreachable_pub)] // In helpers too.

mod between;
mod common;
mod exact;
mod fused;
mod generalised;
mod inner;
#[cfg(feature = "lowering")]
mod lowering;
mod place;
mod projection;
mod refused;
mod weights;
