//! Numbers as answers write them: integers, decimals, powers of ten, fractions, thousands separators, infinity.

/// How far apart two numbers may be, relative to the larger one, to count as equal.
const TOLERANCE: f64 = 1e-6;

/// A number in an answer.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Number {
    value: f64,
    /// Sign and digits without leading zeros, if it is written as an integer, perhaps with zeros behind a point.
    integer: Option<String>,
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
        let integer = number
            .integer
            .map(|digits| if negative && digits != "0" { format!("-{digits}") } else { digits });
        Some(Self { value: if negative { -number.value } else { number.value }, integer })
    }

    /// Integers are equal when all their digits are, other numbers within a relative 1e-6.
    pub(super) fn equals(&self, other: &Self) -> bool {
        match (&self.integer, &other.integer) {
            (Some(a), Some(b)) => a == b,
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
            Some(rest) => plain(rest).map(|number| -number.value),
            None => plain(text).map(|number| number.value),
        }
    };
    let value = part(above)? / part(below)?;
    value.is_finite().then_some(Number { value, integer: None })
}

/// An unsigned integer or decimal, perhaps with a power of ten.
fn plain(text: &str) -> Option<Number> {
    if matches!(text, "∞" | "inf" | "infinity") {
        return Some(Number { value: f64::INFINITY, integer: None });
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
    let integer = whole_number.then(|| {
        let digits = whole.trim_start_matches('0');
        if digits.is_empty() { "0".to_owned() } else { digits.to_owned() }
    });
    value.is_finite().then_some(Number { value, integer })
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
