//! The end-to-end tests: the command as a person runs it, in a process of its own.
#![allow(clippy::unwrap_used, unreachable_pub)] // In helpers too.

mod bad_inputs;
mod bench;
mod data;
mod eval;
mod experiment;
mod generate;
mod hub;
mod installed;
mod judge;
mod judged;
mod memory;
mod mistaken_folders;
mod model_configs;
mod model_folders;
mod pages;
mod prompts;
mod report;
mod runs;
mod score;
mod serve;
mod setup;
mod sft;
mod shapes;
mod support;
mod trackers;
mod train;
mod watch;
#[cfg(feature = "wgpu")]
mod wgpu;
mod world;
