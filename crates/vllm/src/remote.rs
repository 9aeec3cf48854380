//! The student on a server: its adapter, put there anew after every update, and its completions.

use crate::asking::ask_all;
use crate::question::{Prompt, Question};
use crate::server::{Named, Server};
use sha2::{Digest, Sha256};
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use vigos_core::files::{FileError, read_limited};
use vigos_models::adapter::LoraPair;
use vigos_models::{Adapter, peft};
use vigos_recipe::Recipe;
use vigos_recipe::sample::Sample;
use vigos_rollout::RunError;
use vigos_rollout::base::{Base, base_name};
use vigos_rollout::engine::Completion;
use vigos_rollout::student::GenerationSettings;

/// Where the adapters are in a run's folder that a server reads.
const FOLDER: &str = "serving";
/// One that is being written.
const UNFINISHED: &str = ".writing";
/// The weights of an adapter's folder, and more bytes than they ever have.
const WEIGHTS: (&str, u64) = ("adapter_model.safetensors", 1 << 36);
/// What the probe of the vision tower sets its updates to.
const PROBE: f64 = 0.5;
/// Log-probabilities of a token that differ by less are the same.
const SAME: f64 = 1e-2;

/// The student of a run, on a server.
#[derive(Debug)]
pub struct Remote<'a> {
    server: Server,
    base: &'a Base<'a>,
    generation: GenerationSettings,
    folder: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// The adapter that is on the server.
    served: Option<String>,
    /// Whether those of an earlier run are gone.
    is_clean: bool,
    /// Whether the server is known to have the updates of the vision tower.
    has_tower: bool,
}

impl<'a> Remote<'a> {
    /// The server at `url`, for a run in a folder that the server sees by the same name.
    ///
    /// # Errors
    /// If the run's folder cannot be found.
    pub fn new(
        url: &str,
        recipe: &Recipe,
        run_dir: &Path,
        base: &'a Base<'a>,
        generation: GenerationSettings,
    ) -> Result<Self, RunError> {
        let run_dir = run_dir.canonicalize().map_err(|error| FileError::io("find", run_dir, error))?;
        let patience = Duration::from_secs_f64(recipe.rollout.patience);
        let server = Server::new(url, patience);
        Ok(Self { server, base, generation, folder: run_dir.join(FOLDER), state: Mutex::default() })
    }

    /// Puts the adapter as it is before step `step` onto the server, and takes the one before it away; gives its name there.
    ///
    /// # Errors
    /// If it cannot be written, or the server will not have it; and where the server leaves out the updates of the vision
    /// tower, if there are any and one of `samples` has an image.
    pub fn serve(
        &self,
        adapter: &Adapter,
        samples: &[Arc<Sample>],
        step: u64,
        stop: &AtomicBool,
    ) -> Result<String, RunError> {
        let stop = || stop.load(Ordering::SeqCst);
        let mut state = self.state();
        if !state.is_clean {
            self.clean()?;
            state.is_clean = true;
        }
        if !state.has_tower && adapter.vision.iter().any(|block| !block.is_empty()) {
            state.has_tower = self.has_tower(adapter, samples, &stop)?;
        }
        let name = self.put(adapter, &format!("vigos-{step:06}"), &stop)?;
        if let Some(old) = state.served.replace(name.clone()).filter(|old| *old != name) {
            self.take_away(&old)?;
        }
        Ok(name)
    }

