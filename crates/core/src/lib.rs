//! What every layer needs: atomic files, whole-line JSON Lines, contained paths, keyed random numbers.
//!
//! Nothing here knows of models, images or training.

pub mod random;
