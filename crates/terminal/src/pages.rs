//! How a run ends: with its page, and with three sentences.

use crate::output::note;
use std::path::Path;
use vigos_report::{leave_page, verdict};

/// Ends a run with its page, which is no reason for one to fail that is done.
pub fn end_with_page(run_dir: &Path) {
    match leave_page(run_dir) {
        Ok(page) => note(&format!("report written to {}", page.display())),
        Err(error) => note(&format!("the report was not written: {error}")),
    }
}

/// Says in three sentences what happened, whether it worked, and what to look at next.
pub fn say_how_it_went(run_dir: &Path) {
    if let Ok(verdict) = verdict(run_dir) {
        note(&verdict.to_string());
    }
}
