//! What a command says while it works, and what ends it before it is done.
//!
//! Data goes to stdout and everything for people to stderr ([`output`]); how far a run, an evaluation or an experiment is
//! ([`progress`], [`Trials`]), what it takes ([`memory`], [`cards`]) and what to do with it when it is done ([`what_next()`]) is said
//! as a bar on a terminal and as lines elsewhere. [`Stop`] hears signals.

pub mod cards;
mod error;
mod interrupt;
pub mod memory;
pub mod output;
pub mod pages;
pub mod progress;
mod sink;
mod trackers;
mod trials;
mod what_next;

pub use error::TerminalError;
pub use interrupt::{OUT_OF_TIME, Stop};
pub use sink::Sink;
pub use trackers::Trackers;
pub use trials::Trials;
pub use what_next::{Done, what_next};
