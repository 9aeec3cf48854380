//! A run's folder: claimed by one run, resumed only by the same one.

use crate::resume::{Run, free};
use crate::{RecipeError, RunRecipe};
use serde_json::Value;
use std::path::{Path, PathBuf};
use vigos_core::files::{FileError, read_limited, write_atomic_bytes};
use vigos_core::leaves::leaves;

const CONFIG: &str = "config.toml";
const MAX_CONFIG: u64 = 1 << 20;

/// Why a folder cannot be a run's.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It is taken, or is not the run that is resumed.
    #[error("{}: {message}; {hint}", path.display())]
    Taken {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
        /// What to do.
        hint: String,
    },
    /// The recipe in it is wrong, or the one to be written is.
    #[error(transparent)]
    Recipe(Box<RecipeError>),
    /// A file in it could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
}

impl From<RecipeError> for FolderError {
    fn from(error: RecipeError) -> Self {
        Self::Recipe(Box::new(error))
    }
}

/// The folder of a run.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Claims a folder for a new run, or checks that it holds the run that `recipe` continues: all keys are as
    /// they were but those that may change where a run of this kind goes on. Nothing is written yet.
    ///
    /// # Errors
    /// If a new run's folder is taken, or a resumed one is not there or had another recipe.
    pub fn open<R: RunRecipe>(path: &Path, recipe: &R, resume: bool, run: Run) -> Result<Self, FolderError> {
        let config = path.join(CONFIG);
        let taken =
            config.exists() || path.join("metrics.jsonl").exists() || path.join("checkpoints").exists();
        match (resume, taken) {
            (false, true) => Err(fault(
                path,
                "there is a run in this folder already".into(),
                "continue it with --resume, or name another folder with --run-dir",
            )),
            (true, false) => {
                Err(fault(path, "there is no run to resume".into(), "leave out --resume to start one"))
            }
            (true, true) => begun_by(path, recipe, &free::<R>(run)),
            (false, false) => Ok(()),
        }?;
        Ok(Self { path: path.to_owned() })
    }

    /// Checks that a folder's run was begun by this very recipe.
    ///
    /// # Errors
    /// If it was not, or there is none.
    pub fn is_of<R: RunRecipe>(path: &Path, recipe: &R) -> Result<(), FolderError> {
        begun_by(path, recipe, &[])
    }

    /// Creates the folder and writes the effective recipe.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn begin(&self, recipe: &impl RunRecipe) -> Result<(), FolderError> {
        std::fs::create_dir_all(&self.path).map_err(|e| FileError::io("create", &self.path, e))?;
        write_atomic_bytes(&self.path.join(CONFIG), recipe.to_toml()?.as_bytes())?;
        Ok(())
    }

    /// `metrics.jsonl`
    pub fn metrics(&self) -> PathBuf {
        self.path.join("metrics.jsonl")
    }

    /// Rows that could not be used.
    pub fn quarantine(&self) -> PathBuf {
        self.path.join("quarantine.jsonl")
    }

    /// The snapshot of a step's rollouts, in a folder that is made if it is missing.
    ///
    /// # Errors
    /// If the folder cannot be made.
    pub fn rollouts(&self, step: usize) -> Result<PathBuf, FileError> {
        let folder = self.path.join("rollouts");
        std::fs::create_dir_all(&folder).map_err(|e| FileError::io("create", &folder, e))?;
        Ok(folder.join(format!("step-{step:06}.jsonl")))
    }

    /// TensorBoard's event files.
    pub fn tensorboard(&self) -> PathBuf {
        self.path.join("tensorboard")
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Checks that a folder's run was begun by a recipe that differs in free keys alone.
fn begun_by<R: RunRecipe>(path: &Path, recipe: &R, free: &[String]) -> Result<(), FolderError> {
    let config = path.join(CONFIG);
    let text = read_limited(&config, MAX_CONFIG)?;
    let saved = R::parse(&String::from_utf8_lossy(&text), &config.display().to_string(), &[])?;
    let difference = difference(&saved, recipe, free)
        .map_err(|e| fault(path, format!("the recipe cannot be compared: {e}"), "use paths in UTF-8"))?;
    match difference {
        Some(what) => Err(fault(
            path,
            format!("the run was started with another recipe: {what}"),
            "resume with the recipe it was started with, or start anew in another folder",
        )),
        None => Ok(()),
    }
}

fn fault(path: &Path, message: String, hint: &str) -> FolderError {
    FolderError::Taken { path: path.to_owned(), message, hint: hint.to_owned() }
}

/// The first key that may not change and did.
fn difference(
    saved: &impl RunRecipe,
    now: &impl RunRecipe,
    free: &[String],
) -> Result<Option<String>, serde_json::Error> {
    let (saved, now) = (serde_json::to_value(saved)?, serde_json::to_value(now)?);
    let flat = |tree| -> Vec<(String, &Value)> {
        let mut keys = leaves(tree, '.');
        let is_free = |key: &str| {
            let below = |free: &String| {
                key.strip_prefix(free).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            };
            free.iter().any(below)
        };
        keys.retain(|(key, _)| !is_free(key));
        keys
    };
    let (saved, now) = (flat(&saved), flat(&now));
    let changed =
        saved.iter().find(|pair| !now.contains(pair)).or_else(|| now.iter().find(|p| !saved.contains(p)));
    let value = |keys: &[(String, &Value)], key: &str| {
        keys.iter().find(|(k, _)| k == key).map_or("nothing".to_owned(), |(_, v)| v.to_string())
    };
    Ok(changed.map(|(key, _)| format!("`{key}` was {}, is now {}", value(&saved, key), value(&now, key))))
}
