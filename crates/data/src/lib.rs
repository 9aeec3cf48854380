//! Data sets, reference answers and grading.

pub mod dataset;
mod error;
mod fields;
mod generated;
pub mod grade;
mod json_lines;
pub mod order;
mod parquet;
pub mod sources;
pub mod vilp;

pub use dataset::Dataset;
pub use error::{DatasetError, SourceError};
pub use fields::{DemonstrationFields, RowFields};
pub use grade::{Choices, grade, grade_question};
pub use order::{Order, RowGroup, sample_at};
pub use sources::{DataRequest, Scheme, Sources};
pub use vigos_recipe::row::{BadRow, Demonstration, Fields, ImageSource, Labels, Place, Role, Row};
