//! What the rollout engine, its sampler and the span parser promise.
#![allow(clippy::unwrap_used, unreachable_pub)] // In helpers too.

mod engine;
mod families;
mod neutral;
mod out_of_memory;
mod recorded;
mod sampler;
mod sampler_properties;
mod span_properties;
mod spans;
