//! Decoders that give up by a panic.

use std::panic::{AssertUnwindSafe, catch_unwind};
use vigos_core::text::{one_line, panic_words};

/// Most characters of what a decoder says.
const MOST: usize = 300;

/// Runs what calls a decoder, which on some damaged files panics where it should return an error.
///
/// What it leaves behind is dropped, so nothing half done is seen afterwards. What it says is one line.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let done = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let said = panic_words(panic.as_ref()).unwrap_or("it did not say why");
        Err(format!("the decoder gave up: {said}"))
    });
    done.map_err(|said| one_line(&said, MOST).into_owned())
}
