//! Doing the runs that are not done yet: train, evaluate every checkpoint, diagnose.

use crate::error::ExperimentError;
use crate::plan::{Done, Plan, Run, Start, State, called, evaluation, reported, with_adapter};
use burn::tensor::Device;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use vigos_eval::palr::palr;
use vigos_eval::{Options, evaluate};
use vigos_recipe::Recipe;
use vigos_recipe::experiment::Experiment;
use vigos_rollout::base::BaseFiles;
use vigos_rollout::{Kit, RunOptions};
use vigos_train::checkpoint::Checkpoints;
use vigos_train::train;

/// Sees an experiment as it goes.
pub trait Watch {
    /// `bytes` of the `size` bytes of a file that a run names are there.
    fn fetching(&mut self, _file: &str, _bytes: u64, _size: u64) {}
    /// So many of the runs are done already.
    fn kept(&mut self, done: usize, total: usize);
    /// A run begins, the `number`th of `total`.
    fn begins(&mut self, run: &Run, number: usize, total: usize);
    /// It is done; the rest will take about so long.
    fn done(&mut self, run: &Run, number: usize, total: usize, left: Duration);
    /// Training begins; whoever sees it.
    fn training(&mut self) -> &mut dyn vigos_train::Observer;
    /// An evaluation or a diagnosis begins, of this name; whoever sees it.
    fn asking(&mut self, what: &str) -> &mut dyn vigos_eval::Observer;
    /// What was begun last has ended, or was stopped.
    fn ended(&mut self);
}

/// Does every run that is not done. Returns whether all of them are; they are not if `stop` was set, and the same
/// call goes on then. Folders that belong to other recipes, and data sets, models and adapters that cannot be had for any of
/// the runs, are refused before the first run begins.
///
/// # Errors
/// If a recipe or what it names is wrong, a folder holds another run, or the device or the disk fails.
pub fn run(
    config: &Experiment,
    plan: &Plan,
    kit: &Kit,
    device: &Device,
    watch: &mut dyn Watch,
    stop: &AtomicBool,
) -> Result<bool, ExperimentError> {
    let states = plan.runs.iter().map(|run| plan.state(run)).collect::<Result<Vec<_>, _>>()?;
    let open: Vec<(usize, &Run)> = plan
        .runs
        .iter()
        .zip(&states)
        .enumerate()
        .filter(|(_, (_, state))| !matches!(state, State::Done(_)))
        .map(|(index, (run, _))| (index + 1, run))
        .collect();
    let total = plan.runs.len();
    if open.len() < total {
        watch.kept(total - open.len(), total);
    }
    check(config, &open, kit, device, watch)?;
    let begin = Instant::now();
    let mut work = Work { config, plan, kit, device, watch, stop };
    for (finished, (number, run)) in open.iter().enumerate() {
        work.watch.begins(run, *number, total);
        let Some(done) = work.run(run)? else { return Ok(false) };
        run.finish(&done)?;
        let (finished, left) = (finished as f64 + 1.0, (open.len() - finished - 1) as f64);
        work.watch.done(run, *number, total, begin.elapsed().mul_f64(left / finished));
    }
    Ok(true)
}

/// Opens what the runs name, each data set, model and adapter once: the last of them must not fail for what could be seen
/// before the first.
fn check(
    config: &Experiment,
    open: &[(usize, &Run)],
    kit: &Kit,
    device: &Device,
    watch: &mut dyn Watch,
) -> Result<(), ExperimentError> {
    let mut known: Vec<(&Recipe, bool)> = Vec::new();
    let mut fetching = |file: &str, bytes, size| watch.fetching(file, bytes, size);
    for (_, run) in open {
        for recipe in std::iter::once(&run.recipe).chain(&run.palr) {
            let trains = run.seed.is_some();
            if known.iter().any(|(other, trained)| *trained == trains && names_alike(other, recipe)) {
                continue;
            }
            let of_training = match trains {
                true => vigos_train::distil::check(recipe, kit, device, &mut fetching),
                false => BaseFiles::open(recipe, kit, &mut fetching).map(drop),
            };
            of_training
                .and_then(|()| vigos_eval::evaluate::check(recipe, &kit.sources, &mut fetching))
                .map_err(|error| ExperimentError::Run {
                    run: called(config, run.method, run.value),
                    error: Box::new(error),
                })?;
            known.push((recipe, trains));
        }
    }
    Ok(())
}

