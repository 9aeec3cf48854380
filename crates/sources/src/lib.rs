//! The data sets that come with the command: the drawn world (`shapes:SPLIT`) and those of the hub
//! (`hf:ORG/NAME@SPLIT`).
//!
//! ```
//! use vigos_data::{Fields, DataRequest};
//!
//! let request = DataRequest {
//!     key: "data.path",
//!     path: "shapes:test?splits.test=20".as_ref(),
//!     split: None,
//!     fields: (&Fields::default()).into(),
//!     limit: Some(5),
//!     image_root: None,
//!     max_bad_share: 0.0,
//!     layout: Default::default(),
//!     turns: Default::default(),
//!     links: Default::default(),
//! };
//! let dataset = vigos_sources::standard().open(&request, &mut |_file, _bytes, _size| ())?;
//! assert_eq!(dataset.count().get(), 5);
//! assert_eq!(dataset.load(0)?.map(|row| row.id), Ok("test-000000".to_owned()));
//! # Ok::<(), vigos_data::DatasetError>(())
//! ```

mod hf;
mod shapes;

pub use hf::HubDatasets;
pub use shapes::Shapes;
use vigos_data::Sources;

/// Files and folders, the hub's data sets, and the drawn world.
pub fn standard() -> Sources {
    Sources::default().with(Shapes).with(HubDatasets)
}
