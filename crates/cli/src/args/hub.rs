//! Arguments of `vigos hub`.

use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(crate) struct HubArgs {
    #[command(subcommand)]
    pub(crate) command: HubCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum HubCommand {
    /// Send a model or an adapter to the hub, with a model card; without --yes say what would go.
    #[command(after_help = "Examples:\n  \
        vigos hub push runs/shapes me/shapes-adapter\n  \
        vigos hub push runs/shapes me/shapes-adapter --yes\n  \
        vigos hub push merged me/shapes --card CARD.md --yes\n\n\
        Of a run goes its model, its adapter, or the best checkpoint, else the last. Files that the hub has are not \
        sent again. A repository that is not there is made, for you alone to see. HF_TOKEN is the token, HF_ENDPOINT \
        the hub.")]
    Push(PushArgs),
}

#[derive(Debug, Args)]
pub(crate) struct PushArgs {
    /// Folder of a run, or of a model or an adapter.
    #[arg(value_name = "RUN|FOLDER")]
    pub(crate) from: PathBuf,
    /// The repository.
    #[arg(value_name = "ORG/NAME")]
    pub(crate) to: String,
    /// Send it.
    #[arg(long)]
    pub(crate) yes: bool,
    /// The model card, a Markdown file; README.md of the folder or one made from the run unless given.
    #[arg(long, value_name = "FILE")]
    pub(crate) card: Option<PathBuf>,
    /// Send also what training goes on from: the optimiser's state and where the run stood.
    #[arg(long)]
    pub(crate) all: bool,
    /// Write what would go, or went, as one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}
