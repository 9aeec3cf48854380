//! Arguments of `vigos experiment`.

use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct ExperimentArgs {
    /// The experiment, a TOML file.
    #[arg(value_name = "CONFIG")]
    pub(crate) config: PathBuf,
    /// List the runs to stdout, a JSON object each, and do nothing else.
    #[arg(long, conflicts_with = "report_only")]
    pub(crate) print_plan: bool,
    /// Write tables and plots of the runs that are done, and run nothing.
    #[arg(long)]
    pub(crate) report_only: bool,
    /// Do not test the device first, see `vigos selftest`.
    #[arg(long)]
    pub(crate) skip_selftest: bool,
}
