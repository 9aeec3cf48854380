//! Arguments of `vigos schema` and `vigos presets`: what a recipe may say, and what it can start from.

use clap::Args;
use clap::builder::PossibleValuesParser;
use vigos_recipe::{Preset, docs};

#[derive(Debug, Args)]
pub(crate) struct SchemaArgs {
    /// Which command's recipe; world for the dials of `vigos data shapes`.
    #[arg(value_name = "COMMAND", default_value = "train", value_parser = commands())]
    pub(crate) command: String,
}

fn commands() -> PossibleValuesParser {
    PossibleValuesParser::new(docs::COMMANDS.into_iter().chain(["world"]))
}

#[derive(Debug, Args)]
pub(crate) struct PresetsArgs {
    /// The preset to write out; without one all are listed.
    #[arg(value_name = "NAME", value_parser = PossibleValuesParser::new(Preset::ALL.iter().map(|preset| preset.name)))]
    pub(crate) name: Option<String>,
    /// Write it as the authors' released code has it, where that differs from the paper.
    #[arg(long, requires = "name")]
    pub(crate) released: bool,
}
