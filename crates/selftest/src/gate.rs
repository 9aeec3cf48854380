//! What stands before a run: a device that computes something else than it should is refused, with what avoids it.

use crate::cache::{Remembered, remember, remembered};
use crate::check::Check;
use crate::operators::Own;
use crate::report::{Build, Report};
use crate::{operators, steps};
use burn::tensor::Device;
use vigos_kernels::{AUTOTUNES, FUSES, on_cpu};
use vigos_rollout::Kit;

/// A device computes something else than it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("self-test of {device}: {differences}")]
pub struct Unsound {
    /// As `--device` takes it.
    pub device: String,
    /// What differs, by how much, and the bound.
    pub differences: String,
    /// Which switch avoids it.
    pub way_out: String,
}

/// The device that is checked.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// It.
    pub device: &'a Device,
    /// As `--device` takes it.
    pub name: &'a str,
    /// As it names itself, and what its kernels are compiled for.
    pub described: &'a str,
}

impl Subject<'_> {
    /// What these checks of the device come to.
    pub fn report(&self, checks: Vec<Check>) -> Report {
        let build = Build { fusion: FUSES, autotune: AUTOTUNES };
        Report::new(self.name.to_owned(), self.described.to_owned(), build, checks)
    }

    /// Runs every check, and keeps that nothing is wrong, if so. `kit` has to know the families.
    pub fn checked(&self, kit: &Kit) -> Report {
        let mut checks = operators(&Own, self.device);
        checks.extend(steps(kit, self.device));
        let report = self.report(checks);
        if let Some(at) = Remembered::of(self.name, self.described) {
            remember(&at, &report);
        }
        report
    }

    /// Lets a run begin on a device that passes: now, which `note` tells, or when it was as it is. The CPU is what
    /// everything is tested on, and is not checked. `fast_math`: reduced precision is what is wanted.
    ///
    /// # Errors
    /// If a check does not pass.
    pub fn before_a_run(
        &self,
        kit: &Kit,
        fast_math: bool,
        note: &mut dyn FnMut(&str),
    ) -> Result<(), Unsound> {
        if on_cpu(self.device) {
            return Ok(());
        }
        let known = Remembered::of(self.name, self.described).as_ref().and_then(remembered);
        let report = known.unwrap_or_else(|| {
            note(
                "the device is tested before the first run on it, which takes some seconds; --skip-selftest leaves \
                 that out",
            );
            self.checked(kit)
        });
        report.judged(fast_math)
    }
}

impl Report {
    /// Lets a device pass; `fast_math`: reduced precision is what is wanted.
    ///
    /// # Errors
    /// If a check does not pass.
    pub fn judged(&self, fast_math: bool) -> Result<(), Unsound> {
        match self.passed(fast_math) {
            true => Ok(()),
            false => Err(Unsound {
                device: self.device.clone(),
                differences: self.differences(),
                way_out: self.way_out().join("; or "),
            }),
        }
    }
}
