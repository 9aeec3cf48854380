//! Data sets, reference answers and grading.

pub mod answer;
pub mod dataset;
pub mod grade;
mod normalise;
mod number;
pub mod order;

pub use answer::{last_box, reference_target};
pub use dataset::{Dataset, DatasetError, Fields, Row};
pub use grade::grade;
pub use order::{Order, sample_at};
