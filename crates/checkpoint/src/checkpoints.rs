//! Checkpoints: the trained weights as others read them, beside them what a resumed run needs.
//!
//! A checkpoint is written to a folder of another name, its manifest last, and then renamed: a folder called
//! `step-…` is whole or was damaged afterwards, and the manifest's hashes tell.

use crate::optim::{AdamW, Moments};
use crate::state::State;
use burn::tensor::DType;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use vigos_core::files::{FileError, read_limited, write_atomic_bytes};
use vigos_core::folders::{mend, replace};
use vigos_core::jsonl::{JsonLines, JsonLinesError};
use vigos_core::manifest::Manifest;
use vigos_models::weights::Weights;
use vigos_models::{ModelError, Trained, peft};
use vigos_rollout::run_folder::{FolderError, RunFolder};
use vigos_rollout::{RunError, Start};

const OPTIMIZER: &str = "optimizer.safetensors";
const STATE: &str = "trainer.json";
const MAX_STATE: u64 = 1 << 20;

/// What `best.json` says, as far as it matters here.
#[derive(Deserialize)]
struct Best {
    step: usize,
}

/// The checkpoints of one run.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    folder: PathBuf,
}

impl Checkpoints {
    /// Those in `run_dir/checkpoints`.
    pub fn of(run_dir: &Path) -> Self {
        Self { folder: run_dir.join("checkpoints") }
    }

    /// The folder of a step's checkpoint.
    pub fn path(&self, step: usize) -> PathBuf {
        self.folder.join(format!("step-{step:06}"))
    }

    /// Writes a checkpoint; `weights` fills its folder with what was trained.
    ///
    /// # Errors
    /// If a file cannot be written. A checkpoint of that step from before is then still there.
    pub fn save(
        &self,
        state: &State,
        optimiser: &AdamW,
        weights: impl FnOnce(&Path) -> Result<(), RunError>,
    ) -> Result<PathBuf, RunError> {
        let target = self.path(state.step);
        write_folder(&target, |folder| {
            weights(folder)?;
            let moments: Vec<_> = optimiser
                .moments
                .iter()
                .flat_map(|(name, m)| {
                    [(format!("mean.{name}"), m.mean.clone()), (format!("square.{name}"), m.square.clone())]
                })
                .collect();
            peft::save_tensors(&moments, &folder.join(OPTIMIZER))?;
            let text = serde_json::to_vec_pretty(state).unwrap_or_default();
            write_atomic_bytes(&folder.join(STATE), &text)?;
            Ok(())
        })?;
        Ok(target)
    }

    /// The best one where they were judged, else the last; nothing where there is none.
    pub fn best(&self) -> Option<PathBuf> {
        let named = read_limited(&self.folder.join("best.json"), MAX_STATE).ok();
        let named = named.and_then(|bytes| serde_json::from_slice::<Best>(&bytes).ok());
        let named = named.map(|best| self.path(best.step)).filter(|folder| folder.is_dir());
        named.or_else(|| Some(self.list().ok()?.pop()?.1))
    }

    /// Removes all but the newest `keep`, and the one of step `best`; 0 keeps all.
    ///
    /// # Errors
    /// If the folder cannot be listed or a checkpoint cannot be removed.
    pub fn prune(&self, keep: usize, best: Option<usize>) -> Result<(), RunError> {
        let all = self.list()?;
        let surplus = if keep == 0 { 0 } else { all.len().saturating_sub(keep) };
        for (_, path) in all.into_iter().take(surplus).filter(|(step, _)| Some(*step) != best) {
            fs::remove_dir_all(&path).map_err(|e| FileError::io("remove", &path, e))?;
        }
        Ok(())
    }

    /// Loads the newest checkpoint whose files are what its manifest says, or nothing if there is none; `weights`
    /// reads what was trained from its folder. One that is damaged, or of another run than `run`, is reported through
    /// `note` and the one before it is tried.
    ///
    /// # Errors
    /// If there are checkpoints and none can be used.
    pub fn load<T: Trained>(
        &self,
        run: &str,
        weights: impl Fn(&Path) -> Result<T, RunError>,
        note: &mut dyn FnMut(String),
    ) -> Result<Option<(T, AdamW, State)>, RunError> {
        let mut damage = None;
        if self.folder.is_dir() {
            mend(&self.folder)?;
        }
        for (_, path) in self.list()?.into_iter().rev() {
            match read(&path, run, &weights) {
                Ok(found) => return Ok(Some(found)),
                Err(error) => {
                    note(format!("{} cannot be used: {error}", path.display()));
                    damage = Some(error);
                }
            }
        }
        match damage {
            None => Ok(None),
            Some(error) if !error.is_input() => Err(error),
            Some(error) => {
                let (message, hint) = (
                    format!("no checkpoint can be used: {error}"),
                    "put one back as it was, or start anew elsewhere",
                );
                Err(FolderError::taken(&self.folder, message, hint).into())
            }
        }
    }

    /// What a run that starts `at` goes on from: what [`Checkpoints::load`] finds, once those after the step that it goes back
    /// to are put aside. `note` is told of that, of what is damaged, and where there is nothing.
    ///
    /// # Errors
    /// As [`Checkpoints::load`]; if the step that it goes back to was not saved, or not whole.
    pub fn go_on<T: Trained>(
        &self,
        at: Start,
        run: &str,
        weights: impl Fn(&Path) -> Result<T, RunError>,
        note: &mut dyn FnMut(&str),
    ) -> Result<Option<(T, AdamW, State)>, RunError> {
        if let Start::ResumedAt(step) = at {
            self.go_back_to(step, run, note)?;
        }
        let saved = self.load(run, weights, &mut |text| note(&text))?;
        if saved.is_none() && at.resumes() {
            let folder = self.folder.display();
            note(&format!("there is no checkpoint in {folder} to go on from: the run begins anew"));
        }
        Ok(saved)
    }

