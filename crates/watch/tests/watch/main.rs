//! What watching a run promises.
#![allow(clippy::unwrap_used, unreachable_pub)] // In helpers too.

mod drawn;
mod served;
mod support;
