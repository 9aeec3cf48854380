//! `vigos experiment`: methods by seeds in, tables and plots out.

use super::selftest::before_a_run;
use crate::args::ExperimentArgs;
use crate::device::{Choice, available_memory};
use crate::error::CliError;
use crate::ranks::{memory_of_each, stopped};
use crate::recipe;
use serde::Serialize;
use std::path::Path;
use vigos::kit;
use vigos_experiment::{ExperimentError, Plan, Results, State, report};
use vigos_ranks::Ranks;
use vigos_recipe::experiment::Experiment;
use vigos_terminal::Stop;
use vigos_terminal::Trials;
use vigos_terminal::output::{self, note};

/// A run, as `--print-plan` lists it.
#[derive(Serialize)]
struct Listed<'a> {
    run: usize,
    folder: &'a Path,
    method: &'a str,
    seed: Option<u64>,
    /// Whether it is in the table.
    table: bool,
    /// The sweep's values that it stands for.
    sweep: Vec<f64>,
    state: &'static str,
}

/// Runs the command. Work that is stopped keeps what is whole.
///
/// # Errors
/// If the configuration or what it names is wrong, or the device or the disk fails.
pub(crate) fn run(args: &ExperimentArgs, device: &Choice, ranks: &dyn Ranks) -> Result<(), CliError> {
    let config: Experiment = recipe::load(&args.config, &[])?;
    let plan = Plan::new(&config)?;
    if args.print_plan && ranks.is_first() {
        return list(&config, &plan);
    }
    if !args.report_only && !args.print_plan {
        let choice = device;
        let device = choice.of_rank(ranks)?;
        if !args.skip_selftest {
            before_a_run(&device, choice, plan.runs.iter().all(|run| run.recipe.train.fast_math))?;
        }
        let stop = Stop::listen(None)?;
        let memory = memory_of_each(available_memory(&device), ranks)?;
        let mut progress = Trials::new(&config, memory);
        if !vigos_experiment::run(&config, &plan, &kit(), &device, ranks, &mut progress, stop.flag())? {
            note("stopped; the same command goes on, --report-only shows what is done");
            return stopped(ranks, &stop);
        }
    }
    if !ranks.is_first() {
        return Ok(());
    }
    let results = Results::gather(&config, &plan)?;
    if results.done == 0 {
        return Err(ExperimentError::Nothing { path: config.runs, total: results.total }.into());
    }
    output::data(report(&results, &config.results)?.trim_end())?;
    note(&format!("results saved to {}", config.results.display()));
    Ok(())
}

fn list(config: &Experiment, plan: &Plan) -> Result<(), CliError> {
    for (index, run) in plan.runs.iter().enumerate() {
        let cells = plan.cells.iter().filter(|cell| cell.run == index);
        output::json(&Listed {
            run: index + 1,
            folder: &run.folder,
            method: config.methods.get(run.method).map_or("", |method| &method.name),
            seed: run.seed,
            table: run.value.is_none(),
            sweep: cells.map(|cell| cell.value.number()).collect(),
            state: match plan.state(run)? {
                State::New => "new",
                State::Begun => "begun",
                State::Done(_) => "done",
            },
        })?;
    }
    Ok(())
}
