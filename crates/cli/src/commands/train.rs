//! `vigos train`: a recipe in, a run folder out.

use super::dry_run;
use super::selftest::before_a_run;
use crate::args::{DistilArgs, TrainArgs};
use crate::device::{Choice, available_memory, name_of};
use crate::error::CliError;
use crate::ranks::{Quiet, memory_of_each, stopped};
use crate::recipe;
use std::sync::atomic::AtomicBool;
use vigos::{Evaluator, kit};
use vigos_ranks::Ranks;
use vigos_recipe::Recipe;
use vigos_recipe::RunRecipe;
use vigos_recipe::Tracker;
use vigos_recipe::resume;
use vigos_report::Live;
use vigos_rollout::{RunError, Start};
use vigos_terminal::Stop;
use vigos_terminal::Trackers;
use vigos_terminal::output::{self, note};
use vigos_terminal::pages::{end_with_page, say_how_it_went};
use vigos_terminal::progress::Run;
use vigos_terminal::{Done, what_next};
use vigos_train::{Finished, Observer, RunOptions, train_judged};

/// Runs the command. A run that is stopped saves its last whole step.
///
/// # Errors
/// If the recipe or what it names is wrong, or the device or the disk fails.
pub(crate) fn run(args: &DistilArgs, device: &Choice, ranks: &dyn Ranks) -> Result<(), CliError> {
    if args.dry_run {
        return if ranks.is_first() { dry_run::run(&args.run, device) } else { Ok(()) };
    }
    let args = &args.run;
    let named = (*device != Choice::Auto).then(|| device.to_string());
    let checked = |options: &RunOptions<Recipe>, observer: &mut dyn Observer, stop: &AtomicBool| {
        if options.recipe.eval.around || options.recipe.eval.every > 0 {
            let mut fetching = |file: &str, bytes, size| observer.fetching(file, bytes, size);
            vigos_eval::evaluate::check(options.recipe, &options.kit.sources, &mut fetching)?;
        }
        let RunOptions { recipe, kit, device, .. } = *options;
        train_judged(options, Some(&mut Evaluator { recipe, kit, device }), observer, stop)
    };
    let writes =
        |recipe: &Recipe| (recipe.report.every, recipe.log.metrics.trackers.clone(), recipe.train.fast_math);
    with_recipe(args, resume::Run::Train, (device, ranks), writes, checked, |finished, options, stop| {
        let RunOptions { recipe, run_dir, kit, .. } = *options;
        note(&format!("adapter saved to {}", finished.output.display()));
        let around = recipe.eval.around && !finished.interrupted;
        let compared = if around {
            let step = format!("step-{:06}", finished.steps);
            let after = Some(finished.output.clone());
            let students = [("before", recipe.model.adapter.clone()), (step.as_str(), after)];
            super::eval::side_by_side(options, &students, stop)
        } else {
            Ok(())
        };
        if ranks.is_first() {
            end_with_page(run_dir);
        }
        compared?;
        if finished.interrupted {
            note(&format!("stopped after step {}; go on with --resume", finished.steps));
            return stopped(ranks, stop);
        }
        if ranks.is_first() {
            say_how_it_went(run_dir);
            let (adapter, device) = (finished.output.as_path(), named.as_deref());
            let next = around.then(|| what_next(&Done { recipe, run_dir, adapter, device, kit }));
            next.iter().for_each(|next| note(next));
        }
        Ok(())
    })
}

/// Reads the recipe, and shows it or trains by it; `writes` says how many steps there are between pages, where metrics are
/// sent and whether products may have less precision, `done` sees how the run ended, on every rank, and goes on from there.
///
/// # Errors
/// If the recipe or what it names is wrong, or the device or the disk fails.
pub(super) fn with_recipe<R: RunRecipe>(
    args: &TrainArgs,
    run: resume::Run,
    (device, ranks): (&Choice, &dyn Ranks),
    writes: impl FnOnce(&R) -> (usize, Vec<Tracker>, bool),
    train: impl FnOnce(&RunOptions<R>, &mut dyn Observer, &AtomicBool) -> Result<Finished, RunError>,
    done: impl FnOnce(Finished, &RunOptions<R>, &Stop) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let run_dir = args.run_dir();
    let overrides = args.overrides.in_run(&run_dir, args.resume, run)?;
    let recipe: R = recipe::load(&args.config, &overrides)?;
    if args.print_config {
        let text = recipe.to_toml().map_err(RunError::from)?;
        return if ranks.is_first() { Ok(output::data(text.trim_end())?) } else { Ok(()) };
    }
    let (every, trackers, fast_math) = writes(&recipe);
    let choice = device;
    let device = choice.of_rank(ranks)?;
    if !args.skip_selftest {
        before_a_run(&device, choice, fast_math)?;
    }
    let stop = Stop::listen(args.save_by)?;
    let memory = available_memory(&device);
    let memory = memory_of_each(memory, ranks)?;
    // What is said and sent of a run is the first rank's to say and send.
    let mut told = match ranks.is_first() {
        true => {
            let live = Live::new(&run_dir, every, name_of(&device));
            Some((
                Run::new(memory).of_ranks(ranks.on_machine()).with_page(live),
                Trackers::begin(&trackers, &run_dir)?,
            ))
        }
        false => None,
    };
    let start = match (args.resume, args.at) {
        (false, _) => Start::Anew,
        (true, None) => Start::Resumed,
        (true, Some(step)) => Start::ResumedAt(step),
    };
    let kit = kit();
    let options = RunOptions {
        start,
        overrides: &overrides,
        memory,
        ranks,
        ..RunOptions::new(&recipe, &run_dir, &kit, &device)
    };
    let finished = match &mut told {
        Some((progress, _)) => train(&options, progress, stop.flag()),
        None => train(&options, &mut Quiet, stop.flag()),
    };
    if let Some((progress, trackers)) = told {
        progress.finish();
        trackers.finish(&finished, &stop);
    }
    done(finished?, &options, &stop)
}
