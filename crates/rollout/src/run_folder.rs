//! A run's folder: claimed by one run, resumed only by the same one.

pub use crate::folder_error::FolderError;
use crate::inputs::Inputs;
use serde_json::Value;
use std::path::{Path, PathBuf};
use vigos_core::files::{FileError, read_limited, remove_unfinished, write_atomic_bytes};
use vigos_core::leaves::leaves;
use vigos_core::lock::FolderLock;
use vigos_recipe::RunRecipe;
use vigos_recipe::resume::{Run, free};

const CONFIG: &str = "config.toml";
const OVERRIDES: &str = "overrides.json";
const ROLLOUTS: &str = "rollouts";
const MAX_CONFIG: u64 = 1 << 20;

/// The folder of a run. Once its run is begun it is this process's own, until the value is dropped.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
    resumes: bool,
    lock: Option<FolderLock>,
    changes: Vec<String>,
    /// What may not change of its recipe.
    recipe: String,
    inputs: Option<Inputs>,
    run: String,
}

impl RunFolder {
    /// Looks whether a folder is free for a new run, or locks it and checks that it holds the run that `recipe`
    /// continues: all keys are as they were but those that may change where a run of this kind goes on. Nothing of
    /// the run is written yet.
    ///
    /// # Errors
    /// If a new run's folder is taken, or a resumed one is not there, in use, or had another recipe.
    pub fn open<R: RunRecipe>(path: &Path, recipe: &R, resume: bool, run: Run) -> Result<Self, FolderError> {
        if path.exists() && !path.is_dir() {
            return Err(FolderError::taken(path, "this is no folder".into(), "name another with --run-dir"));
        }
        let (mut lock, mut changes, free) = (None, Vec::new(), free::<R>(run));
        match (resume, taken(path)) {
            (false, true) => return Err(is_taken(path)),
            (true, false) => {
                let message = "there is no run to resume".into();
                return Err(FolderError::taken(path, message, "leave out --resume to start one"));
            }
            (true, true) => {
                is_of_command(path, run)?;
                lock = Some(FolderLock::take(path)?);
                changes = begun_by(path, recipe, &free)?;
            }
            (false, false) => {}
        }
        let recipe = fixed(recipe, &free).map_err(|e| no_text(path, &e))?;
        Ok(Self {
            path: path.to_owned(),
            resumes: resume,
            lock,
            changes,
            recipe,
            inputs: None,
            run: String::new(),
        })
    }

    /// The folder of a run for those that only read in it: neither looked at nor locked.
    pub fn to_read(path: &Path, resumes: bool) -> Self {
        let (changes, recipe, run) = (Vec::new(), String::new(), String::new());
        Self { path: path.to_owned(), resumes, lock: None, changes, recipe, inputs: None, run }
    }

    /// Checks that a folder's run was begun by this very recipe.
    ///
    /// # Errors
    /// If it was not, or there is none.
    pub fn is_of<R: RunRecipe>(path: &Path, recipe: &R) -> Result<(), FolderError> {
        begun_by(path, recipe, &[]).map(drop)
    }

    /// What was set over the recipe's file when the run in a folder was begun or gone on with, in that order; nothing
    /// if there is no run.
    ///
    /// # Errors
    /// If the file that says so cannot be read, or the run is of another command than `run`.
    pub fn overrides(path: &Path, run: Run) -> Result<Vec<String>, FolderError> {
        is_of_command(path, run)?;
        let file = path.join(OVERRIDES);
        if !file.exists() {
            return Ok(Vec::new());
        }
        serde_json::from_slice(&read_limited(&file, MAX_CONFIG)?).map_err(|e| {
            FolderError::taken(
                &file,
                format!("{e}; wanted a list of key=value"),
                "remove it, and give them again",
            )
        })
    }

