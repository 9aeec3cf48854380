//! What the models promise.
#![allow(clippy::unwrap_used, unreachable_pub)] // In helpers too.

mod adapters;
mod checkpoints;
mod common;
mod families;
mod full_training;
mod gradients;
mod hostile;
mod init;
mod memory;
mod merge;
mod peft;
mod reference;
mod scoring;
