//! What the trainer promises.
#![allow(clippy::unwrap_used, unreachable_pub)] // In helpers too.

mod ahead;
mod damage;
mod datasets;
mod fake;
mod families;
mod micro_batches;
mod optim;
mod preview;
mod ranks;
mod reference_step;
mod routing;
mod server;
mod sft;
mod sft_reference;
mod support;
mod training;