    /// Says what the run computes with, and tells what of it has changed since a resumed one began.
    ///
    /// # Errors
    /// If the base is another one.
    pub fn computes_with(&mut self, mut inputs: Inputs) -> Result<Option<String>, FolderError> {
        let begun = if self.resumes { Inputs::begun_with(&self.path)? } else { None };
        let change = match begun {
            Some(begun) => {
                let change = inputs.differences(&begun, &self.path)?;
                inputs.run = begun.run;
                change
            }
            None => {
                inputs.begin(&self.recipe);
                self.resumes.then(|| {
                    let folder = self.path.display();
                    format!("{folder} has no inputs.json: nothing tells whether model and data are those that it began with")
                })
            }
        };
        self.is_run(inputs.run.clone());
        self.inputs = Some(inputs);
        Ok(change)
    }

    /// What tells the run from others, as it was when it began; empty where that was not written down then.
    pub fn run(&self) -> &str {
        &self.run
    }

    /// That its run is this one, as another rank found.
    pub fn is_run(&mut self, run: String) {
        self.run = run;
    }

    /// Creates the folder, locks it, and writes the effective recipe, the `overrides` that are part of it, and what the
    /// run computes with.
    ///
    /// # Errors
    /// If it cannot be written, or another process was first.
    pub fn begin(&mut self, recipe: &impl RunRecipe, overrides: &[String]) -> Result<(), FolderError> {
        std::fs::create_dir_all(&self.path).map_err(|e| FileError::io("create", &self.path, e))?;
        if self.lock.is_none() {
            self.lock = Some(FolderLock::take(&self.path)?);
        }
        if !self.resumes && taken(&self.path) {
            return Err(is_taken(&self.path));
        }
        // Of a process that was killed: the folder is ours now.
        remove_unfinished(&self.path)?;
        remove_unfinished(&self.path.join(ROLLOUTS))?;
        if !overrides.is_empty() {
            let text = serde_json::to_vec(overrides).unwrap_or_default();
            write_atomic_bytes(&self.path.join(OVERRIDES), &text)?;
        }
        if let Some(inputs) = &self.inputs {
            inputs.write(&self.path)?;
        }
        write_atomic_bytes(&self.path.join(CONFIG), recipe.to_toml()?.as_bytes())?;
        Ok(())
    }

    /// The keys that are others than when the run was begun, each with both values.
    pub fn changes(&self) -> &[String] {
        &self.changes
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
        Ok(self.snapshots()?.join(format!("step-{step:06}.jsonl")))
    }

    /// The recording of the tokens of a step's snapshot, in a folder that is made if it is missing.
    ///
    /// # Errors
    /// If the folder cannot be made.
    pub fn recording(&self, step: usize) -> Result<PathBuf, FileError> {
        Ok(self.made("recordings")?.join(format!("step-{step:06}.jsonl")))
    }

    /// What a step was about that was given up, beside the snapshots of rollouts.
    ///
    /// # Errors
    /// As [`RunFolder::rollouts`].
    pub fn lost(&self, step: usize) -> Result<PathBuf, FileError> {
        Ok(self.snapshots()?.join(format!("lost-{step:06}.jsonl")))
    }

    /// The rollouts of a step whose loss was unlike those before it.
    ///
    /// # Errors
    /// As [`RunFolder::rollouts`].
    pub fn spike(&self, step: usize) -> Result<PathBuf, FileError> {
        Ok(self.snapshots()?.join(format!("spike-{step:06}.jsonl")))
    }

    fn snapshots(&self) -> Result<PathBuf, FileError> {
        self.made(ROLLOUTS)
    }