    /// Makes the checkpoint of a step the newest: those after it are put aside under other names.
    fn go_back_to(&self, step: usize, run: &str, note: &mut dyn FnMut(&str)) -> Result<(), RunError> {
        let all = self.list()?;
        if !all.iter().any(|(known, _)| *known == step) {
            let known: Vec<String> = all.iter().map(|(step, _)| step.to_string()).collect();
            return Err(RunError::Setting {
                key: "--at".into(),
                found: step.to_string(),
                wanted: format!("a step that was saved: {}", known.join(", ")),
            });
        }
        Manifest::verify(&self.path(step))?;
        self.has_its_lines(&state(&self.path(step), run)?)?;
        for (later, path) in all.into_iter().filter(|(later, _)| *later > step) {
            let aside = self.folder.join(format!("aside-{later:06}"));
            if aside.exists() {
                fs::remove_dir_all(&aside).map_err(|e| FileError::io("remove", &aside, e))?;
            }
            fs::rename(&path, &aside).map_err(|e| FileError::io("rename", &path, e))?;
            note(&format!("{} is put aside as {}", path.display(), aside.display()));
        }
        Ok(())
    }

    /// Checks that the run's files have the lines that belong to a checkpoint, before anything is moved for its sake.
    fn has_its_lines(&self, state: &State) -> Result<(), RunError> {
        let folder = RunFolder::to_read(self.folder.parent().unwrap_or(&self.folder), true);
        for (path, wanted) in
            [(folder.metrics(), state.metrics_lines), (folder.quarantine(), state.quarantine_lines)]
        {
            let found = if wanted > 0 { JsonLines::append(&path)?.lines() } else { 0 };
            if found < wanted {
                return Err(JsonLinesError::TooFew { path, found, wanted }.into());
            }
        }
        Ok(())
    }

    /// (step, folder) of every checkpoint, oldest first.
    ///
    /// # Errors
    /// If the folder cannot be listed.
    pub fn list(&self) -> Result<Vec<(usize, PathBuf)>, RunError> {
        if !self.folder.is_dir() {
            return Ok(Vec::new());
        }
        let failed = |e| FileError::io("list", &self.folder, e);
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            found.extend(step_of(&path).map(|step| (step, path)));
        }
        found.sort();
        Ok(found)
    }
}

/// Makes the folder `target` out of what `fill` writes, its manifest last: it is there whole or not at all. One
/// that is there already is replaced.
///
/// # Errors
/// If a file cannot be written. The folder from before is then still there.
pub fn write_folder(target: &Path, fill: impl FnOnce(&Path) -> Result<(), RunError>) -> Result<(), RunError> {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let temporary = target.with_file_name(format!(".writing-{name}"));
    let io = |action, path: &Path| {
        let path = path.to_owned();
        move |e| RunError::File(FileError::io(action, &path, e))
    };
    if temporary.exists() {
        fs::remove_dir_all(&temporary).map_err(io("write", &temporary))?;
    }
    fs::create_dir_all(&temporary).map_err(io("create", &temporary))?;
    fill(&temporary)?;
    Manifest::write(&temporary)?;
    Ok(replace(&temporary, target)?)
}

/// The state in a checkpoint's folder, which is that of the step it is called by and of `run`, where both say.
fn state(path: &Path, run: &str) -> Result<State, RunError> {
    let file = path.join(STATE);
    let wrong = |key: &str, found: String, wanted: String| ModelError::Config {
        path: file.clone(),
        key: key.into(),
        found,
        wanted,
    };
    let state: State = serde_json::from_slice(&read_limited(&file, MAX_STATE)?)
        .map_err(|e| wrong("(whole file)", e.to_string(), "the state of a run".into()))?;
    if ![state.run.as_str(), run].contains(&"") && state.run != run {
        return Err(wrong("run", state.run, format!("{run}: this is a checkpoint of another run")).into());
    }
    match step_of(path) {
        Some(step) if step == state.step => Ok(state),
        _ => {
            let wanted = "the step that its folder is called by".into();
            Err(wrong("step", state.step.to_string(), wanted).into())
        }
    }
}

/// The step that a checkpoint's folder is called by.
fn step_of(path: &Path) -> Option<usize> {
    path.file_name()?.to_str()?.strip_prefix("step-")?.parse().ok()
}

fn read<T: Trained>(
    path: &Path,
    run: &str,
    weights: &impl Fn(&Path) -> Result<T, RunError>,
) -> Result<(T, AdamW, State), RunError> {
    Manifest::verify(path)?;
    let state = state(path, run)?;
    let trained = weights(path)?;
    let stored = Weights::open_file(&path.join(OPTIMIZER))?;
    let mut moments = BTreeMap::new();
    for (name, tensor) in trained.tensors() {
        let device = tensor.device();
        let read = |kind: &str| stored.tensor(&format!("{kind}.{name}"), tensor.dims(), &device, DType::F32);
        moments.insert(name.clone(), Moments { mean: read("mean")?, square: read("square")? });
    }
    let optimiser = AdamW { updates: state.updates, moments };
    Ok((trained, optimiser, state))
}
