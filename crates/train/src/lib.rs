//! The ViGOS trainer: recipes, teachers, loss, optimiser, checkpoints.

pub mod prompts;
pub mod recipe;
