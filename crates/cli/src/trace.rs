//! `--trace FILE`: when each phase ran, as trace viewers read it (Perfetto, `chrome://tracing`).

use crate::error::CliError;
use crate::unclaimed::unless_other;
use std::fs::File;
use std::path::Path;
use tracing::{Level, Subscriber};
use tracing_chrome::{ChromeLayerBuilder, FlushGuard};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::registry::LookupSpan;
use vigos_models::phase::TARGET;

/// A layer that writes the phases to a file as they end; the file is whole when the guard is dropped.
///
/// # Errors
/// If the file cannot be written.
pub(crate) fn layer<S>(path: &Path) -> Result<(impl Layer<S> + use<S>, FlushGuard), CliError>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
{
    // As the library begins one, with an event and without.
    unless_other("--trace", path, &["[\n{\"ph\":", "[\n\n]"], "a trace")?;
    let file = File::create(path).map_err(|error| {
        let message = format!("found {}, which cannot be written: {error}", path.display());
        CliError::input("--trace", message, "name a file in a folder that is there")
    })?;
    let (layer, guard) = ChromeLayerBuilder::new().writer(file).include_locations(false).build();
    Ok((layer.with_filter(Targets::new().with_target(TARGET, Level::TRACE)), guard))
}
