//! The most resident memory that a process takes, as Linux keeps it.

use anyhow::{Context, Result};
use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};
use std::thread::{scope, sleep};
use std::time::Duration;

/// A process that has ended.
pub(super) struct Ended {
    pub(super) code: Option<i32>,
    pub(super) stderr: String,
    /// The most bytes that were resident.
    pub(super) peak: u64,
}

/// Runs a command to its end. The system's own high-water mark is read again and again, as it goes with the process: what
/// is missed is what is taken in the last few milliseconds.
pub(super) fn of(command: &mut Command) -> Result<Ended> {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let mut pipe = child.stderr.take().context("no pipe")?;
    let status = format!("/proc/{}/status", child.id());
    scope(|scope| {
        let reader = scope.spawn(move || {
            let mut text = String::new();
            pipe.read_to_string(&mut text).map(|_| text)
        });
        let mut peak = 0;
        let code = loop {
            peak = peak.max(high_water(&status).unwrap_or(0));
            if let Some(ended) = child.try_wait()? {
                break ended.code();
            }
            sleep(Duration::from_millis(2));
        };
        let stderr = reader.join().ok().context("the reader panicked")??;
        Ok(Ended { code, stderr, peak })
    })
}

fn high_water(status: &str) -> Option<u64> {
    let text = fs::read_to_string(status).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024)
}
