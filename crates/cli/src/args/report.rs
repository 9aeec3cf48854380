//! Arguments of `vigos report` and `vigos compare`.

use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Folders of runs: of `vigos train`, `sft`, `eval` or `palr`. Several share one page.
    #[arg(value_name = "RUN", required = true, num_args = 1..)]
    pub(crate) runs: Vec<PathBuf>,
    /// The page to write; a file of this name is replaced.
    #[arg(long, value_name = "FILE", default_value = "report.html")]
    pub(crate) out: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// Folders of runs: of `vigos train`, `sft` or `eval`. The first is what the others are held against.
    #[arg(value_name = "RUN", required = true, num_args = 2..)]
    pub(crate) runs: Vec<PathBuf>,
    /// Write one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}
