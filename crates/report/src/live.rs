//! The page of a run that goes on: written every so many steps and at its end, with what only its process knows.

use crate::error::ReportError;
use crate::limits::Limits;
use crate::page::write;
use serde_json::json;
use std::path::{Path, PathBuf};
use vigos_core::files::{FileError, write_atomic_bytes};

/// The page in a run's own folder.
const PAGE: &str = "report.html";

/// Keeps the page of a run, and what its process knows of the machine.
#[derive(Clone, Debug)]
pub struct Live {
    run: PathBuf,
    every: usize,
    device: String,
    begun: String,
}

impl Live {
    /// Of a run in this folder that begins now on a device of this name, with a page after every `every` steps; 0 for none
    /// before its end.
    pub fn new(run: &Path, every: usize, device: String) -> Self {
        let begun = jiff::Zoned::now().strftime("%Y-%m-%d %H:%M %Z").to_string();
        Self { run: run.to_owned(), every, device, begun }
    }

    /// Writes `environment.json`: where the run is, and the most memory that it has taken so far.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn environment(&self) -> Result<(), FileError> {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let environment = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "device": self.device,
            "system": format!("{} {}, {threads} threads", std::env::consts::OS, std::env::consts::ARCH),
            "begun": self.begun,
            "peak_memory_bytes": peak_memory(),
        });
        write_atomic_bytes(&self.run.join("environment.json"), format!("{environment:#}\n").as_bytes())
    }

    /// Writes the page if step `step` is one that ends with one.
    ///
    /// # Errors
    /// If it cannot be made or written.
    pub fn step(&self, step: usize) -> Result<(), ReportError> {
        match self.every > 0 && step.is_multiple_of(self.every) {
            true => leave_page(&self.run).map(drop),
            false => Ok(()),
        }
    }
}

/// Writes the page of a run into its folder, and gives its place.
///
/// # Errors
/// If there is nothing of a run in it, or the page cannot be written.
pub fn leave_page(run: &Path) -> Result<PathBuf, ReportError> {
    let out = run.join(PAGE);
    write(&[run.to_owned()], &out, &Limits::default())?;
    Ok(out)
}

/// The most memory that this process has had so far, in bytes; known on Linux.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1024)
}
