//! The parts of `docs/` that come from the code. Tests compare them with it; told to, they are written instead, so that
//! there is one place that knows what a page has to say.

mod bad_inputs;

use crate::shell::{cargo, root, succeed};
use anyhow::{Context, Result, ensure};
use std::fs;

/// Crates with an example `CRATE_pages` that writes, and a test program of the crate's name that compares.
const CRATES: [&str; 3] = ["recipe", "report", "world"];

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Write nothing; fail if a page is behind.
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let page = root().join(bad_inputs::PAGE);
    let text = bad_inputs::page()?;
    match args.check {
        true => ensure!(fs::read_to_string(&page)? == text, "{} is behind: cargo xtask docs", page.display()),
        false => fs::write(&page, text).with_context(|| page.display().to_string())?,
    }
    CRATES.into_iter().try_for_each(|name| {
        let (package, example) = (format!("vigos-{name}"), format!("{name}_pages"));
        let mut command = cargo();
        match args.check {
            true => {
                command.args(["test", "--release", "-p", &package, "--test", name, "--", "documentation"])
            }
            false => command.args(["run", "--release", "-p", &package, "--example", &example]),
        };
        succeed(&mut command)
    })
}