    fn made(&self, name: &str) -> Result<PathBuf, FileError> {
        let folder = self.path.join(name);
        std::fs::create_dir_all(&folder).map_err(|e| FileError::io("create", &folder, e))?;
        Ok(folder)
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

/// Whether there is a run in a folder.
fn taken(path: &Path) -> bool {
    [CONFIG, "metrics.jsonl", "checkpoints"].iter().any(|name| path.join(name).exists())
}

/// Refuses a folder that another command wrote, which its files tell.
fn is_of_command(path: &Path, run: Run) -> Result<(), FolderError> {
    let has = |name: &str| path.join(name).exists();
    if !has(CONFIG) {
        return Ok(());
    }
    let text = read_limited(&path.join(CONFIG), MAX_CONFIG)?;
    let text = String::from_utf8_lossy(&text);
    let section = |name: &str| text.lines().any(|line| line.trim_end() == name);
    let wrote = match (section("[train]"), section("[rollout]")) {
        // Recipes of all others have the section, and the program itself writes the file.
        (true, false) => Run::Sft,
        (true, true) if has("metrics.jsonl") || has("checkpoints") => Run::Train,
        (true, true) if has("samples.jsonl") => Run::Eval,
        (true, true) if has("tokens.jsonl") => Run::Palr,
        // It ended before it wrote what would tell.
        _ => return Ok(()),
    };
    match wrote == run {
        true => Ok(()),
        false => Err(FolderError::taken(
            path,
            format!("this is a run of another command, vigos {}", wrote.name()),
            "name another folder with --run-dir",
        )),
    }
}

fn is_taken(path: &Path) -> FolderError {
    FolderError::taken(
        path,
        "there is a run in this folder already".into(),
        "continue it with --resume, or name another folder with --run-dir",
    )
}

/// Checks that a folder's run was begun by a recipe that differs in free keys alone, and tells in which.
fn begun_by<R: RunRecipe>(path: &Path, recipe: &R, free: &[String]) -> Result<Vec<String>, FolderError> {
    let config = path.join(CONFIG);
    let text = read_limited(&config, MAX_CONFIG)?;
    let saved = R::parse(&String::from_utf8_lossy(&text), &config.display().to_string(), &[])?;
    let differences = differences(&saved, recipe).map_err(|e| no_text(path, &e))?;
    match differences.iter().find(|(key, _)| !is_free(key, free)) {
        Some((_, what)) => Err(FolderError::taken(
            path,
            format!("the run was started with another recipe: {what}"),
            "resume with the recipe it was started with, or start anew in another folder",
        )),
        None => Ok(differences.into_iter().map(|(_, what)| what).collect()),
    }
}

fn no_text(path: &Path, error: &serde_json::Error) -> FolderError {
    FolderError::taken(path, format!("the recipe cannot be compared: {error}"), "use paths in UTF-8")
}

/// Whether a key is one of those, or below one.
fn is_free(key: &str, free: &[String]) -> bool {
    free.iter().any(|free| {
        key.strip_prefix(free.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

/// The keys of a recipe that are not free, a line each.
fn fixed(recipe: &impl RunRecipe, free: &[String]) -> Result<String, serde_json::Error> {
    let all = serde_json::to_value(recipe)?;
    let keys = leaves(&all, '.').into_iter().filter(|(key, _)| !is_free(key, free));
    Ok(keys.map(|(key, value)| format!("{key} = {value}\n")).collect())
}

/// Every key that was changed, with what it was and is.
fn differences(
    saved: &impl RunRecipe,
    now: &impl RunRecipe,
) -> Result<Vec<(String, String)>, serde_json::Error> {
    let (saved, now) = (serde_json::to_value(saved)?, serde_json::to_value(now)?);
    let (saved, now) = (leaves(&saved, '.'), leaves(&now, '.'));
    let value = |keys: &[(String, &Value)], key: &str| {
        keys.iter().find(|(k, _)| k == key).map_or("nothing".to_owned(), |(_, v)| v.to_string())
    };
    let gone = saved.iter().filter(|pair| !now.contains(pair));
    let new = now.iter().filter(|(key, _)| !saved.iter().any(|(k, _)| k == key));
    let told = |key: &String| format!("`{key}` was {}, is now {}", value(&saved, key), value(&now, key));
    Ok(gone.chain(new).map(|(key, _)| (key.clone(), told(key))).collect())
}
