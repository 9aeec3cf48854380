//! What data sets promise.
#![allow(clippy::unwrap_used, unreachable_pub)] // In helpers too.

mod dataset;
mod demonstrations;
mod layouts;
mod parquet;
mod records;
mod sample;
mod sources;
mod vilp;
mod writer;
