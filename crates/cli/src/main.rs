//! The vigos command: arguments in, an exit code out.
//!
//! Human text goes to stderr, data to stdout or the named file. The exit code is 0 on success, 1 where the
//! machine failed, 2 where the input was wrong, 128 and its number after a signal, 75 where the time was up.

mod args;
mod commands;
mod device;
mod error;
mod host;
mod inference;
mod interrupt;
mod memory;
mod output;
mod pages;
mod progress;
mod recipe;
mod trials;
mod unclaimed;

use args::{Cli, Command};
use clap::Parser;
use error::{Brief, CliError};
use miette::MietteHandlerOpts;
use std::process::ExitCode;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};
use vigos_bench::PhaseTimes;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let phases = start_log(&cli);
    match commands::run(&cli, &phases) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error @ CliError::Stopped { .. }) => error.exit_code(),
        Err(error) => report(error),
    }
}

/// Log lines on stderr: warnings, with `-v` what the program does, with `-vv` details. `RUST_LOG` overrides. A benchmark
/// listens for the phases of what it measures.
fn start_log(cli: &Cli) -> PhaseTimes {
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
    let times = PhaseTimes::default();
    let listens = matches!(cli.command, Command::Bench(_));
    let phases = listens.then(|| times.layer());
    tracing_subscriber::registry().with(lines.with_filter(filter)).with(phases).init();
    times
}

fn report(error: CliError) -> ExitCode {
    // Messages name their causes already, and are searched for by scripts, so they are kept on their lines.
    let opts = || {
        let opts = MietteHandlerOpts::new().without_cause_chain().wrap_lines(false);
        if output::colours() { opts.build() } else { opts.color(false).build() }
    };
    // Fails only if a hook is set, and none is.
    let _ = miette::set_hook(Box::new(move |_| Box::new(opts())));
    let code = error.exit_code();
    output::note(&format!("{:?}", miette::Report::new(Brief::of(&error))));
    code
}
