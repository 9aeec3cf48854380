//! The parts of `docs/` that come from the code. Tests compare them with it; told to, they are written instead, so that
//! there is one place that knows what a page has to say.

use crate::shell::{cargo, succeed};
use anyhow::Result;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Write nothing; fail if a page is behind.
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let task: &[&str] = match args.check {
        true => {
            &["test", "--release", "--package", "vigos-recipe", "--test", "recipe", "--", "documentation"]
        }
        false => &["run", "--release", "--package", "vigos-recipe", "--example", "docs"],
    };
    succeed(cargo().args(task))
}
