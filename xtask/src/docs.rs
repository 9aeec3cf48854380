//! The parts of `docs/` that come from the code. Tests compare them with it; told to, they are written instead, so that
//! there is one place that knows what a page has to say.

use crate::shell::{cargo, succeed};
use anyhow::Result;

/// Packages with an example `docs` that writes, each with the test that compares.
const PACKAGES: [(&str, &str); 2] = [("vigos-recipe", "recipe"), ("vigos-world", "world")];

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Write nothing; fail if a page is behind.
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    PACKAGES.into_iter().try_for_each(|(package, test)| {
        let mut command = cargo();
        match args.check {
            true => command.args(["test", "--release", "-p", package, "--test", test, "--", "documentation"]),
            false => command.args(["run", "--release", "-p", package, "--example", "docs"]),
        };
        succeed(&mut command)
    })
}
