//! A run's metrics, sent to a tracker's server while it goes.
//!
//! What is sent is read back from the run's own `metrics.jsonl`, line by line, on a thread of its own: a server that is slow or
//! away costs the run nothing, and what it missed follows when it is there again. `mlflow.json` in the run's folder says how
//! far it is, so that a resumed run goes on in the same place.
//!
//! - [`Server`] is an MLflow server, by its documented REST interface (`mlflow`).
//! - [`Sending`] follows the file (`sending`).

mod error;
mod http;
mod lines;
mod mlflow;
mod sending;

pub use error::TrackError;
pub use http::Access;
pub use mlflow::{End, Server};
pub use sending::Sending;
