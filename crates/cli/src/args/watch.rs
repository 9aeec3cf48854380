//! Arguments of `vigos watch` and `vigos top`.

use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct WatchArgs {
    /// Folder of a run, or one with runs in it.
    #[arg(value_name = "RUN|FOLDER")]
    pub(crate) path: PathBuf,
    /// Address of this machine alone to listen on; port 0 is one that is free.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7878")]
    pub(crate) listen: String,
}

#[derive(Debug, Args)]
pub(crate) struct TopArgs {
    /// Folder of a run.
    #[arg(value_name = "RUN")]
    pub(crate) run: PathBuf,
}
