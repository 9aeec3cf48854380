//! The parts of `docs/` that come from the code. Tests compare them with it; told to, they write them instead, so that
//! there is one place that knows what a page has to say.

use crate::shell::{cargo, succeed};
use anyhow::Result;

/// Package, test target and name of every test that writes a page when this variable is set.
const WRITES: &str = "UPDATE_DOCS";
const PAGES: [(&str, &str, &str); 2] = [
    ("vigos-train", "recipe", "the_documentation_describes_every_key_as_it_is"),
    ("vigos-train", "train", "the_documentation_lists_every_key"),
];

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Write nothing; fail if a page is behind.
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    for (package, target, test) in PAGES {
        let mut command = cargo();
        command.args(["test", "--release", "--package", package, "--test", target, "--", test]);
        if !args.check {
            command.env(WRITES, "1");
        }
        succeed(&mut command)?;
    }
    Ok(())
}