/// Whether two recipes name the same things.
fn names_alike(a: &Recipe, b: &Recipe) -> bool {
    let length = |recipe: &Recipe| recipe.train.max_prompt_tokens;
    let named = a.model == b.model && a.data == b.data && a.eval == b.eval && length(a) == length(b);
    named && a.method == b.method && a.lora == b.lora
}

/// An experiment under way.
struct Work<'a> {
    config: &'a Experiment,
    plan: &'a Plan,
    kit: &'a Kit,
    device: &'a Device,
    watch: &'a mut dyn Watch,
    stop: &'a AtomicBool,
}

impl Work<'_> {
    /// All of a run; none if it was stopped.
    fn run(&mut self, run: &Run) -> Result<Option<Done>, ExperimentError> {
        if let Some(Start { folder, recipe }) = run.start.and_then(|start| self.plan.starts.get(start))
            && !self.evaluate(recipe, folder, "the student before training")?
        {
            return Ok(None);
        }
        if run.seed.is_none() {
            return Ok(Some(Done { steps: Vec::new(), palr: false }));
        }
        let resume = run.folder.join("config.toml").exists();
        let options = RunOptions::new(&run.recipe, &run.folder, self.kit, self.device).resumed(resume);
        let finished = train(&options, self.watch.training(), self.stop);
        self.watch.ended();
        let finished = finished?;
        if finished.interrupted {
            return Ok(None);
        }
        let checkpoints = checkpoints(run, finished.steps)?;
        for (step, adapter) in &checkpoints {
            let recipe = with_adapter(&run.recipe, adapter);
            let folder = evaluation(&run.folder, *step);
            if !self.evaluate(&recipe, &folder, &format!("step {step}"))? {
                return Ok(None);
            }
        }
        if let Some(recipe) = &run.palr {
            let recipe = with_adapter(recipe, &finished.output);
            if !self.diagnose(&recipe, &run.diagnosis())? {
                return Ok(None);
            }
        }
        let steps = checkpoints.into_iter().map(|(step, _)| step).collect();
        Ok(Some(Done { steps, palr: self.config.palr.is_some() && run.palr.is_some() }))
    }

    /// Evaluates a student; false if it was stopped.
    fn evaluate(&mut self, recipe: &Recipe, folder: &Path, what: &str) -> Result<bool, ExperimentError> {
        let resume = evaluate::begun(folder, recipe)?;
        if resume && reported(folder) {
            return Ok(true);
        }
        let options = Options::new(recipe, folder, self.kit, self.device).resumed(resume);
        let finished = evaluate(&options, self.watch.asking(&format!("evaluating {what}")), self.stop);
        self.watch.ended();
        Ok(finished?.report.is_some())
    }

    /// Diagnoses a student; false if it was stopped.
    fn diagnose(&mut self, recipe: &Recipe, folder: &Path) -> Result<bool, ExperimentError> {
        let resume = vigos_eval::palr::begun(folder, recipe)?;
        if resume && reported(folder) {
            return Ok(true);
        }
        let options = Options::new(recipe, folder, self.kit, self.device).resumed(resume);
        let finished = palr(&options, None, self.watch.asking("diagnosing leakage"), self.stop);
        self.watch.ended();
        Ok(finished?.report.is_some())
    }
}

/// The checkpoints to evaluate: those that the recipe asks for and keeps, not those of an interruption; of a sweep's run
/// the last one.
fn checkpoints(run: &Run, last: usize) -> Result<Vec<(usize, PathBuf)>, ExperimentError> {
    let mut kept = Checkpoints::of(&run.folder).list()?;
    let every = run.recipe.checkpoint.every;
    let wanted = |step: usize| match run.value {
        None => every > 0 && step > 0 && step.is_multiple_of(every),
        Some(_) => false,
    };
    kept.retain(|(step, _)| *step == last || wanted(*step));
    Ok(kept)
}
