//! A run while it goes: `vigos watch`, the report's page live on loopback, and `vigos top`, the same in a terminal.
//!
//! - [`Watch`] serves: `listen` takes the address, `runs` finds the runs in a folder, `pages` makes their pages when their
//!   files have changed, `routes` answers.
//! - [`top`] draws: `look` knows what is chosen, `draw` puts it on a screen of any size.
//!
//! Only whole lines of a run's files are read, and nothing of a request is a path.
//!
//! ```
//! let folder = tempfile::tempdir()?;
//! std::fs::write(folder.path().join("metrics.jsonl"), "{\"step\":1,\"loss\":0.5}\n")?;
//! let watch = vigos_watch::Watch::open(folder.path(), "127.0.0.1:0")?;
//! assert!(watch.address().starts_with("http://127.0.0.1:"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod draw;
mod error;
mod listen;
mod look;
mod pages;
mod routes;
mod runs;
mod tail;
mod top;
mod watch;

pub use draw::draw;
pub use error::WatchError;
pub use look::{Key, Look};
pub use top::top;
pub use watch::Watch;
