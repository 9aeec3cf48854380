//! What every family shares, by its promises.
#![allow(clippy::unwrap_used)] // In helpers too.

mod dropout;
mod families;
mod packed;
