//! What a change has to pass. The steps are in `.ci/run`, which needs nothing but a shell on a bare machine.

use crate::shell::{root, succeed};
use anyhow::Result;
use std::process::Command;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Steps to run, in this order; all of them unless given. `.ci/run` lists them.
    steps: Vec<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    succeed(Command::new("bash").arg(".ci/run").args(&args.steps).current_dir(root()))
}
