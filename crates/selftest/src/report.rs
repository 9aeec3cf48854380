//! What the checks came to, and what to do about it.

use crate::check::{Check, Verdict};
use serde::{Deserialize, Serialize};

/// How the program was built, as far as it decides which kernels there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// Neighbouring operators become one kernel.
    pub fusion: bool,
    /// Kernels are chosen by trial.
    pub autotune: bool,
}

/// All checks of a device.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// As `--device` takes it.
    pub device: String,
    /// As it names itself, and what its kernels are compiled for.
    pub name: String,
    /// How the program was built.
    pub build: Build,
    /// Whether every check passed, those of reduced precision aside.
    pub sound: bool,
    /// Whether some numbers have less precision than was asked for.
    pub reduced: bool,
    /// Wall-clock time of all checks.
    pub seconds: f64,
    /// Every check, in order.
    pub checks: Vec<Check>,
}

impl Report {
    /// These checks of a device.
    pub fn new(device: String, name: String, build: Build, checks: Vec<Check>) -> Self {
        let any = |verdict| checks.iter().any(|check| check.verdict == verdict);
        let (sound, reduced) = (!any(Verdict::Wrong), any(Verdict::Reduced));
        let seconds = checks.iter().map(|check| check.seconds).sum();
        Self { device, name, build, sound, reduced, seconds, checks }
    }

    /// Whether the device may train; `fast_math`: reduced precision is what is wanted.
    pub fn passed(&self, fast_math: bool) -> bool {
        self.sound && (fast_math || !self.reduced)
    }

    /// What differs, by how much, and the bound, a clause for each check that did not pass.
    pub fn differences(&self) -> String {
        let failed = self.checks.iter().filter(|check| check.verdict != Verdict::Passed);
        let clauses = failed.map(|check| {
            let how = match (check.error, &check.failure) {
                (Some(error), _) => format!("off by {error:.1e}, at most {:.0e}", check.bound),
                (None, failure) => failure.clone().unwrap_or_default(),
            };
            format!("{}: {how}", check.name)
        });
        clauses.collect::<Vec<_>>().join("; ")
    }

    /// Which switch avoids what differs, those first that cost least; nothing where all is well.
    pub fn way_out(&self) -> Vec<String> {
        let mut ways = Vec::new();
        let wrong: Vec<&str> = self.names(Verdict::Wrong);
        let reduced: Vec<&str> = self.names(Verdict::Reduced);
        if self.build.autotune && reduced.iter().chain(&wrong).any(|name| name.starts_with("attention")) {
            ways.push("a build without the feature `autotune`: its attention may be one in f16".to_owned());
        }
        if self.sound && self.reduced {
            ways.push(
                "train.fast_math = true, if products in TF32 or f16 are good enough for this run".to_owned(),
            );
        }
        if !self.sound {
            // Operators that are wrong one by one are not wrong for being joined.
            if self.build.fusion && !wrong.contains(&"neighbours, one by one") {
                ways.push("a build without the feature `fusion`".to_owned());
            }
            if self.build.autotune {
                ways.push("a build without the feature `autotune`".to_owned());
                ways.push(
                    "CUBECL_AUTOTUNE_CACHE=0, in case that what was tried earlier does not hold".to_owned(),
                );
            }
            ways.push("another --device or driver".to_owned());
            ways.push("--skip-selftest, to train all the same".to_owned());
        }
        ways
    }

    fn names(&self, verdict: Verdict) -> Vec<&str> {
        self.checks.iter().filter(|check| check.verdict == verdict).map(|check| check.name.as_str()).collect()
    }

    /// A line for each check, and what follows.
    pub fn table(&self) -> String {
        let checks: String = self.checks.iter().map(|check| format!("  {check}\n")).collect();
        let verdict = match (self.sound, self.reduced) {
            (false, _) => "some numbers are wrong",
            (true, true) => "numbers have less precision than f32",
            (true, false) => "all numbers are as they should be",
        };
        let ways = self.way_out().into_iter().map(|way| format!("\n  what avoids it: {way}"));
        let ways: String = ways.collect();
        format!("{}  {}\n{checks}{verdict} ({:.1} s){ways}", self.device, self.name, self.seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Bounds;

    fn report(errors: &[(&str, f64)], build: Build) -> Report {
        let bounds = Bounds { exact: 1e-4, reduced: 1e-2 };
        let check = |(name, error): &(&str, f64)| Check::run(*name, bounds, || Ok(*error));
        Report::new("cuda:0".into(), "a card".into(), build, errors.iter().map(check).collect())
    }

    #[test]
    fn reduced_precision_is_refused_unless_it_is_wanted_and_wrong_numbers_always_are() {
        let build = Build { fusion: true, autotune: true };
        let sound = report(&[("norm", 1e-6)], build);
        assert!(sound.passed(false) && sound.way_out().is_empty());
        let reduced = report(&[("norm", 1e-6), ("product", 1e-3)], build);
        assert!(!reduced.passed(false) && reduced.passed(true));
        assert_eq!(reduced.differences(), "product: off by 1.0e-3, at most 1e-4");
        assert!(reduced.way_out()[0].contains("train.fast_math"), "{:?}", reduced.way_out());
        let wrong = report(&[("norm", 1.0)], build);
        assert!(!wrong.passed(true));
    }

    #[test]
    fn the_switch_that_is_named_is_one_that_the_build_has() {
        let errors = [("attention, causal", 1e-3), ("neighbours, together", 1.0)];
        let both = report(&errors, Build { fusion: true, autotune: true }).way_out().join("\n");
        assert!(both.contains("`fusion`") && both.contains("`autotune`"), "{both}");
        let none = report(&errors, Build { fusion: false, autotune: false }).way_out().join("\n");
        assert!(!none.contains("without the feature") && none.contains("--device"), "{none}");
        assert!(none.contains("--skip-selftest"), "{none}");
    }
}
