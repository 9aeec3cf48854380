//! The runs that an experiment comes to, each with its folder and its whole recipe.

use crate::error::ExperimentError;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use vigos_checkpoint::Checkpoints;
use vigos_core::files::{FileError, read_limited, write_atomic_bytes};
use vigos_eval::{evaluate, palr};
use vigos_recipe::Method as Teaching;
use vigos_recipe::Recipe;
use vigos_recipe::docs::SCHEMAS;
use vigos_recipe::experiment::{Dial, Experiment, PLACE, SWEEP, slug};
use vigos_recipe::kinds::explained;
use vigos_rollout::RunError;
use vigos_rollout::run_folder::RunFolder;

/// What a run leaves when all of it is done.
const DONE: &str = "done.json";
const LARGEST_DONE: u64 = 1 << 20;

/// Everything that is to be done.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The runs, in the order in which they are done: seed by seed, then the sweep.
    pub runs: Vec<Run>,
    /// The sweep's cells; a run of the table may be one of them.
    pub cells: Vec<Cell>,
    /// The students that methods start from, one for each way to ask them.
    pub starts: Vec<Start>,
}

/// A run.
#[derive(Debug, Clone)]
pub struct Run {
    /// Which of the experiment's methods.
    pub method: usize,
    /// Its seed; none if nothing is trained.
    pub seed: Option<u64>,
    /// The sweep's value; none in the table.
    pub value: Option<Dial>,
    /// Its folder.
    pub folder: PathBuf,
    /// Its recipe.
    pub recipe: Recipe,
    /// The recipe of its leakage diagnostic, without an adapter.
    pub palr: Option<Recipe>,
    /// Its student before training, an index into [`Plan::starts`]; none in a sweep, which asks at the end only.
    pub start: Option<usize>,
}

/// A cell of the sweep.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cell {
    /// Which of the experiment's methods.
    pub method: usize,
    /// The value.
    pub value: Dial,
    /// The seed.
    pub seed: u64,
    /// Index of its run.
    pub run: usize,
}

/// A student before training.
#[derive(Debug, Clone)]
pub struct Start {
    /// Folder of its evaluation.
    pub folder: PathBuf,
    /// Its recipe.
    pub recipe: Recipe,
}

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Nothing of it is there.
    New,
    /// Some of it.
    Begun,
    /// All of it.
    Done(Done),
}

/// What a finished run has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Done {
    /// Steps at which it was evaluated after training.
    pub steps: Vec<usize>,
    /// Whether leakage was diagnosed.
    pub palr: bool,
}

impl Plan {
    /// The runs of an experiment.
    ///
    /// # Errors
    /// If one of the recipes is wrong.
    pub fn new(config: &Experiment) -> Result<Self, ExperimentError> {
        let mut plan = Self { runs: Vec::new(), cells: Vec::new(), starts: Vec::new() };
        for (round, &seed) in config.seeds.iter().enumerate() {
            for (method, row) in config.methods.iter().enumerate() {
                let (seed, folder) = match row.train {
                    true => (Some(seed), config.runs.join(slug(&row.name)).join(format!("seed-{seed}"))),
                    false if round == 0 => (None, config.runs.join(slug(&row.name))),
                    false => continue,
                };
                let recipe = recipe(config, method, None, &[], seed)?;
                let palr = match (&config.palr, seed) {
                    (Some(palr), Some(_)) => Some(self::recipe(config, method, None, &palr.set, seed)?),
                    _ => None,
                };
                let start = plan.start(&recipe, || config.runs.join(slug(&row.name)));
                plan.runs.push(Run { method, seed, value: None, folder, recipe, palr, start: Some(start) });
            }
        }
        plan.sweep(config)?;
        Ok(plan)
    }

    fn sweep(&mut self, config: &Experiment) -> Result<(), ExperimentError> {
        let Some(sweep) = &config.sweep else { return Ok(()) };
        let table = self.runs.len();
        for &seed in &config.seeds {
            for &value in &sweep.values {
                let mut set = vec![sweep.set.replace(PLACE, &value.to_string())];
                set.extend(sweep.also.iter().cloned());
                for (method, row) in config.methods.iter().enumerate() {
                    if !sweep.methods.contains(&row.name) {
                        continue;
                    }
                    let recipe = recipe(config, method, Some(value), &set, Some(seed))?;
                    let same =
                        |run: &Run| run.method == method && run.seed == Some(seed) && run.recipe == recipe;
                    let known = self.runs.iter().take(table).position(same);
                    let run = known.unwrap_or_else(|| {
                        let folder = config.runs.join(format!("{SWEEP}{value}"));
                        let folder = folder.join(slug(&row.name)).join(format!("seed-{seed}"));
                        let (seed, value) = (Some(seed), Some(value));
                        self.runs.push(Run { method, seed, value, folder, recipe, palr: None, start: None });
                        self.runs.len() - 1
                    });
                    self.cells.push(Cell { method, value, seed, run });
                }
            }
        }
        Ok(())
    }

