//! Numbers for a file: as many digits as mean something.

/// Significant digits of a recorded number.
const DIGITS: usize = 5;

/// A number of five significant digits, so that it is short in a file. What is not finite stays what it is.
///
/// ```
/// use vigos_recording::rounded;
///
/// assert_eq!(rounded(-0.123_456_789), -0.12346);
/// assert_eq!(rounded(1_234_567.0), 1_234_600.0);
/// ```
pub fn rounded(value: f64) -> f64 {
    // Text is the one rounding to decimal digits that has no rounding of its own.
    format!("{value:.*e}", DIGITS - 1).parse().unwrap_or(value)
}
