//! Post-train vision-language models on their own rollouts, as a library.
//!
//! The command `vigos` is a thin program over these crates; this one gathers them, so that the next method is written
//! against one name. From the bottom up:
//!
//! | module | what it has |
//! | --- | --- |
//! | [`kernels`] | [`Divergence`] and the loss of rows that have one, with its gradient |
//! | [`processor`] | images, texts and chat templates to what a model reads |
//! | [`models`] | [`VisionLanguageModel`], adapters, and the folders that they come in |
//! | [`recipe`] | [`Recipe`]: what a run is, its teacher table, its prompts, its samples |
//! | [`data`] | data sets by name |
//! | [`inspect`](mod@inspect) | what a data set holds, looked at and written anew |
//! | [`grade`] | which answers are right |
//! | [`rollout`] | the student and its completions, read for their spans |
//! | [`plan`] | micro-batches, and what memory a run will take |
//! | [`checkpoint`] | what a run goes on from; AdamW |
//! | [`train`](mod@train) | the loop, its objectives |
//! | [`eval`] | asking, grading, the leakage diagnostic |
//! | [`example`] | the first job, which is part of the program |
//!
//! A run needs a recipe, a folder, a device and a [`Kit`], which says what a recipe may name: [`kit`] is that of the
//! command, and more is registered on it. `examples/` at the root of the repository shows how.
//!
//! ```
//! use vigos::recipe::Recipe;
//!
//! let text = "model.path = \"m\"\ndata.path = \"d.jsonl\"\ntrain.epochs = 1";
//! let recipe = Recipe::parse(text, "here", &["method.preset=opsd".to_owned()])?;
//! assert_eq!(recipe.method.teachers.len(), 1, "plain self-distillation has one teacher");
//! # Ok::<(), vigos::recipe::RecipeError>(())
//! ```

mod evaluator;
pub mod example;
pub mod shapes;

pub use vigos_checkpoint as checkpoint;
pub use vigos_core as core;
pub use vigos_data as data;
pub use vigos_eval as eval;
pub use vigos_grade as grade;
pub use vigos_inspect as inspect;
pub use vigos_kernels as kernels;
pub use vigos_models as models;
pub use vigos_plan as plan;
pub use vigos_processor as processor;
pub use vigos_recipe as recipe;
pub use vigos_rollout as rollout;
pub use vigos_train as train;

pub use evaluator::Evaluator;
pub use vigos_kernels::Divergence;
pub use vigos_models::VisionLanguageModel;
pub use vigos_recipe::Recipe;
pub use vigos_rollout::{Kit, RunError, RunOptions};
pub use vigos_train::{Finished, Observer};

/// What the command brings along: the Qwen-VL families, data sets that are files, drawn (`shapes:`) or on the hub
/// (`hf:`), and KL in both directions.
pub fn kit() -> Kit {
    Kit { families: vigos_qwen::families(), sources: vigos_sources::standard(), ..Kit::default() }
}
