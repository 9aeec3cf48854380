//! An OpenAI-compatible server for one model and its adapters.
//!
//! [`serve`] answers `/v1/chat/completions`, `/v1/completions`, `/v1/models` and `/health`, and loads adapters at run time
//! if it is told from where. Connections are handled side by side; one thread computes, and takes waiting requests between
//! two steps of those that decode together. Whatever a client sends, what the server does for it is bounded by [`Limits`].
//!
//! A completion depends on its request alone: the same seed gives the same tokens whatever else is asked at the time, and
//! the same as `vigos generate`. On a CPU that holds to the last bit of a log-probability.

mod access;
mod answer;
mod asked;
mod body;
mod connections;
mod decoder;
mod endpoints;
mod fields;
mod limits;
mod media;
mod messages;
mod refusal;
mod registry;
mod server;
mod settings;
mod shared;
mod text;
mod ticket;

pub use limits::Limits;
pub use registry::NamedAdapter;
pub use server::{Options, ServeError, Served, serve};
