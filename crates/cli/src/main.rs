//! The vigos command: arguments in, an exit code out.
//!
//! Human text goes to stderr, data to stdout or the named file. The exit code is 0 on success, 1 where the
//! machine failed, 2 where the input was wrong, 128 and its number after a signal, 75 where the time was up.

mod args;
mod commands;
mod device;
mod error;
mod failure;
mod inference;
mod ranks;
mod recipe;
mod trace;
mod unclaimed;

use args::{Cli, Command};
use clap::Parser;
use error::{Brief, CliError};
use failure::{guarded, keep_panics, way_on};
use miette::MietteHandlerOpts;
use std::process::ExitCode;
use tracing_chrome::FlushGuard;
use tracing_subscriber::{EnvFilter, Layer, layer::SubscriberExt, util::SubscriberInitExt};
use vigos_bench::PhaseTimes;
use vigos_ranks::Ranks;
use vigos_terminal::output;

fn main() -> ExitCode {
    vigos_mapped::keep_freed();
    let cli = Cli::parse();
    let ranks = &*ranks::joined();
    let log = match start_log(&cli, ranks) {
        Ok(log) => log,
        Err(error) => return failed(&error, &cli.command, ranks),
    };
    keep_panics();
    match guarded(|| commands::run(&cli, &log.phases, ranks)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error @ CliError::Stopped { .. }) => error.exit_code(),
        Err(error) => failed(&error, &cli.command, ranks),
    }
}

/// What listens while a command runs.
struct Log {
    phases: PhaseTimes,
    /// Ends the file of `--trace` when the command is done.
    _trace: Option<FlushGuard>,
}

/// Log lines on stderr: warnings, with `-v` what the program does, with `-vv` details. `RUST_LOG` overrides. A benchmark
/// listens for the phases of what it measures, and so does a trace, which is the first rank's.
fn start_log(cli: &Cli, ranks: &dyn Ranks) -> Result<Log, CliError> {
    let level = match cli.global.verbose {
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    // The prefix covers every crate of the project, and leaves out the chatter of the backends.
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(format!("error,vigos={level}")));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(output::colours())
        .with_target(cli.global.verbose > 1)
        .without_time()
        // A closed stderr is no reason to stop.
        .log_internal_errors(false);
    let phases = PhaseTimes::default();
    let times = matches!(cli.command, Command::Bench(_)).then(|| phases.layer());
    let trace = cli.global.trace.as_deref().filter(|_| ranks.is_first());
    let (trace, guard) = trace.map(trace::layer).transpose()?.unzip();
    tracing_subscriber::registry().with(lines.with_filter(filter)).with(times).with(trace).init();
    Ok(Log { phases, _trace: guard })
}

/// Says why, and ends every rank.
fn failed(error: &CliError, command: &Command, ranks: &dyn Ranks) -> ExitCode {
    if !ranks::is_told_by_another(error, ranks) || ranks.is_first() {
        report(error, command, ranks);
    }
    ranks::end_all(ranks, error, error.code());
    error.exit_code()
}

fn report(error: &CliError, command: &Command, ranks: &dyn Ranks) {
    // Messages name their causes already, and are searched for by scripts, so they are kept on their lines.
    let opts = || {
        let opts = MietteHandlerOpts::new().without_cause_chain().wrap_lines(false);
        if output::colours() { opts.build() } else { opts.color(false).build() }
    };
    // Fails only if a hook is set, and none is.
    let _ = miette::set_hook(Box::new(move |_| Box::new(opts())));
    let way_on = || if error.is_input() { None } else { way_on(command) };
    let rank = if ranks.count() > 1 { format!("rank {}: ", ranks.rank()) } else { String::new() };
    output::failure(&format!("{rank}{:?}", miette::Report::new(Brief::of(error, way_on))));
}
