//! The recipe of a run, and what every kind of recipe can do.

use std::path::Path;

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use toml::Value;

use crate::document::{Contradiction, Document, SET, read};
use crate::error::RecipeError;
use crate::limits;
use crate::method::Method;
use crate::preset::{Fidelity, Preset};
use crate::rollout::Rollout;
use crate::schema::schema;
use crate::sections::{Data, Eval, Fields, Lora, Model, Optim, Palr, Train};
use crate::written::{Checkpoint, Log, Report};

/// A whole recipe, nothing left to decide.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Recipe {
    /// The base model.
    pub model: Model,
    /// The data set.
    pub data: Data,
    /// What is learnt from whom.
    #[serde(default)]
    pub method: Method,
    /// How completions are sampled.
    #[serde(default)]
    #[schemars(extend("x-resume" = ["eval"]))]
    pub rollout: Rollout,
    /// The adapter.
    #[serde(default)]
    #[schemars(extend("x-resume" = ["eval", "palr"]))]
    pub lora: Lora,
    /// The optimiser.
    #[serde(default)]
    #[schemars(extend("x-resume" = ["eval", "palr"]))]
    pub optim: Optim,
    /// How long, how much at a time, from which seed.
    #[serde(default)]
    pub train: Train,
    /// What is kept to resume from.
    #[serde(default)]
    #[schemars(extend("x-resume" = ["train", "eval", "palr"]))]
    pub checkpoint: Checkpoint,
    /// What is written down on the way.
    #[serde(default)]
    #[schemars(extend("x-resume" = ["train", "eval", "palr"]))]
    pub log: Log,
    /// The page that shows the run.
    #[serde(default)]
    #[schemars(extend("x-resume" = ["train", "eval", "palr"]))]
    pub report: Report,
    /// How the student is evaluated.
    #[serde(default)]
    #[schemars(extend("x-resume" = ["train", "palr"]))]
    pub eval: Eval,
    /// How leakage is diagnosed.
    #[serde(default)]
    #[schemars(extend("x-resume" = ["train", "eval"]))]
    pub palr: Palr,
}

/// A recipe of any kind of run.
pub trait RunRecipe: Serialize + DeserializeOwned + JsonSchema {
    /// Reads a configuration file and applies overrides, each `key=value`, the last one of a key winning.
    ///
    /// # Errors
    /// [`RecipeError`] for a file that cannot be read or is not TOML, an unknown key, a value of the wrong
    /// type or out of range, a missing key, and values that contradict each other.
    fn load(path: &Path, overrides: &[String]) -> Result<Self, RecipeError> {
        Self::parse(&read(path)?, &path.display().to_string(), overrides)
    }

    /// The same from text; `origin` stands for the file's name in errors.
    ///
    /// # Errors
    /// As [`RunRecipe::load`].
    fn parse(text: &str, origin: &str, overrides: &[String]) -> Result<Self, RecipeError> {
        let mut document = Document::parse(schema::<Self>(), text, origin)?;
        let overrides = document.overrides(overrides)?;
        Self::prepare(&mut document, overrides)?;
        document.fill_defaults()?;
        let recipe: Self = document.recipe()?;
        recipe.agrees().map_err(|fault| document.conflict(fault))?;
        Ok(recipe)
    }

    /// Refuses a recipe built by hand that no file could hold.
    ///
    /// # Errors
    /// As [`RunRecipe::load`].
    fn check(&self) -> Result<(), RecipeError> {
        Self::parse(&self.to_toml()?, "the recipe", &[]).map(drop)
    }

    /// The effective configuration: every key with its value. Reading it gives the same recipe.
    ///
    /// # Errors
    /// [`RecipeError::Encoding`] for a recipe built by hand with what TOML cannot hold, such as a path that
    /// is not UTF-8.
    fn to_toml(&self) -> Result<String, RecipeError> {
        toml::to_string(self).map_err(|error| RecipeError::Encoding {
            origin: "effective configuration".into(),
            message: error.to_string(),
        })
    }

