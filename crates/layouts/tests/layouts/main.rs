//! What the layouts promise.
#![allow(clippy::unwrap_used, unreachable_pub)] // In helpers too.

mod prompts;
mod rows;
