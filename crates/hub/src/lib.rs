//! Models and data sets from the Hugging Face hub, through the cache that its other tools share, and to it.
//!
//! `hf:ORG/NAME` names a model or an adapter, `hf:ORG/NAME@REVISION` a branch, tag or commit of it, and `hf:ORG/NAME@SPLIT` a
//! split of a data set of Parquet files. Only the files needed are fetched. What was fetched before, by this or
//! by another program, is not fetched again, and is enough where there is no network.
//!
//! ```
//! use std::path::Path;
//! use vigos_hub::{Reference, is_reference};
//!
//! let name = Path::new("hf:org/name@main");
//! assert!(is_reference(name) && !is_reference(Path::new("a/folder")));
//! assert_eq!(Reference::model(name)?.id, "org/name");
//! // `Hub::from_env()?.model(name, &mut |_file, _bytes, _size| ())?` is the folder with its files.
//! # Ok::<(), vigos_hub::HubError>(())
//! ```
//!
//! [`push()`] sends the files of a folder ([`Parcel`]) that the hub does not have yet.
//!
//! The cache's layout is that of `hf-hub`. Requests are made here: that crate's client has no time limits, does
//! not check that a file came whole, and reads neither `HF_TOKEN` nor `HF_HUB_OFFLINE`.

mod cache;
mod content;
mod error;
mod fetch;
mod http;
mod hub;
mod parcel;
mod push;
mod reference;
mod settings;
mod store;

pub use content::Which;
pub use error::HubError;
pub use hub::{Hub, adapter_config_folder, adapter_folder, model_folder, side_files_folder};
pub use parcel::{Item, Parcel};
pub use push::{Pushed, push};
pub use reference::{Reference, bare_name, is_reference};
pub use settings::Settings;
pub use vigos_core::files::Progress;
