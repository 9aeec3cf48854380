//! Models and data sets from the Hugging Face hub, through the cache that its other tools share.
//!
//! `hf:ORG/NAME` names a model or an adapter, `hf:ORG/NAME@REVISION` a branch, tag or commit of it, and `hf:ORG/NAME@SPLIT` a
//! split of a data set of Parquet files. Only the files needed are fetched. What was fetched before, by this or
//! by another program, is not fetched again, and is enough where there is no network.
//!
//! The cache's layout is that of `hf-hub`. Requests are made here: that crate's client has no time limits, does
//! not check that a file came whole, and reads neither `HF_TOKEN` nor `HF_HUB_OFFLINE`.

mod cache;
mod content;
mod error;
mod fetch;
mod http;
mod hub;
mod reference;
mod settings;

pub use error::HubError;
pub use hub::{Hub, Progress, adapter_folder, model_folder, side_files_folder};
pub use reference::{Reference, is_reference};
pub use settings::Settings;
