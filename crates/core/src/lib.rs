//! What every layer needs: atomic files, locked folders, whole-line JSON Lines, contained paths, keyed random numbers.
//!
//! Nothing here knows of models, images or training, but for names of files.
//!
//! ```
//! use vigos_core::random::{Key, Purpose, draws};
//!
//! // A draw is a function of what it is for and where it belongs, not of what was drawn before.
//! let key = Key { seed: 7, step: 3, sample: 1, position: 0 };
//! assert_eq!(draws(Purpose::Sampling, key).bits(), draws(Purpose::Sampling, key).bits());
//! assert_ne!(draws(Purpose::Sampling, key).bits(), draws(Purpose::Shuffle, key).bits());
//! ```

pub mod cards;
pub mod files;
pub mod fingerprint;
pub mod folders;
pub mod formats;
pub mod host;
pub mod json;
pub mod jsonl;
pub mod keys;
pub mod leaves;
pub mod lock;
pub mod manifest;
pub mod order;
pub mod pages;
pub mod paths;
pub mod pointer;
pub mod random;
pub mod splits;
pub mod text;
