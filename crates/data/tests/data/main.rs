//! What data sets and grading promise.
#![allow(clippy::unwrap_used, unreachable_pub)] // In helpers too.

mod dataset;
mod demonstrations;
mod grade;
mod grader_page;
mod mathruler;
mod parquet;
mod records;
mod sample;
mod sources;
mod vilp;
mod writer;
