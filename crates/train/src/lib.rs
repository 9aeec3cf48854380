//! The ViGOS trainer: recipes, teachers, loss, optimiser, checkpoints.
