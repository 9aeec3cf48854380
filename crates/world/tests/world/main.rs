//! What the drawn world promises.
#![allow(clippy::unwrap_used, unreachable_pub)] // In helpers too.

mod answers;
mod dials;
mod files;
mod language;
mod pictures;
mod support;
mod triples;
