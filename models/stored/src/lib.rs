//! Models as they are stored: the configuration, tensors and names of a model folder, and what is wrong with it.
//!
//! - [`config_file`] reads a `config.json` as far as every family's is alike, [`generation`] what ends a completion.
//! - [`architecture`] is what a family makes of it: shapes, tensors, names, and the [`sites`] of low-rank updates.
//! - [`weights`] opens safetensors and holds them against an architecture, [`folder`] knows the files beside them.
//! - [`mistaken`] tells what a path is that is no such folder; [`error`] is what can be wrong.
//!
//! `vigos-models` builds on it and shows its modules as its own.

pub mod architecture;
pub mod config_file;
pub mod error;
pub mod folder;
pub mod generation;
pub mod mistaken;
pub mod sites;
pub mod weights;
