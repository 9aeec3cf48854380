//! What a data set holds: looked at before a run, and written anew.
//!
//! [`check()`] goes through the rows of a data set as a run would, and says what it found: layout, images, answers, prompts,
//! and the first rows that cannot be used. [`convert()`] writes them as JSON Lines or Parquet.
//!
//! ```
//! use std::path::Path;
//! use vigos_data::{Dataset, Fields, Reading};
//! use vigos_inspect::{Looked, check};
//!
//! let set = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/layouts/vqa.jsonl");
//! let images = set.with_file_name("../images");
//! let reading = Reading { image_root: Some(&images), max_bad_share: f64::INFINITY, ..Reading::default() };
//! let dataset = Dataset::open_with(&set, None, &Fields::default(), reading)?;
//! let mut found = check(&dataset, &Looked::default(), &mut |_done, _total| ())?;
//! vigos_inspect::check::layouts(&dataset, &(&Fields::default()).into(), &mut found)?;
//! assert_eq!((found.layout.as_str(), found.rows, found.usable), ("vqa", 10, 10));
//! assert_eq!(found.answers.choice, 5);
//! # Ok::<(), vigos_inspect::InspectError>(())
//! ```

mod answers;
pub mod check;
mod convert;
mod error;
mod jsonl;
mod look;
mod pictures;
mod report;
mod rows;
mod table;

pub use check::check;
pub use convert::convert;
pub use error::InspectError;
pub use look::{Looked, Reader};
pub use report::{Answers, BadOne, Duplicates, HardOne, Images, Lengths, Plan, Prompts, Report};
pub use rows::Converted;
