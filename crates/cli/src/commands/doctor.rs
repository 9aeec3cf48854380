//! `vigos doctor`: what this build and this machine can do.

use super::estimate::estimate;
use crate::args::DoctorArgs;
use crate::device::{self, Choice};
use crate::error::CliError;
use serde::Serialize;
use std::fmt::Write;
use vigos_bench::selftest::{Check, check};
use vigos_terminal::output;

/// What `--json` writes.
#[derive(Serialize)]
struct Report {
    version: &'static str,
    backends: Vec<BackendReport>,
    devices: Vec<DeviceReport>,
    passed: bool,
}

#[derive(Serialize)]
struct BackendReport {
    name: &'static str,
    compiled: bool,
    devices: usize,
}

#[derive(Serialize)]
struct DeviceReport {
    /// As `--device` takes it.
    device: String,
    name: String,
    checks: Vec<Check>,
}

/// Runs the command; with `--device` on that device's backend alone, with `--config` on none.
///
/// # Errors
/// If a check fails, or the device asked for is not there, or the recipe is wrong.
pub(crate) fn run(args: &DoctorArgs, choice: &Choice) -> Result<(), CliError> {
    if let Some(config) = &args.config {
        return estimate(args, config, choice);
    }
    let mut report =
        Report { version: env!("CARGO_PKG_VERSION"), backends: vec![], devices: vec![], passed: true };
    for &name in device::known() {
        let compiled = device::compiled().iter().find(|backend| backend.name == name);
        let devices = compiled.map(|backend| backend.devices()).unwrap_or_default();
        report.backends.push(BackendReport { name, compiled: compiled.is_some(), devices: devices.len() });
        if *choice == Choice::Auto {
            for (index, device) in devices.iter().enumerate() {
                report.examine(format!("{name}:{index}"), device);
            }
        }
    }
    if *choice != Choice::Auto {
        report.examine(choice.to_string(), &choice.open()?);
    }
    if args.json {
        output::json(&report)?
    } else {
        output::data(report.text().trim_end())?
    }
    match report.failed() {
        failed if failed.is_empty() => Ok(()),
        failed => Err(CliError::Failed(format!("failed on {}", failed.join(", ")))),
    }
}

impl Report {
    fn examine(&mut self, name: String, device: &burn::tensor::Device) {
        let checks = check(device);
        self.passed &= checks.iter().all(|check| check.passed);
        let text = format!("{device:?}");
        // The debug form is all that every backend has: "Device<Cuda(0)>".
        let inner = text.strip_prefix("Device<").and_then(|text| text.strip_suffix('>'));
        self.devices.push(DeviceReport { device: name, name: inner.unwrap_or(&text).to_owned(), checks });
    }

    fn failed(&self) -> Vec<String> {
        let failed = |device: &DeviceReport| {
            let names = device.checks.iter().filter(|c| !c.passed).map(|c| c.name);
            names.map(|name| format!("{} ({name})", device.device)).collect::<Vec<_>>()
        };
        self.devices.iter().flat_map(failed).collect()
    }

    fn text(&self) -> String {
        let named = |compiled: bool| {
            let names: Vec<&str> =
                self.backends.iter().filter(|b| b.compiled == compiled).map(|b| b.name).collect();
            if names.is_empty() { "none".to_owned() } else { names.join(", ") }
        };
        let mut text = format!(
            "vigos {}\nbackends compiled in: {}\nnot compiled in: {} (cargo features of the same names)\n",
            self.version,
            named(true),
            named(false)
        );
        for device in &self.devices {
            // Writing to a string does not fail.
            let _ = writeln!(text, "\n{}  {}", device.device, device.name);
            for check in &device.checks {
                let verdict = if check.passed { "ok    " } else { "FAILED" };
                let numbers = match (check.error, check.seconds, &check.failure) {
                    (_, _, Some(failure)) => failure.clone(),
                    (Some(error), Some(seconds), None) => {
                        let baseline = check.baseline_seconds.map_or(String::new(), |baseline| {
                            format!(", separate operators {:.2} ms", baseline * 1e3)
                        });
                        let milliseconds = seconds * 1e3;
                        format!(
                            "error {error:.1e} (at most {:.0e}), {milliseconds:.2} ms{baseline}",
                            check.tolerance
                        )
                    }
                    _ => String::new(),
                };
                let _ = writeln!(text, "  {verdict} {:<7} {numbers}", check.name);
            }
        }
        text
    }
}
