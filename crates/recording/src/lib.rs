//! What a run records of a snapshot's rollouts, token by token: `recordings/step-000010.jsonl`.
//!
//! A line is a rollout, a [`Recording`], whose values stand in columns: the n-th value of a column belongs to the n-th
//! token. [`read`] gives the lines of a file whose versions it knows. `docs/report.md` has the format for other readers.
//!
//! ```
//! use vigos_recording::{Recording, VERSION};
//!
//! let line = format!(r#"{{"version":{VERSION},"step":1,"row":0,"id":"a","tokens":{{"ids":[5],"pieces":["no"]}}}}"#);
//! let recording: Recording = serde_json::from_str(&line)?;
//! assert_eq!(recording.tokens.pieces, ["no"]);
//! assert!(recording.tokens.logprob.is_empty(), "what was not recorded is not there");
//! # Ok::<(), serde_json::Error>(())
//! ```

mod format;
mod pieces;
mod read;
mod rounding;
mod thumbnail;

pub use format::{Column, Picture, Recording, Shown, Supervision, Tokens, Top, VERSION, Who};
pub use pieces::piece;
pub use read::read;
pub use rounding::rounded;
pub use thumbnail::thumbnail;
