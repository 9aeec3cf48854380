//! Which answers are the same, and why.

#![allow(clippy::unwrap_used, unreachable_pub)] // In helpers too.

mod mathruler;
mod page;
mod rules;
mod verdicts;
