//! Data sets, whatever their format and wherever they come from.
//!
//! A [`Dataset`] is opened by path, or by name through [`Sources`]. Its rows are questions, or demonstrations for
//! supervised training, and are read in the shuffled [`Order`] of a run's seed.
//!
//! ```
//! use vigos_data::{Dataset, Fields};
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("rows.jsonl");
//! # std::fs::write(folder.path().join("a.png"), [])?;
//! # std::fs::write(&path, r#"{"image": "a.png", "problem": "How many?", "answer": "0.5"}"#)?;
//!
//! let dataset = Dataset::open(&path, &Fields::default(), None)?;
//! let (epoch, index) = dataset.order(42).at(0);
//! let row = dataset.load(index)?.map_err(|bad| bad.reason)?;
//! assert_eq!((epoch, row.answer.as_str()), (0, "0.5"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod archive;
mod arrow;
pub mod dataset;
mod error;
mod expanded;
mod format;
mod generated;
mod guard;
mod packing;
mod parquet;
mod reading;
mod records;
mod row_result;
pub mod sources;
mod stored;
mod tally;
pub mod vilp;

pub use dataset::Dataset;
pub use error::{DatasetError, SourceError};
pub use reading::Reading;
pub use sources::{DataRequest, Scheme, Sources};
pub use vigos_core::order::{Order, RowGroup, sample_at};
pub use vigos_layouts::{Benchmark, DemonstrationFields, RowFields, recognised};
pub use vigos_layouts::{given, recorded};
pub use vigos_recipe::row::{
    BadRow, Demonstration, ImageSource, Labels, Place, Role, Row, Rule, Speaker, Turn,
};
pub use vigos_recipe::{DataLayout, Fields, Turns};
