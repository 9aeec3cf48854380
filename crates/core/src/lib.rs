//! What every layer needs: atomic files, whole-line JSON Lines, contained paths, keyed random numbers.
//!
//! Nothing here knows of models, images or training.

pub mod files;
pub mod jsonl;
pub mod leaves;
pub mod manifest;
pub mod paths;
pub mod random;
