//! Evaluation of what a recipe trains.
//!
//! - [`evaluate`](evaluate()) samples answers to a [`suite`] of questions, grades them and sums them up in a
//!   [`report`]; [`comparison`](comparison()) sets reports side by side, [`compare`](compare()) whole runs.
//! - [`palr`](palr()) tells how much of what the teachers teach comes from the reference answer alone.
//!
//! Several ranks take parts of the items in turn; the first writes. Both write every finished item down at once and go on from there when they are stopped: the report is made of
//! the written lines, so it has the same bytes however often that was.
//!
//! ```
//! use vigos_eval::{Mean, pass_at};
//!
//! // One right answer among five: the chance that one of two drawn is it.
//! assert!((pass_at(2, 5, 1) - 0.4).abs() < 1e-12);
//! let mean = Mean::of(&[0.0, 1.0]);
//! assert_eq!((mean.value, mean.standard_error), (0.5, Some(0.5)));
//! ```

pub mod compare;
pub mod comparison;
pub mod evaluate;
mod folder;
mod judging;
pub mod lines;
mod named;
pub mod palr;
mod parts;
pub mod report;
mod statistics;
mod student;
pub mod suite;
pub mod suites;
mod tables;
mod verdict;
mod vlind;

pub use compare::compare;
pub use comparison::comparison;
pub use evaluate::evaluate;
pub use folder::{Finished, Observer, Options};
pub use judging::JudgeReport;
pub use palr::palr;
pub use report::Report;
pub use statistics::{Mean, paired_interval, pass_at};
pub use suites::{Suites, evaluate_suites};
pub use tables::Table;
pub use verdict::is_right;
pub use vlind::VlindReport;
