//! `vigos doctor`: what this build and this machine can do.

use super::estimate::estimate;
use crate::args::DoctorArgs;
use crate::device::{self, Choice};
use crate::error::CliError;
use serde::Serialize;
use vigos_selftest::{Own, Subject, operators};
use vigos_terminal::output;

/// What `--json` writes.
#[derive(Serialize)]
struct Report {
    version: &'static str,
    backends: Vec<BackendReport>,
    devices: Vec<vigos_selftest::Report>,
    passed: bool,
}

#[derive(Serialize)]
struct BackendReport {
    name: &'static str,
    compiled: bool,
    devices: usize,
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
        let described = device::described(device);
        let subject = Subject { device, name: &name, described: &described };
        self.devices.push(subject.report(operators(&Own, device)));
        self.passed = self.devices.iter().all(|device| device.sound);
    }

    fn failed(&self) -> Vec<String> {
        let failed = self.devices.iter().filter(|device| !device.sound);
        failed.map(|device| format!("{} ({})", device.device, device.differences())).collect()
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
            text.push_str(&format!("\n{}\n", device.table()));
        }
        text
    }
}
