//! What the processor promises.
#![allow(clippy::unwrap_used, unreachable_pub)] // In helpers too.

mod common;
mod config;
mod decode;
mod pixels;
mod prompt;
mod template;
mod templates;
