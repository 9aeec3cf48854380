//! Ctrl-C: the first one lets the work end whole, the second one ends it at once.

use crate::error::CliError;
use crate::output::note;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What a shell expects of a program that was stopped by Ctrl-C.
const STOPPED: i32 = 130;

/// A flag that the first Ctrl-C sets; the second one ends the process.
///
/// # Errors
/// If the system does not let Ctrl-C be handled.
pub(crate) fn stop_on_interrupt() -> Result<Arc<AtomicBool>, CliError> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::SeqCst) {
            std::process::exit(STOPPED);
        }
        note("saving…; press Ctrl-C again to stop at once");
    })
    .map_err(|error| CliError::Failed(format!("Ctrl-C cannot be handled: {error}")))?;
    Ok(stop)
}
