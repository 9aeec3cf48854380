//! The parts of `docs/` that come from the code. Tests compare them with it; told to, they write them instead, so that
//! there is one place that knows what a page has to say.

use crate::shell::{cargo, succeed};
use anyhow::Result;

/// Package, test program and name of every test that writes pages when this variable is set.
const WRITES: &str = "UPDATE_DOCS";
const TESTS: [(&str, &str, &str); 1] =
    [("vigos-recipe", "recipe", "the_documentation_describes_every_key_as_it_is")];

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Write nothing; fail if a page is behind.
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    for (package, target, test) in TESTS {
        let mut command = cargo();
        command.args(["test", "--release", "--package", package, "--test", target, "--", test]);
        if !args.check {
            command.env(WRITES, "1");
        }
        succeed(&mut command)?;
    }
    Ok(())
}
