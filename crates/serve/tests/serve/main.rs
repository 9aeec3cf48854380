//! What the server promises to clients of every kind, over real sockets.
#![allow(clippy::unwrap_used, unreachable_pub)] // In helpers too.

mod adapters;
mod answers;
mod client;
mod ending;
mod hostile;
mod limits;
mod server;
