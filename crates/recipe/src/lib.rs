//! What a run is: its recipe, the method's table, prompts, and what a sample is.
//!
//! A recipe is one TOML file and overrides of it. Every section is a struct with a line a key; its JSON Schema
//! ([`schema()`]) is what files are checked against, what `docs/config.md` lists and what an editor completes from.
//! Relative paths in a recipe start at the working directory.
//!
//! ```
//! use vigos_recipe::Recipe;
//!
//! let text = "model.path = \"m\"\ndata.path = \"d.jsonl\"\ntrain.epochs = 1\n";
//! let recipe = Recipe::parse(text, "mine.toml", &["optim.lr=1e-5".to_owned()])?;
//! assert_eq!((recipe.optim.lr, recipe.method.teachers.len()), (1e-5, 3));
//!
//! let error = Recipe::parse(&format!("{text}optim.lrr = 1"), "mine.toml", &[]).unwrap_err();
//! assert_eq!(error.to_string(), "mine.toml:4:7: unknown key `optim.lrr`; did you mean `optim.lr`?");
//! # Ok::<(), vigos_recipe::RecipeError>(())
//! ```

pub mod answer;
mod check;
pub mod context;
pub mod demonstration;
pub mod docs;
mod document;
mod error;
pub mod experiment;
mod judge;
mod keys;
pub mod kinds;
mod layout;
mod limits;
mod method;
mod normalise;
mod preset;
pub mod prompts;
mod recipe;
pub mod resume;
mod rollout;
pub mod sample;
mod schema;
mod sections;
pub mod sft;
mod teacher;
mod texts;
mod unknown;
mod unset;
mod written;

pub use answer::{last_box, reference_target};
pub use check::nearest;
pub use context::{Context, Contexts};
pub use document::Contradiction;
pub use error::RecipeError;
pub use judge::Judge;
pub use keys::{Key, keys};
pub use layout::{DataLayout, Turns};
pub use method::Method;
pub use normalise::Normalise;
pub use preset::{Fidelity, Preset};
pub use recipe::{Recipe, RunRecipe};
pub use rollout::{Engine, Rollout, Sampling};
pub use schema::schema;
pub use sections::{
    Data, Eval, Fields, Layout, Length, Lora, Model, Optim, Palr, Precision, Quantize, Recompute, Rows,
    Schedule, Train,
};
pub use teacher::{Divergence, Reads, Span, Teacher, When};
pub use vigos_rows as row;
pub use vigos_rows::{BadRow, IMAGE_MARK, ImageSource, Labels, Place, Role, Row, Rule, Speaker, Turn};
pub use written::{Checkpoint, Log, MetricsLog, Record, Report, Tracker};
