//! The recipe of a run: everything that decides what is trained, as one TOML file and overrides of it.
//!
//! [`raw::Document`] is the file as written, every key known and every value checked. [`Recipe`] is what
//! the trainer reads: defaults filled in, the preset expanded to its teacher table. [`sft::SftRecipe`] is the
//! same for supervised training. Relative paths in a recipe start at the working directory.

pub mod answer;
mod check;
pub mod demonstration;
mod error;
mod kind;
mod method;
mod preset;
pub mod prompts;
pub mod raw;
pub mod row;
pub mod run_folder;
pub mod sample;
mod schema;
mod sections;
pub mod sft;
mod unset;

use std::path::Path;

use serde::{Deserialize, Serialize};

pub use answer::{last_box, reference_target};
pub use check::syntax;
pub use error::RecipeError;
pub use kind::{Bounds, Kind, nearest};
pub use method::{Divergence, Fidelity, Input, Method, Reads, Span, Teacher, When};
pub use preset::{Expansion, Preset};
pub use row::{BadRow, Fields as FieldNames, ImageSource, Labels, Place, Role, Row};
pub use schema::{Default, KEYS, Key, TEACHER_KEYS, reference};
pub use sections::{
    Checkpoint, Data, Eval, Fields, Layout, Length, Log, Lora, Model, Optim, Palr, Precision, Rollout,
    Schedule, Train,
};

/// A whole recipe, nothing left to decide.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The base model.
    pub model: Model,
    /// The data set.
    pub data: Data,
    /// What is learnt from whom.
    pub method: Method,
    /// How completions are sampled.
    pub rollout: Rollout,
    /// The adapter.
    pub lora: Lora,
    /// The optimiser.
    pub optim: Optim,
    /// How long, how much at a time, from which seed.
    pub train: Train,
    /// What is kept to resume from.
    pub checkpoint: Checkpoint,
    /// What is written down on the way.
    pub log: Log,
    /// How the student is evaluated.
    pub eval: Eval,
    /// How leakage is diagnosed.
    pub palr: Palr,
}

impl Recipe {
    /// Read a configuration file and apply overrides, each `key=value`, the last one of a key winning.
    ///
    /// # Errors
    /// [`RecipeError`] for a file that cannot be read or is not TOML, an unknown key, a value of the wrong
    /// type or out of range, a missing key, and values that contradict each other.
    pub fn load(path: &Path, overrides: &[String]) -> Result<Self, RecipeError> {
        Self::resolve(raw::Document::load(KEYS, path)?, overrides)
    }

    /// The same from text; `origin` stands for the file's name in errors.
    ///
    /// # Errors
    /// As [`Recipe::load`].
    pub fn parse(text: &str, origin: &str, overrides: &[String]) -> Result<Self, RecipeError> {
        Self::resolve(raw::Document::parse(KEYS, text, origin)?, overrides)
    }

    fn resolve(mut document: raw::Document, overrides: &[String]) -> Result<Self, RecipeError> {
        document.set_all(overrides)?;
        document.resolve()
    }

    /// The effective configuration: every key with its value, the teacher table written out. Reading it
    /// gives the same recipe.
    ///
    /// # Errors
    /// [`RecipeError::Encoding`] for a recipe built by hand with what TOML cannot hold, such as a path that
    /// is not UTF-8.
    pub fn to_toml(&self) -> Result<String, RecipeError> {
        to_toml(self)
    }
}

/// A recipe of any kind of run.
pub trait RunRecipe: Serialize + Sized {
    /// Read a configuration file and apply overrides, each `key=value`, the last one of a key winning.
    ///
    /// # Errors
    /// As [`Recipe::load`].
    fn load(path: &Path, overrides: &[String]) -> Result<Self, RecipeError>;

    /// The same from text; `origin` stands for the file's name in errors.
    ///
    /// # Errors
    /// As [`Recipe::load`].
    fn parse(text: &str, origin: &str, overrides: &[String]) -> Result<Self, RecipeError>;

    /// The effective configuration: reading it gives the same recipe.
    ///
    /// # Errors
    /// As [`Recipe::to_toml`].
    fn to_toml(&self) -> Result<String, RecipeError> {
        to_toml(self)
    }
}

impl RunRecipe for Recipe {
    fn load(path: &Path, overrides: &[String]) -> Result<Self, RecipeError> {
        Self::load(path, overrides)
    }

    fn parse(text: &str, origin: &str, overrides: &[String]) -> Result<Self, RecipeError> {
        Self::parse(text, origin, overrides)
    }
}

fn to_toml(recipe: &impl Serialize) -> Result<String, RecipeError> {
    toml::to_string(recipe).map_err(|error| RecipeError::Encoding {
        origin: "effective configuration".into(),
        message: error.to_string(),
    })
}
