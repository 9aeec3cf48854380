//! Supervised training on demonstrations: all weights of a model, or an adapter.
//!
//! A step goes one way: [`lesson`] makes tokens of demonstrations, [`objective`] computes the cross entropy of
//! the completions and its gradient, the optimiser updates what is trained. [`learner`] says what that is;
//! [`trainer`] repeats it and writes it down.

pub mod learner;
pub mod lesson;
pub mod objective;
pub mod trainer;

pub use learner::Learner;
pub use lesson::{Lesson, LessonMaker};
pub use trainer::{SftFinished, SftOptions, sft};
