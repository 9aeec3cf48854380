//! Runs as one page to look at, argue over and send: `vigos report`.
//!
//! The page is a single file that asks nothing of any network: style, script, pictures and data are in it, and its content
//! security policy forbids the rest. It is made from what a run's folder has; what is not there is left out and said so.
//!
//! - `folder` reads a run: `curves` from its metrics, `snapshots` from its recordings or rollouts, `evaluation` from its
//!   reports, `leakage` from a diagnosis.
//! - [`Verdict`] says in three sentences how it went, and what looks wrong.
//! - [`glossary`] has an entry for every metric.
//! - `page` puts it into the template.
//! - [`card()`] has what the hub shows of a result: a model card.
//! - [`Glance`] is the little of it that a terminal shows, and [`stamp`] says whether there is something new.
//!
//! ```
//! let folder = tempfile::tempdir()?;
//! let run = folder.path().join("run");
//! std::fs::create_dir(&run)?;
//! std::fs::write(run.join("metrics.jsonl"), "{\"step\":1,\"loss\":0.5}\n{\"step\":2,\"loss\":0.25}\n")?;
//! let page = vigos_report::page(&[run], &vigos_report::Limits::default())?;
//! assert!(page.starts_with("<!doctype html>") && page.contains("Content-Security-Policy"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod card;
mod charts;
mod curves;
mod data;
mod error;
mod evaluation;
mod facts;
mod folder;
mod glance;
pub mod glossary;
mod leakage;
mod limits;
mod live;
mod names;
mod page;
mod snapshots;
mod stamp;
mod verdict;
mod visible;

pub use card::card;
pub use error::ReportError;
pub use folder::is_run;
pub use glance::{Curve, Glance, Phase, Piece, Text};
pub use limits::Limits;
pub use live::{Live, leave_page};
pub use page::{page, served_page, write};
pub use stamp::stamp;
pub use verdict::{Verdict, verdict};
pub use visible::visible;
