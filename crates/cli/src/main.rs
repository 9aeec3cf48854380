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
mod progress;
mod recipe;
mod trials;
mod unclaimed;

use args::Cli;
use clap::Parser;
use error::{Brief, CliError};
use miette::MietteHandlerOpts;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    start_log(cli.global.verbose);
    match commands::run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error @ CliError::Stopped { .. }) => error.exit_code(),
        Err(error) => report(error),
    }
}

/// Log lines on stderr: warnings, with `-v` what the program does, with `-vv` details. `RUST_LOG` overrides.
fn start_log(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        _ => "debug",
    };
    // The prefix covers every crate of the project, and leaves out the chatter of the backends.
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(format!("error,vigos={level}")));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(output::colours())
        .with_target(verbose > 1)
        .without_time()
        // A closed stderr is no reason to stop.
        .log_internal_errors(false)
        .init();
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
