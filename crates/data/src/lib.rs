//! Data sets, reference answers and grading.

pub mod dataset;
pub mod demonstrations;
mod error;
pub mod grade;
mod json_lines;
mod made;
pub mod order;
mod parquet;
pub mod vilp;

pub use dataset::Dataset;
pub use demonstrations::{Demonstration, DemonstrationFields, Demonstrations};
pub use error::DatasetError;
pub use grade::{Choices, grade, grade_question};
pub use order::{Order, RowGroup, sample_at};
pub use parquet::files::split_of;
pub use vigos_recipe::row::{BadRow, Fields, ImageSource, Labels, Place, Role, Row};
