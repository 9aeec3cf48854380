//! `cargo xtask`: what people who work on vigos run besides cargo itself.
#![allow(clippy::print_stdout, reason = "its reports are what it is for")]

mod benches;
mod ci;
mod docs;
mod faults;
mod features;
mod fuzz;
mod goldens;
mod gpu_kit;
mod growth;
mod hostile;
mod house;
mod random;
mod ranks;
mod same_numbers;
mod sanitize;
mod scaling;
mod shell;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Checks, comparisons and generated files of the vigos repository.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", arg_required_else_help = true)]
struct Cli {
    /// What to do.
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Run what a change has to pass, or some steps of it: `.ci/run`.
    Ci(ci::Args),
    /// Check the house: floors, circles of files, files that no module names, sizes.
    Arrows,
    /// Write the parts of docs/ that come from the code; with --check, say whether they are behind.
    Docs(docs::Args),
    /// Make recorded numbers anew with the reference's own tools.
    Goldens(goldens::Args),
    /// Have the compiler check the command with every set of features, and make a table of it.
    Features(features::Args),
    /// Make a tarball that says of a machine with a card what there is to say: tools/gpu/run.sh.
    GpuKit(gpu_kit::Args),
    /// Compare what two builds of the command compute, file by file.
    SameNumbers(same_numbers::Args),
    /// Kill runs at random moments, damage checkpoints, resume, and compare with a run left alone.
    Faults(faults::Args),
    /// Train with the processes of `mpirun`, kill some of them, and compare with a process by itself.
    Ranks(ranks::Args),
    /// Say what a step would take on more ranks, from what a run took on one.
    Scaling(scaling::Args),
    /// Train and evaluate on data sets that could fill a memory, and say how much was taken.
    Hostile(hostile::Args),
    /// Run the readers of untrusted bytes under libFuzzer.
    Fuzz(fuzz::Args),
    /// Run the tests of the code with raw memory or vector units under a sanitizer, and what Miri can run of it.
    Sanitize,
    /// Measure how memory and work of a step grow with each of its sizes.
    Growth(growth::Args),
    /// Run the benchmarks.
    Benches,
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Ci(args) => ci::run(&args),
        Task::Arrows => house::run(),
        Task::Docs(args) => docs::run(&args),
        Task::Goldens(args) => goldens::run(&args),
        Task::Features(args) => features::run(&args),
        Task::GpuKit(args) => gpu_kit::run(&args),
        Task::SameNumbers(args) => same_numbers::run(&args),
        Task::Faults(args) => faults::run(&args),
        Task::Ranks(args) => ranks::run(&args),
        Task::Scaling(args) => scaling::run(&args),
        Task::Hostile(args) => hostile::run(&args),
        Task::Fuzz(args) => fuzz::run(&args),
        Task::Sanitize => sanitize::run(),
        Task::Growth(args) => growth::run(&args),
        Task::Benches => benches::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