    /// The start of a recipe: one that is asked in the same way, or a new one in a folder of its own.
    fn start(&mut self, recipe: &Recipe, folder: impl FnOnce() -> PathBuf) -> usize {
        let known = self.starts.iter().position(|start| asked_alike(&start.recipe, recipe));
        known.unwrap_or_else(|| {
            let folder = evaluation(&folder(), 0);
            self.starts.push(Start { folder, recipe: recipe.clone() });
            self.starts.len() - 1
        })
    }

    /// How far a run is.
    ///
    /// # Errors
    /// If its folder was made by another recipe, or is damaged.
    pub fn state(&self, run: &Run) -> Result<State, ExperimentError> {
        let start = run.start.and_then(|start| self.starts.get(start));
        if run.seed.is_some() && run.folder.join("config.toml").exists() {
            RunFolder::is_of(&run.folder, &run.recipe).map_err(RunError::from)?;
        }
        if let Some(start) = start {
            evaluate::begun(&start.folder, &start.recipe)?;
        }
        let mark = run.folder.join(DONE);
        if !mark.exists() {
            return Ok(if run.folder.exists() { State::Begun } else { State::New });
        }
        let done: Done = serde_json::from_slice(&read_limited(&mark, LARGEST_DONE)?)
            .map_err(|error| ExperimentError::Damaged { path: mark, found: error.to_string() })?;
        if let (Some(palr), Some(last)) = (&run.palr, done.steps.last()) {
            let adapter = Checkpoints::of(&run.folder).path(*last);
            palr::begun(&run.diagnosis(), &with_adapter(palr, &adapter))?;
        }
        let whole = start.is_none_or(|start| reported(&start.folder))
            && done.steps.iter().all(|step| reported(&evaluation(&run.folder, *step)))
            && (run.palr.is_none() || done.palr && reported(&run.diagnosis()));
        Ok(if whole { State::Done(done) } else { State::Begun })
    }
}

impl Run {
    /// The folder of its diagnosis.
    pub fn diagnosis(&self) -> PathBuf {
        self.folder.join("palr")
    }

    /// Marks it as done.
    pub(crate) fn finish(&self, done: &Done) -> Result<(), ExperimentError> {
        let text = serde_json::to_vec(done).unwrap_or_default();
        std::fs::create_dir_all(&self.folder)
            .map_err(|error| FileError::io("create", &self.folder, error))?;
        Ok(write_atomic_bytes(&self.folder.join(DONE), &text)?)
    }
}

/// The folder of the evaluation at a step of the run in `folder`.
pub(crate) fn evaluation(folder: &Path, step: usize) -> PathBuf {
    folder.join("eval").join(format!("step-{step:06}"))
}

/// Whether an evaluation or a diagnosis in this folder is whole: its report is written last.
pub(crate) fn reported(folder: &Path) -> bool {
    folder.join("report.json").is_file()
}

/// What a run is called in messages: its method, and its value in a sweep.
pub(crate) fn called(config: &Experiment, method: usize, value: Option<Dial>) -> String {
    let name = config.methods.get(method).map_or("", |method| &method.name);
    match value {
        None => format!("method {name:?}"),
        Some(value) => format!("method {name:?} at {value}"),
    }
}

/// The recipe of a method with this seed, for a value of the sweep; `set` goes over the experiment's and the method's
/// overrides.
fn recipe(
    config: &Experiment,
    method: usize,
    value: Option<Dial>,
    set: &[String],
    seed: Option<u64>,
) -> Result<Recipe, ExperimentError> {
    let of_method = config.methods.get(method).map(|method| method.set.as_slice()).unwrap_or_default();
    let seed = seed.map(|seed| format!("train.seed={seed}"));
    let overrides: Vec<String> =
        config.set.iter().chain(of_method).chain(set).chain(&seed).cloned().collect();
    Recipe::load(&config.recipe, &overrides).map_err(|error| {
        let error = explained::<Recipe>(error, &config.recipe, SCHEMAS);
        ExperimentError::Run { run: called(config, method, value), error: Box::new(error.into()) }
    })
}

/// Whether two recipes ask their student in the same way before training.
fn asked_alike(a: &Recipe, b: &Recipe) -> bool {
    let student = |recipe: &Recipe| {
        let Teaching { fidelity, student_prompt, student_prefill, prompts, .. } = recipe.method.clone();
        let length = recipe.train.max_prompt_tokens;
        (fidelity, student_prompt, student_prefill, prompts, length, recipe.train.precision)
    };
    a.model == b.model && a.data == b.data && a.eval == b.eval && student(a) == student(b)
}

/// A recipe whose student has this adapter.
pub(crate) fn with_adapter(recipe: &Recipe, adapter: &Path) -> Recipe {
    let mut recipe = recipe.clone();
    recipe.model.adapter = Some(adapter.to_owned());
    recipe
}
