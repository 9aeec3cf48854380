//! Amounts with a unit or a word of scale.

use std::borrow::Cow;

/// Names of a unit, the first of which stands for all. A name of one letter may also be a variable.
const UNITS: &[&[&str]] = &[
    &["mm", "millimeter", "millimeters", "millimetre", "millimetres"],
    &["cm", "centimeter", "centimeters", "centimetre", "centimetres"],
    &["m", "meter", "meters", "metre", "metres"],
    &["km", "kilometer", "kilometers", "kilometre", "kilometres"],
    &["in", "inch", "inches"],
    &["ft", "foot", "feet"],
    &["yd", "yard", "yards"],
    &["mi", "mile", "miles"],
    &["mg", "milligram", "milligrams"],
    &["g", "gram", "grams"],
    &["kg", "kilogram", "kilograms"],
    &["lb", "lbs", "pound", "pounds"],
    &["oz", "ounce", "ounces"],
    &["ml", "milliliter", "milliliters", "millilitre", "millilitres"],
    &["l", "liter", "liters", "litre", "litres"],
    &["ms", "millisecond", "milliseconds"],
    &["s", "sec", "second", "seconds"],
    &["min", "mins", "minute", "minutes"],
    &["h", "hr", "hrs", "hour", "hours"],
    &["day", "days"],
    &["week", "weeks"],
    &["month", "months"],
    &["yr", "yrs", "year", "years"],
];

/// Words of scale, and the power of ten that they stand for.
const SCALES: [(&str, &str); 4] =
    [("thousand", "*10^3"), ("million", "*10^6"), ("billion", "*10^9"), ("trillion", "*10^12")];

/// An amount, and its unit if it has one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Quantity<'a> {
    /// The amount's text.
    pub(super) amount: Cow<'a, str>,
    unit: Option<Unit>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Unit {
    name: &'static str,
    power: u8,
    /// Written with one letter, which may be a variable as well.
    letter: bool,
}

impl<'a> Quantity<'a> {
    /// Reads a normalised answer, which need not have a unit.
    pub(super) fn read(text: &'a str) -> Self {
        let (amount, unit) = match with_unit(text) {
            Some((amount, unit)) => (amount, Some(unit)),
            None => (text, None),
        };
        let scaled = SCALES.iter().find_map(|(word, power)| {
            let number = amount.strip_suffix(word)?.trim_end();
            ends_amount(number).then(|| Cow::Owned(format!("{number}{power}")))
        });
        Self { amount: scaled.unwrap_or(Cow::Borrowed(amount)), unit }
    }

    /// Whether the two can be compared by their amounts: one unit, or a unit that one of them leaves out.
    pub(super) fn comparable(&self, other: &Self) -> bool {
        match (self.unit, other.unit) {
            (Some(a), Some(b)) => (a.name, a.power) == (b.name, b.power),
            (Some(unit), None) | (None, Some(unit)) => !unit.letter,
            (None, None) => true,
        }
    }
}

/// The amount and the unit of "5 cm", "5cm^2" and "5 square cm".
fn with_unit(text: &str) -> Option<(&str, Unit)> {
    let (base, power) = match text.rsplit_once('^') {
        Some((base, "2" | "{2}")) => (base, 2),
        Some((base, "3" | "{3}")) => (base, 3),
        _ => (text, 1),
    };
    let base = base.trim_end();
    // The whole word: "meters" is no "s" behind something.
    let front = base.trim_end_matches(char::is_alphabetic);
    let word = base.get(front.len()..)?;
    let name = UNITS.iter().find(|names| names.contains(&word))?.first()?;
    let front = front.trim_end();
    let (amount, power) = match (power, front.strip_suffix("square"), front.strip_suffix("cubic")) {
        (1, Some(amount), _) => (amount.trim_end(), 2),
        (1, _, Some(amount)) => (amount.trim_end(), 3),
        _ => (front, power),
    };
    ends_amount(amount).then_some((amount, Unit { name, power, letter: word.len() == 1 }))
}

/// Whether a text may be an amount, by its end.
fn ends_amount(text: &str) -> bool {
    text.ends_with(|c: char| c.is_ascii_digit() || matches!(c, '}' | ')' | 'π' | '.'))
        || SCALES.iter().any(|(word, _)| text.ends_with(word))
}
