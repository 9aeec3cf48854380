//! Arithmetic that knows how far it can be trusted: floats with a bound of what rounding has done to them, and whole
//! numbers to their last digit.

use num_bigint::BigInt;

/// How far apart two values may be, relative to the larger one.
const TOLERANCE: f64 = 1e-9;
/// What rounding may change of a number, relative to it.
const ROUNDING: f64 = f64::EPSILON;
/// By how many of their bounds two values may be apart: bounds are of the first order.
const ALLOWANCE: f64 = 4.0;
/// How much of a value may be rounding for it to be compared as one.
const LEAST_SURE: f64 = 1e-3;
/// The most bits of a whole number that is kept to its last digit.
const MOST_BITS: u64 = 4096;

/// A value of an expression.
#[derive(Clone, Debug)]
pub(super) struct Value {
    /// Not finite where there is none.
    number: f64,
    /// How far rounding may have moved it.
    error: f64,
    /// Itself, where it is a whole number made of whole numbers.
    exact: Option<BigInt>,
}

impl Value {
    /// A number as it is written, in digits with perhaps a point and a power of ten.
    pub(super) fn read(text: &str) -> Option<Self> {
        let number: f64 = text.parse().ok()?;
        let exact = text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten();
        let error = if number.fract() == 0.0 && number < 1e15 { 0.0 } else { number.abs() * ROUNDING };
        Some(Self { number, error, exact: within(exact) })
    }

    /// One that only a float has.
    pub(super) fn irrational(number: f64) -> Self {
        Self { number, error: number.abs() * ROUNDING, exact: None }
    }

    /// A small whole number.
    pub(super) fn whole(number: u32) -> Self {
        Self { number: f64::from(number), error: 0.0, exact: Some(number.into()) }
    }

    /// Whether it is a whole number.
    pub(super) fn is_whole(&self) -> bool {
        self.exact.is_some() || self.number.fract() == 0.0
    }

    pub(super) fn negated(self) -> Self {
        Self { number: -self.number, error: self.error, exact: self.exact.map(|n| -n) }
    }

    pub(super) fn plus(self, other: Self) -> Self {
        let (a, b) = (self.number, other.number);
        let number = a + b;
        // What the sum has lost, to the last bit.
        let of_b = number - a;
        let lost = (a - (number - of_b)) + (b - of_b);
        let exact = self.exact.zip(other.exact).map(|(a, b)| a + b);
        Self { number, error: self.error + other.error + lost.abs(), exact: within(exact) }
    }

    pub(super) fn times(self, other: Self) -> Self {
        let (a, b) = (self.number, other.number);
        let number = a * b;
        let lost = a.mul_add(b, -number);
        let exact = self.exact.zip(other.exact).filter(|(a, b)| a.bits() + b.bits() <= MOST_BITS);
        Self {
            number,
            error: a.abs() * other.error + b.abs() * self.error + lost.abs(),
            exact: exact.map(|(a, b)| a * b),
        }
    }

    pub(super) fn over(self, other: Self) -> Self {
        let (a, b) = (self.number, other.number);
        // Divided by what may be zero it is anything.
        let number = if other.may_be_zero() { f64::NAN } else { a / b };
        let lost = (-number).mul_add(b, a) / b;
        let zero = BigInt::ZERO;
        let exact = self.exact.zip(other.exact).filter(|(a, b)| *b != zero && a % b == zero);
        Self {
            number,
            error: (self.error + number.abs() * other.error) / b.abs() + lost.abs(),
            exact: exact.map(|(a, b)| a / b),
        }
    }

    pub(super) fn raised_to(self, power: Self) -> Self {
        let exact = self.exact.as_ref().zip(power.exact.as_ref()).and_then(|(base, power)| {
            let power = u32::try_from(power).ok()?;
            (base.bits().saturating_mul(power.into()) <= MOST_BITS).then(|| base.pow(power))
        });
        Self { exact, ..self.raised(power.number, power.error) }
    }

    /// The root of a degree; odd ones of negative numbers are negative.
    pub(super) fn root(self, degree: Self) -> Self {
        let power = 1.0 / degree.number;
        if self.number < 0.0 && degree.number % 2.0 == 1.0 {
            return self.negated().raised(power, power * ROUNDING).negated();
        }
        self.raised(power, power * ROUNDING)
    }

    /// A power, in floats.
    fn raised(&self, power: f64, error: f64) -> Self {
        let number = self.number.powf(power);
        let error = if self.number == 0.0 {
            // Rounding may have made it of something small.
            self.error.powf(power.abs())
        } else {
            let relative = power.abs() * self.error / self.number.abs();
            let of_power = if error == 0.0 { 0.0 } else { self.number.abs().ln().abs() * error };
            number.abs() * (ROUNDING + relative + of_power)
        };
        Self { number, error, exact: None }
    }

    /// Whether rounding may have made it of zero.
    fn may_be_zero(&self) -> bool {
        self.number.abs() <= ALLOWANCE * self.error
    }

    /// Whether two values are the same, to the last digit where they are whole numbers, otherwise relative to their
    /// size and to that of what has cancelled on the way to them; nothing where neither has a value.
    pub(super) fn same(&self, other: &Self) -> Option<bool> {
        if let (Some(a), Some(b)) = (&self.exact, &other.exact) {
            return Some(a == b);
        }
        let (a, b) = (self.number, other.number);
        match (a.is_finite(), b.is_finite()) {
            (false, false) => None,
            (true, true) => {
                let (apart, size) = ((a - b).abs(), a.abs().max(b.abs()));
                let rounding = ALLOWANCE * (self.error + other.error);
                let cancelled = self.may_be_zero() && other.may_be_zero();
                let close = apart <= rounding && (cancelled || rounding <= LEAST_SURE * size);
                Some(apart <= TOLERANCE * size || close)
            }
            _ => Some(false),
        }
    }
}

/// A whole number that is not too long to be kept.
fn within(number: Option<BigInt>) -> Option<BigInt> {
    number.filter(|number| number.bits() <= MOST_BITS)
}
