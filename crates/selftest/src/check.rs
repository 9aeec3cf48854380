//! The outcome of one check.

use serde::{Deserialize, Serialize};
use std::fmt::{self, Display};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;
use vigos_core::text::{one_line, panic_words};

/// What an error says of what was computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Within the rounding of its precision.
    Passed,
    /// What products in TF32, or in half precision, come to where f32 was asked for.
    Reduced,
    /// Beyond any rounding, or nothing was computed.
    Wrong,
}

/// The largest errors of a kind of check, relative to the largest value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Rounding as it should be stays below.
    pub(crate) exact: f64,
    /// Reduced precision stays below. As `exact` where no rounding is reduced.
    pub(crate) reduced: f64,
}

/// The outcome of one check.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Check {
    /// What was computed: the operator, and which way.
    pub name: String,
    /// What the error says.
    pub verdict: Verdict,
    /// Largest error, relative to the largest value; none if nothing was computed.
    #[serde(default)]
    pub error: Option<f64>,
    /// Largest error allowed.
    pub bound: f64,
    /// Wall-clock time, with compiling and trying kernels where it is the first time.
    pub seconds: f64,
    /// Why nothing was computed.
    #[serde(default)]
    pub failure: Option<String>,
}

impl Check {
    /// Runs a check, which gives its largest error. A backend reports trouble by a panic, which a check-up has to outlive.
    pub(crate) fn run(
        name: impl Into<String>,
        bounds: Bounds,
        work: impl FnOnce() -> Result<f64, String>,
    ) -> Self {
        let begin = Instant::now();
        let outcome = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| {
            Err(panic_words(panic.as_ref()).unwrap_or("the backend panicked").to_owned())
        });
        let (error, failure) = match outcome {
            Ok(error) if error.is_finite() => (Some(error), None),
            Ok(_) => (None, Some("numbers are missing or not finite".to_owned())),
            Err(failure) => (None, Some(one_line(&failure, 300).into_owned())),
        };
        let verdict = match error {
            Some(error) if error <= bounds.exact => Verdict::Passed,
            Some(error) if error <= bounds.reduced => Verdict::Reduced,
            _ => Verdict::Wrong,
        };
        let seconds = begin.elapsed().as_secs_f64();
        Self { name: name.into(), verdict, error, bound: bounds.exact, seconds, failure }
    }
}

impl Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Passed => "ok     ",
            Verdict::Reduced => "REDUCED",
            Verdict::Wrong => "WRONG  ",
        };
        write!(f, "{verdict} {:<46}", self.name)?;
        match (self.error, &self.failure) {
            (Some(error), _) => write!(f, "error {error:.1e}, at most {:.0e}", self.bound)?,
            (None, Some(failure)) => f.write_str(failure)?,
            (None, None) => {}
        }
        write!(f, "  {:.0} ms", self.seconds * 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { exact: 1e-4, reduced: 1e-2 };

    #[test]
    fn errors_are_told_apart_by_their_size_and_nothing_computed_is_wrong() {
        let verdict = |error| Check::run("a", BOUNDS, || Ok(error)).verdict;
        assert_eq!(verdict(1e-5), Verdict::Passed);
        assert_eq!(verdict(1e-3), Verdict::Reduced);
        for error in [0.1, f64::NAN, f64::INFINITY] {
            assert_eq!(verdict(error), Verdict::Wrong, "{error}");
        }
        assert_eq!(Check::run("a", BOUNDS, || Err("no memory".into())).verdict, Verdict::Wrong);
    }

    #[test]
    fn a_panic_fails_its_check_in_its_own_words() {
        let failed = Check::run("lost", BOUNDS, || panic!("no device"));
        assert_eq!((failed.verdict, failed.failure.as_deref()), (Verdict::Wrong, Some("no device")));
        assert!(failed.to_string().contains("no device"), "{failed}");
    }
}
