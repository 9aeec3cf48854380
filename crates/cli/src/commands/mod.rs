//! One module for each command; each turns arguments into calls of the libraries.

mod bench;
mod compare;
mod data;
mod data_check;
mod doctor;
mod dry_run;
mod estimate;
mod eval;
mod experiment;
mod generate;
mod hub;
mod init;
mod installed;
mod merge;
mod palr;
mod presets;
mod prompts;
mod replay;
mod report;
mod schema;
mod score;
mod selftest;
mod serve;
mod sft;
mod train;
mod watch;

use crate::args::{Cli, Command};
use crate::error::CliError;
use crate::ranks::is_shared;
use vigos_bench::PhaseTimes;
use vigos_ranks::Ranks;

/// Runs the command that was asked for.
///
/// # Errors
/// Whatever stops it.
pub(crate) fn run(cli: &Cli, phases: &PhaseTimes, ranks: &dyn Ranks) -> Result<(), CliError> {
    is_shared(&cli.command, ranks)?;
    let device = &cli.global.device;
    match &cli.command {
        Command::Train(args) => train::run(args, device, ranks),
        Command::Sft(args) => sft::run(args, device, ranks),
        Command::Generate(args) => generate::run(args, device),
        Command::Score(args) => score::run(args, device),
        Command::Replay(args) => replay::run(args, device),
        Command::Eval(args) => eval::run(args, device, ranks),
        Command::Palr(args) => palr::run(args, device, ranks),
        Command::Experiment(args) => experiment::run(args, device, ranks),
        Command::Report(args) => report::run(args),
        Command::Compare(args) => compare::run(args),
        Command::Serve(args) => serve::run(args, device),
        Command::Watch(args) => watch::run(args),
        Command::Top(args) => watch::top(args),
        Command::Example(args) => installed::example(args),
        Command::Completions(args) => installed::completions(args),
        Command::Man(args) => installed::man(args),
        Command::Init(args) => init::run(args),
        Command::Data(args) => data::run(args),
        Command::Merge(args) => merge::run(args, device),
        Command::Hub(args) => hub::run(args),
        Command::Bench(args) => bench::run(args, device, phases),
        Command::Prompts(args) => prompts::run(args),
        Command::Schema(args) => schema::run(args),
        Command::Presets(args) => presets::run(args),
        Command::Doctor(args) => doctor::run(args, device),
        Command::Selftest(args) => selftest::run(args, device),
    }
}
