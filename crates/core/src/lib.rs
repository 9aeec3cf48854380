//! What every layer needs: atomic files, whole-line JSON Lines, contained paths, keyed random numbers.
//!
//! Nothing here knows of models, images or training.
//!
//! ```
//! use vigos_core::random::{Key, Purpose, draws};
//!
//! // A draw depends on what it is for and where it belongs, on nothing else.
//! let key = Key { seed: 42, step: 3, sample: 1, position: 0 };
//! assert_eq!(draws(Purpose::Sampling, key).uniform(), draws(Purpose::Sampling, key).uniform());
//! assert_ne!(draws(Purpose::Sampling, key).bits(), draws(Purpose::Dropout, key).bits());
//! ```

pub mod files;
pub mod jsonl;
pub mod leaves;
pub mod manifest;
pub mod paths;
pub mod random;
