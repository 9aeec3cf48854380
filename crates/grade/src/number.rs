//! Numbers as answers write them: integers, decimals, powers of ten, fractions, thousands separators, infinity.

use num_bigint::BigInt;

/// How far apart two numbers may be, relative to the larger one, to count as equal.
const TOLERANCE: f64 = 1e-6;

/// A number in an answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Number {
    value: f64,
    /// Itself as a fraction, if it is written as an integer, perhaps with zeros behind a point, or as a fraction of such.
    exact: Option<(BigInt, BigInt)>,
}

impl Number {
    /// Reads a normalised answer that is a number and nothing else.
    pub(super) fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        let (negative, unsigned) = match text.strip_prefix(['-', '+']) {
            Some(rest) => (text.starts_with('-'), rest.trim_start()),
            None => (false, text),
        };
        let number = fraction(unsigned).or_else(|| plain(unsigned))?;
        Some(if negative { number.negated() } else { number })
    }

    fn negated(self) -> Self {
        Self { value: -self.value, exact: self.exact.map(|(above, below)| (-above, below)) }
    }

    /// Integers and their fractions are equal to the last digit, other numbers within a relative 1e-6.
    pub(super) fn equals(&self, other: &Self) -> bool {
        match (&self.exact, &other.exact) {
            (Some((a, over)), Some((b, under))) => a * under == b * over,
            // The infinities are equal to themselves, and their difference is not.
            _ if self.value.is_infinite() || other.value.is_infinite() => self.value == other.value,
            _ => (self.value - other.value).abs() <= TOLERANCE * self.value.abs().max(other.value.abs()),
        }
    }
}

/// `a/b`, `\frac{a}{b}` or `\frac ab` with one digit each.
fn fraction(text: &str) -> Option<Number> {
    let (above, below) = match text.strip_prefix("\\frac") {
        Some(rest) => {
            let rest = rest.trim();
            match rest.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
                Some(inner) => {
                    let (above, below) = inner.split_once('}')?;
                    (above, below.trim_start().strip_prefix('{')?)
                }
                None => rest.split_at_checked(1).filter(|_| rest.len() == 2)?,
            }
        }
        None => text.split_once('/')?,
    };
    let part = |text: &str| {
        let text = text.trim();
        match text.strip_prefix('-') {
            Some(rest) => plain(rest).map(Number::negated),
            None => plain(text),
        }
    };
    let (above, below) = (part(above)?, part(below)?);
    let value = above.value / below.value;
    // Of integers, each over one.
    let exact = above.exact.zip(below.exact).map(|((above, _), (below, _))| (above, below));
    value.is_finite().then_some(Number { value, exact })
}

/// An unsigned integer or decimal, perhaps with a power of ten.
fn plain(text: &str) -> Option<Number> {
    if matches!(text, "∞" | "inf" | "infinity") {
        return Some(Number { value: f64::INFINITY, exact: None });
    }
    let digits = without_separators(text)?;
    let text = digits.as_str();
    let (mantissa, exponent) = text.split_once('e').map_or((text, None), |(m, e)| (m, Some(e)));
    let (whole, part) = mantissa.split_once('.').map_or((mantissa, None), |(w, p)| (w, Some(p)));
    let all_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let well_formed = all_digits(whole)
        && all_digits(part.unwrap_or_default())
        && !(whole.is_empty() && part.unwrap_or_default().is_empty())
        && exponent.is_none_or(|e| {
            let digits = e.strip_prefix(['-', '+']).unwrap_or(e);
            !digits.is_empty() && all_digits(digits)
        });
    if !well_formed {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    let whole_number = part.unwrap_or_default().bytes().all(|b| b == b'0') && exponent.is_none();
    let exact = whole_number.then(|| if whole.is_empty() { Some(BigInt::ZERO) } else { whole.parse().ok() });
    value.is_finite().then_some(Number { value, exact: exact.flatten().map(|n| (n, BigInt::from(1))) })
}

/// `1,234,567.8` as `1234567.8`; none if there are commas that do not part thousands.
fn without_separators(text: &str) -> Option<String> {
    let whole = text.split(['.', 'e']).next().unwrap_or_default();
    let mut groups = whole.split(',');
    let first = groups.next().unwrap_or_default();
    let mut later = groups.peekable();
    if later.peek().is_some() && !((1..=3).contains(&first.len()) && later.all(|group| group.len() == 3)) {
        return None;
    }
    let tail = text.get(whole.len()..).unwrap_or_default();
    (!tail.contains(',')).then(|| whole.replace(',', "") + tail)
}
