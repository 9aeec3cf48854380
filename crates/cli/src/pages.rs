//! The page of a run: written while it goes and at its end, with what only this process knows of the machine.

use crate::device;
use crate::host::peak_memory;
use crate::output::note;
use crate::progress::Run;
use burn::tensor::Device;
use serde_json::json;
use std::path::{Path, PathBuf};
use vigos_core::files::write_atomic_bytes;
use vigos_models::Architecture;
use vigos_report::{Limits, ReportError, verdict, write};
use vigos_train::Observer;
use vigos_train::memory::fit::Forecast;
use vigos_train::metrics::Metrics;

/// The page in a run's own folder.
const PAGE: &str = "report.html";

/// Shows a run on the terminal, and keeps its page.
pub(crate) struct Pages<'a> {
    pub(crate) progress: Run,
    run_dir: &'a Path,
    /// Steps between pages; 0 for none.
    every: usize,
    device: String,
    begun: String,
}

impl<'a> Pages<'a> {
    /// Of a run that has not begun.
    pub(crate) fn new(progress: Run, run_dir: &'a Path, every: usize, device: &Device) -> Self {
        let begun = jiff::Zoned::now().strftime("%Y-%m-%d %H:%M %Z").to_string();
        Self { progress, run_dir, every, device: device::name_of(device), begun }
    }

    /// Takes the bar away, and writes down what the run took.
    pub(crate) fn finish(&self) {
        self.progress.finish();
        if self.run_dir.is_dir() {
            self.write_environment();
        }
    }

    /// Writes `environment.json`. It is no part of the run: that it cannot be written stops nothing.
    fn write_environment(&self) {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let environment = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "device": self.device,
            "system": format!("{} {}, {threads} threads", std::env::consts::OS, std::env::consts::ARCH),
            "begun": self.begun,
            "peak_memory_bytes": peak_memory(),
        });
        let text = format!("{environment:#}\n");
        if let Err(error) = write_atomic_bytes(&self.run_dir.join("environment.json"), text.as_bytes()) {
            tracing::warn!("{error}");
        }
    }
}

impl Observer for Pages<'_> {
    fn fetching(&mut self, file: &str, bytes: u64, size: u64) {
        self.progress.fetching(file, bytes, size);
    }

    fn memory(&mut self, plan: &dyn Forecast, model: &Architecture, longest_prompt: usize) {
        self.progress.memory(plan, model, longest_prompt);
    }

    fn started(&mut self, first_step: usize, total_steps: usize) {
        self.write_environment();
        self.progress.started(first_step, total_steps);
    }

    fn tokens(&mut self, drawn: usize) {
        self.progress.tokens(drawn);
    }

    fn phase(&mut self, phase: &'static str) {
        self.progress.phase(phase);
    }

    fn step(&mut self, metrics: &Metrics) {
        self.progress.step(metrics);
        if self.every > 0
            && metrics.step.is_multiple_of(self.every)
            && let Err(error) = leave_page(self.run_dir)
        {
            self.progress.note(&format!("the report was not written: {error}"));
        }
    }

    fn saved(&mut self, checkpoint: &Path) {
        self.progress.saved(checkpoint);
    }

    fn note(&mut self, text: &str) {
        self.progress.note(text);
    }
}

/// Writes the page of a run into its folder.
///
/// # Errors
/// If it cannot be written.
fn leave_page(run_dir: &Path) -> Result<PathBuf, ReportError> {
    let out = run_dir.join(PAGE);
    write(&[run_dir.to_owned()], &out, &Limits::default())?;
    Ok(out)
}

/// Ends a run with its page, which is no reason for one to fail that is done.
pub(crate) fn end_with_page(run_dir: &Path) {
    match leave_page(run_dir) {
        Ok(page) => note(&format!("report written to {}", page.display())),
        Err(error) => note(&format!("the report was not written: {error}")),
    }
}

/// Says in three sentences what happened, whether it worked, and what to look at next.
pub(crate) fn say_how_it_went(run_dir: &Path) {
    if let Ok(verdict) = verdict(run_dir) {
        note(&verdict.to_string());
    }
}
