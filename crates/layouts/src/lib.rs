//! From the fields of a record, in the layouts that people have, to a row.
//!
//! A record is what a line of JSON Lines is, or a row of a table: names with values. A [`Reader`] knows the layouts of
//! other trainers and of the hub's data sets, tells them by their fields, and makes rows of them: the question with the
//! places of its images, what was said before it, the answer.
//!
//! ```
//! use serde_json::json;
//! use vigos_layouts::{Reader, RowFields, recognised};
//! use vigos_links::Links;
//! use vigos_recipe::{DataLayout, Fields, Turns};
//!
//! let record = json!({
//!     "image": "cups.png",
//!     "conversations": [
//!         {"from": "human", "value": "<image>\nHow many cups?"},
//!         {"from": "gpt", "value": "3"},
//!     ],
//! });
//! let fields = RowFields::from(&Fields::default());
//! let record = record.as_object().ok_or("no object")?;
//! assert_eq!(recognised(record, &fields), Some(DataLayout::Llava));
//!
//! let reader = Reader { fields, layout: DataLayout::Auto, turns: Turns::Refuse, links: Links::default() };
//! let rows = reader.rows(record, "rows.jsonl:1", 1, &std::env::temp_dir());
//! let row = rows.into_iter().next().ok_or("no row")?.map_err(|bad| bad.reason)?;
//! assert_eq!((row.problem.as_str(), row.answer.as_str()), ("How many cups?", "3"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod benchmark;
mod choices;
mod content;
mod conversation;
mod entry;
mod fields;
pub mod given;
mod marked;
mod picture;
mod places;
mod reader;
mod recognise;
pub mod recorded;
mod said;
pub mod texts;

pub use benchmark::Benchmark;
pub use fields::{DemonstrationFields, RowFields, way_out};
pub use places::of_images;
pub use reader::Reader;
pub use recognise::{is_read, recognised};