    /// Completes samples by the adapter of this name, each with the number that its draws are keyed by, besides `step`.
    /// `watch` is called with the tokens drawn so far and may stop the work.
    ///
    /// # Errors
    /// [`RunError::Interrupted`] if it does; [`RunError::Server`] if the server does not complete them.
    pub fn complete(
        &self,
        name: &str,
        samples: &[(Arc<Sample>, u64)],
        step: u64,
        watch: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Vec<Completion>, RunError> {
        let mut questions = Vec::with_capacity(samples.len());
        // The completions of a sample are neighbours.
        for completions in samples.chunk_by(|a, b| Arc::ptr_eq(&a.0, &b.0)) {
            let prompt = Arc::new(self.prompt(&completions[0].0)?);
            let of = |(_, number): &(_, u64)| {
                Question::new(prompt.clone(), self.base, &self.generation, step, *number)
            };
            questions.extend(completions.iter().map(of));
        }
        let adapter = Named { name, folder: &self.folder.join(name) };
        ask_all(&self.server, adapter, questions, self.generation.rows, watch)
    }

    fn prompt(&self, sample: &Sample) -> Result<Prompt, RunError> {
        Prompt::of(sample, &self.base.files.processor).ok_or_else(|| RunError::UnusableRow {
            origin: self.base.recipe.data.path.display().to_string(),
            id: sample.id.clone(),
            reason: "its picture cannot be sent to a server".into(),
        })
    }

    /// Writes an adapter and puts it onto the server, under a name that begins so and says what its weights are.
    fn put(&self, adapter: &Adapter, name: &str, stop: &dyn Fn() -> bool) -> Result<String, RunError> {
        let unfinished = self.folder.join(UNFINISHED);
        remove(&unfinished)?;
        peft::save(adapter, &base_name(&self.base.recipe.model.path), &unfinished)?;
        let weights = read_limited(&unfinished.join(WEIGHTS.0), WEIGHTS.1)?;
        let digest = Sha256::digest(&weights);
        let digest: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        let name = format!("{name}-{digest}");
        let folder = self.folder.join(&name);
        // One of the same weights is the same, and the server may be reading it.
        match folder.exists() {
            true => remove(&unfinished)?,
            false => {
                fs::rename(&unfinished, &folder).map_err(|e| FileError::io("rename", &unfinished, e))?;
            }
        }
        self.server.load(Named { name: &name, folder: &folder }, stop)?;
        Ok(name)
    }

    /// Takes an adapter off the server, and then its folder away: a server that looks for one that it has ends.
    fn take_away(&self, name: &str) -> Result<(), RunError> {
        if self.server.unload(name) { remove(&self.folder.join(name)) } else { Ok(()) }
    }

    /// Takes away what a run left that was cut short.
    fn clean(&self) -> Result<(), RunError> {
        fs::create_dir_all(&self.folder).map_err(|e| FileError::io("create", &self.folder, e))?;
        let failed = |e| FileError::io("list", &self.folder, e);
        for entry in fs::read_dir(&self.folder).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
            if name != UNFINISHED {
                self.take_away(&name)?;
            }
        }
        Ok(())
    }

    /// Whether the server computes the updates of the vision tower, which it leaves out without a word unless it was told
    /// to hold them: a picture is shown to an adapter that changes nothing, and to one that changes the tower a great deal.
    /// False where no sample has a picture.
    ///
    /// # Errors
    /// If it does not.
    fn has_tower(
        &self,
        adapter: &Adapter,
        samples: &[Arc<Sample>],
        stop: &dyn Fn() -> bool,
    ) -> Result<bool, RunError> {
        let Some(sample) = samples.iter().find(|sample| !sample.images.is_empty()) else { return Ok(false) };
        let question = Question::new(Arc::new(self.prompt(sample)?), self.base, &self.generation, 0, 0);
        let question = question.first_token();
        let nothing = adapter.map(|_, tensor| tensor.zeros_like());
        let changed = |pair: &LoraPair| LoraPair { b: pair.b.full_like(PROBE), ..pair.clone() };
        let mut tower = nothing.clone();
        for (block, own) in tower.vision.iter_mut().zip(&adapter.vision) {
            *block = own.iter().map(|(projection, pair)| (*projection, changed(pair))).collect();
        }
        let mut answers = Vec::new();
        for (adapter, name) in [(nothing, "vigos-probe-nothing"), (tower, "vigos-probe-tower")] {
            let name = self.put(&adapter, name, stop)?;
            let named = Named { name: &name, folder: &self.folder.join(&name) };
            answers.push(self.server.ask(&question, named, stop)?);
            self.take_away(&name)?;
        }
        let [nothing, tower] = [&answers[0], &answers[1]];
        let same = nothing.tokens == tower.tokens && (nothing.logprobs[0] - tower.logprobs[0]).abs() < SAME;
        match same {
            false => Ok(true),
            true => Err(RunError::Setting {
                key: "lora.targets".into(),
                found: "layers of the vision tower, whose updates the server leaves out".into(),
                wanted:
                    "a server started with --enable-tower-connector-lora, or names of decoder layers alone \
                         (q_proj, k_proj, v_proj, o_proj)"
                        .into(),
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Remote<'_> {
    fn drop(&mut self) {
        let served = self.state().served.take();
        if let Some(name) = served {
            // What stays there the next run takes away.
            let _ = self.take_away(&name);
            // Not empty where it did.
            let _ = fs::remove_dir(&self.folder);
        }
    }
}

fn remove(folder: &Path) -> Result<(), RunError> {
    match folder.exists() {
        true => Ok(fs::remove_dir_all(folder).map_err(|e| FileError::io("remove", folder, e))?),
        false => Ok(()),
    }
}
