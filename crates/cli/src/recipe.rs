//! Reading recipes: one of another command is called that.

use std::path::Path;
use vigos_recipe::RunRecipe;
use vigos_recipe::docs::{Make, SCHEMAS};
use vigos_recipe::kinds::explained;
use vigos_rollout::RunError;
use vigos_world::{WorldConfig, WorldError};

/// A recipe with overrides.
///
/// # Errors
/// As [`RunRecipe::load`].
pub(crate) fn load<R: RunRecipe>(path: &Path, overrides: &[String]) -> Result<R, RunError> {
    Ok(R::load(path, overrides).map_err(|error| explained::<R>(error, path, &kinds()))?)
}

/// The dials of a world, those of a file or the defaults, with overrides.
///
/// # Errors
/// As [`WorldConfig::load`].
pub(crate) fn world(path: Option<&Path>, overrides: &[String]) -> Result<WorldConfig, WorldError> {
    WorldConfig::load(path, overrides).map_err(|error| match (error, path) {
        (WorldError::Config(error), Some(path)) => explained::<WorldConfig>(*error, path, &kinds()).into(),
        (error, _) => error,
    })
}

/// The schemas of all recipes by their commands.
fn kinds() -> Vec<(&'static str, Make)> {
    let (_, world) = vigos_world::config::SCHEMA;
    SCHEMAS.iter().copied().chain([("data shapes", world)]).collect()
}
