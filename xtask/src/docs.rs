//! The parts of `docs/` that come from the code. Tests compare them with it; told to, they are written instead, so that
//! there is one place that knows what a page has to say.

mod bad_inputs;

use crate::shell::{cargo, root, succeed};
use anyhow::{Context, Result, ensure};
use std::fs;

/// Packages with an example `docs` that writes, each with the test that compares.
const PACKAGES: [(&str, &str); 3] =
    [("vigos-recipe", "recipe"), ("vigos-report", "report"), ("vigos-world", "world")];

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
    PACKAGES.into_iter().try_for_each(|(package, test)| {
        let mut command = cargo();
        match args.check {
            true => command.args(["test", "--release", "-p", package, "--test", test, "--", "documentation"]),
            false => command.args(["run", "--release", "-p", package, "--example", "docs"]),
        };
        succeed(&mut command)
    })
}
