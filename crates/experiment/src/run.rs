//! Doing the runs that are not done yet: train, evaluate every checkpoint, diagnose.

use crate::error::ExperimentError;
use crate::plan::{Done, Plan, Run, Start, State, called, evaluation, reported, with_adapter};
use burn::tensor::Device;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};
use vigos_checkpoint::Checkpoints;
use vigos_eval::palr::palr;
use vigos_eval::{Options, evaluate};
use vigos_ranks::{Ranks, deal, shared};
use vigos_recipe::Recipe;
use vigos_recipe::experiment::Experiment;
use vigos_rollout::agreed::{first_then_others, same};
use vigos_rollout::base::BaseFiles;
use vigos_rollout::{Kit, RunError, RunOptions};
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

/// Does every run that is not done: those of several ranks side by side, each run by one of them. Returns whether all of them
/// are done; they are not if `stop` was set on any rank, and the same call goes on then, with any number of ranks. Folders that
/// belong to other recipes, and data sets, models and adapters that cannot be had for any of the runs, are refused before the
/// first run begins.
///
/// # Errors
/// If a recipe or what it names is wrong, a folder holds another run, or the device or the disk fails.
pub fn run(
    config: &Experiment,
    plan: &Plan,
    kit: &Kit,
    device: &Device,
    ranks: &dyn Ranks,
    watch: &mut dyn Watch,
    stop: &AtomicBool,
) -> Result<bool, ExperimentError> {
    same(ranks, "experiment", &format!("{config:?}"))?;
    let open = open(plan, ranks)?;
    let total = plan.runs.len();
    if open.len() < total {
        watch.kept(total - open.len(), total);
    }
    // What has to be fetched one rank fetches for all.
    let mut checked = Ok(());
    let check = || {
        checked = check(config, &open, kit, device, watch);
        Ok(())
    };
    first_then_others(ranks, check)?;
    checked?;
    let mut work = Work { config, plan, kit, device, ranks, watch, stop };
    let begun = work.starts(&open)?;
    let all = shared(ranks, &begun).map_err(RunError::from)?;
    if all.contains(&false) {
        return Ok(false);
    }
    let all = shared(ranks, &work.own(&open)?).map_err(RunError::from)?;
    Ok(!all.contains(&false))
}

/// The runs that are not done, with their numbers. The first rank looks: who looks into a folder has it locked.
fn open<'a>(plan: &'a Plan, ranks: &dyn Ranks) -> Result<Vec<(usize, &'a Run)>, ExperimentError> {
    let mut done = Vec::new();
    if ranks.is_first() {
        for run in &plan.runs {
            done.push(matches!(plan.state(run)?, State::Done(_)));
        }
    }
    let done = shared(ranks, &done).map_err(RunError::from)?.into_iter().next().unwrap_or_default();
    let runs = plan.runs.iter().zip(done).enumerate();
    Ok(runs.filter(|(_, (_, done))| !done).map(|(index, (run, _))| (index + 1, run)).collect())
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
    ranks: &'a dyn Ranks,
    watch: &'a mut dyn Watch,
    stop: &'a AtomicBool,
}

impl Work<'_> {
    /// Evaluates this rank's share of the students that runs start from; false if it was stopped.
    fn starts(&mut self, open: &[(usize, &Run)]) -> Result<bool, ExperimentError> {
        if self.ranks.count() == 1 {
            // Each before its first run.
            return Ok(true);
        }
        let starts: BTreeSet<usize> = open.iter().filter_map(|(_, run)| run.start).collect();
        let dealt = deal(&vec![1; starts.len()], self.ranks.count());
        for (start, _) in starts.into_iter().zip(dealt).filter(|(_, rank)| *rank == self.ranks.rank()) {
            if !self.start(start)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Does this rank's share of the runs; false if it was stopped.
    fn own(&mut self, open: &[(usize, &Run)]) -> Result<bool, ExperimentError> {
        let begin = Instant::now();
        let dealt = deal(&vec![1; open.len()], self.ranks.count());
        let own = open.iter().zip(dealt).filter(|(_, rank)| *rank == self.ranks.rank());
        let own: Vec<(usize, &Run)> = own.map(|(run, _)| *run).collect();
        let total = self.plan.runs.len();
        for (finished, (number, run)) in own.iter().enumerate() {
            self.watch.begins(run, *number, total);
            let Some(done) = self.run(run)? else { return Ok(false) };
            run.finish(&done)?;
            let (finished, left) = (finished as f64 + 1.0, (own.len() - finished - 1) as f64);
            self.watch.done(run, *number, total, begin.elapsed().mul_f64(left / finished));
        }
        Ok(true)
    }

    /// Evaluates a student before training; false if it was stopped.
    fn start(&mut self, start: usize) -> Result<bool, ExperimentError> {
        let Some(Start { folder, recipe }) = self.plan.starts.get(start) else { return Ok(true) };
        self.evaluate(recipe, folder, "the student before training")
    }

    /// All of a run; none if it was stopped.
    fn run(&mut self, run: &Run) -> Result<Option<Done>, ExperimentError> {
        // Several ranks have done those that runs start from before any run.
        if let Some(start) = run.start.filter(|_| self.ranks.count() == 1)
            && !self.start(start)?
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