    /// Applies overrides, and lays what is to hold below the document.
    #[doc(hidden)]
    fn prepare(document: &mut Document, overrides: Vec<(String, Value)>) -> Result<(), RecipeError> {
        document.apply(overrides);
        Ok(())
    }

    /// Refuses values that are fine one by one and contradict each other.
    ///
    /// # Errors
    /// The first contradiction.
    fn agrees(&self) -> Result<(), Contradiction> {
        Ok(())
    }
}

impl RunRecipe for Recipe {
    /// A preset or fidelity among the overrides takes the place of the file's with all that it stands for.
    fn prepare(document: &mut Document, overrides: Vec<(String, Value)>) -> Result<(), RecipeError> {
        let sets = |name: &str| overrides.iter().any(|(key, _)| key == name);
        if sets("method.preset") || sets("method.fidelity") {
            document.forget(&preset(document)?);
            if sets("method.preset") && !sets("method.teacher") && document.get("method.teacher").is_some() {
                return Err(RecipeError::Conflict {
                    origin: SET.into(),
                    key: "method.preset".into(),
                    found: format!("a teacher table of its own in {}, which would stay", document.origin()),
                    wanted: "a file without [[method.teacher]]".into(),
                    hint: "remove the table from the file to use a preset's".into(),
                });
            }
        }
        document.apply(overrides);
        document.lay_over(&preset(document)?);
        Ok(())
    }

    fn agrees(&self) -> Result<(), Contradiction> {
        limits::step(self.train.batch, self.train.accumulate)?;
        limits::cut(self.train.tokens_per_micro_batch, self.train.normalise)?;
        self.data.rows.names_hosts()?;
        limits::completions(self.train.batch, self.train.accumulate, self.rollout.per_sample)?;
        self.rollout.names_its_server()?;
        for (section, sampling) in [("rollout", &self.rollout.sampling), ("eval", &self.eval.sampling)] {
            limits::decoding(section, sampling.batch, sampling.max_new_tokens)?;
        }
        let eval = &self.eval;
        limits::held_out(eval.every, eval.patience, eval.path.is_some() || eval.split.is_some())?;
        let (fields, usual) = (&self.data.fields, Fields::default());
        limits::layout(self.data.rows.layout, "problem", fields.problem != usual.problem)?;
        limits::layout(self.data.rows.layout, "answer", fields.answer != usual.answer)?;
        self.method.check()
    }
}

/// What the preset and the fidelity of a document stand for.
fn preset(document: &Document) -> Result<Document, RecipeError> {
    let text = |key| document.get(key).and_then(Value::as_str);
    let fidelity = match text("method.fidelity") {
        Some("released") => Fidelity::Released,
        _ => Fidelity::default(),
    };
    // The names were checked when the document was read.
    let preset = text("method.preset").and_then(Preset::named).or(Preset::ALL.first());
    let text = preset.map_or("", |preset| preset.text(fidelity));
    Document::parse(schema::<Recipe>(), text, "preset")
}

impl Recipe {
    /// As [`RunRecipe::load`].
    ///
    /// # Errors
    /// As [`RunRecipe::load`].
    pub fn load(path: &Path, overrides: &[String]) -> Result<Self, RecipeError> {
        RunRecipe::load(path, overrides)
    }

    /// As [`RunRecipe::parse`].
    ///
    /// # Errors
    /// As [`RunRecipe::load`].
    pub fn parse(text: &str, origin: &str, overrides: &[String]) -> Result<Self, RecipeError> {
        RunRecipe::parse(text, origin, overrides)
    }

    /// As [`RunRecipe::to_toml`].
    ///
    /// # Errors
    /// As [`RunRecipe::to_toml`].
    pub fn to_toml(&self) -> Result<String, RecipeError> {
        RunRecipe::to_toml(self)
    }
}
