//! `vigos schema`: the JSON Schema of a recipe, for an editor.

use crate::args::SchemaArgs;
use crate::error::CliError;
use vigos_recipe::docs;
use vigos_terminal::output;

/// Runs the command.
///
/// # Errors
/// If stdout cannot be written to.
pub(crate) fn run(args: &SchemaArgs) -> Result<(), CliError> {
    // The arguments take no other command.
    let (world, make) = vigos_world::config::SCHEMA;
    let schema =
        if args.command == world { make() } else { docs::schema_of(&args.command).unwrap_or_default() };
    Ok(output::data(&format!("{schema:#}"))?)
}
