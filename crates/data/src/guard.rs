//! Decoders that give up by a panic.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs what calls a decoder, which on some damaged files panics where it should return an error.
///
/// What it leaves behind is dropped, so nothing half done is seen afterwards.
pub(crate) fn guarded<T>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str);
        let said = said.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(format!("the decoder gave up: {}", said.unwrap_or("it did not say why")))
    })
}
