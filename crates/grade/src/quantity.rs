//! Amounts with a unit or a word of scale.

use std::borrow::Cow;

/// Names of a unit, the first of which stands for all. A name of one letter may also be a variable.
const UNITS: &[&[&str]] = &[
    &["nm", "nanometer", "nanometers", "nanometre", "nanometres"],
    &["μm", "micrometer", "micrometers", "micrometre", "micrometres", "micron", "microns"],
    &["mm", "millimeter", "millimeters", "millimetre", "millimetres"],
    &["cm", "centimeter", "centimeters", "centimetre", "centimetres"],
    &["m", "meter", "meters", "metre", "metres"],
    &["km", "kilometer", "kilometers", "kilometre", "kilometres"],
    &["in", "inch", "inches"],
    &["ft", "foot", "feet"],
    &["yd", "yard", "yards"],
    &["mi", "mile", "miles"],
    &["μg", "microgram", "micrograms"],
    &["mg", "milligram", "milligrams"],
    &["g", "gram", "grams"],
    &["kg", "kilogram", "kilograms"],
    &["lb", "lbs", "pound", "pounds"],
    &["oz", "ounce", "ounces"],
    &["ml", "milliliter", "milliliters", "millilitre", "millilitres"],
    &["l", "liter", "liters", "litre", "litres"],
    &["μs", "microsecond", "microseconds"],
    &["ms", "millisecond", "milliseconds"],
    &["s", "sec", "second", "seconds"],
    &["min", "mins", "minute", "minutes"],
    &["h", "hr", "hrs", "hour", "hours"],
    &["day", "days"],
    &["week", "weeks"],
    &["month", "months"],
    &["yr", "yrs", "year", "years"],
    &["celsius", "centigrade", "c"],
    &["fahrenheit", "f"],
    &["kelvin", "kelvins", "k"],
    &["mol", "mole", "moles"],
    &["newton", "newtons", "n"],
    &["joule", "joules", "j"],
    &["watt", "watts", "w"],
    &["volt", "volts", "v"],
    &["ampere", "amperes", "amp", "amps"],
    &["Ω", "ohm", "ohms"],
    &["hz", "hertz"],
    &["pa", "pascal", "pascals"],
    &["rad", "radian", "radians"],
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
    above: Power,
    /// The second of "5 m/s".
    below: Option<Power>,
    /// Written with letters that may be variables as well.
    letters: bool,
}

/// A unit's name and how often it is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Power {
    name: &'static str,
    power: u8,
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
            (Some(a), Some(b)) => (a.above, a.below) == (b.above, b.below),
            (Some(unit), None) | (None, Some(unit)) => !unit.letters,
            (None, None) => true,
        }
    }

    /// Whether what was read as its unit may be variables.
    pub(super) fn may_be_product(&self) -> bool {
        self.unit.is_some_and(|unit| unit.letters)
    }
}

/// The amount and the unit of "5 cm", "5cm^2", "5 square cm", "5 m/s" and "5 metres per second".
fn with_unit(text: &str) -> Option<(&str, Unit)> {
    let (front, last, letter) = last_unit(text)?;
    if ends_amount(front) {
        return Some((front, Unit { above: last, below: None, letters: letter }));
    }
    let front = front.strip_suffix('/').or_else(|| front.strip_suffix(" per"))?;
    let (amount, above, other_letter) = last_unit(front)?;
    ends_amount(amount)
        .then_some((amount, Unit { above, below: Some(last), letters: letter && other_letter }))
}

/// What stands before the unit that a text ends with, the unit, and whether it is one letter.
fn last_unit(text: &str) -> Option<(&str, Power, bool)> {
    let text = text.trim_end();
    let powers = [("^2", 2), ("^{2}", 2), (" squared", 2), ("^3", 3), ("^{3}", 3), (" cubed", 3)];
    let power = powers.into_iter().find_map(|(end, power)| Some((text.strip_suffix(end)?, power)));
    let (base, power) = power.unwrap_or((text, 1));
    let base = base.trim_end();
    // The whole word: "meters" is no "s" behind something.
    let front = base.trim_end_matches(char::is_alphabetic);
    let word = base.get(front.len()..)?;
    // "5 μ m" is what `5 \mu m` comes to.
    let small = front.trim_end().strip_suffix('μ').filter(|front| !front.ends_with(char::is_alphabetic));
    let (front, word) = match small {
        Some(front) => (front, Cow::Owned(format!("μ{word}"))),
        None => (front, Cow::Borrowed(word)),
    };
    let name = UNITS.iter().find(|names| names.contains(&&*word))?.first()?;
    let front = front.trim_end();
    let degrees = matches!(*name, "celsius" | "fahrenheit").then_some(["degrees", "degree"]);
    let front = degrees
        .and_then(|words| words.into_iter().find_map(|word| front.strip_suffix(word)))
        .unwrap_or(front);
    let (front, power) = match (power, front.strip_suffix("square"), front.strip_suffix("cubic")) {
        (1, Some(front), _) => (front, 2),
        (1, _, Some(front)) => (front, 3),
        _ => (front, power),
    };
    Some((front.trim_end(), Power { name, power }, word.chars().count() == 1))
}

/// Whether a text may be an amount, by its end.
fn ends_amount(text: &str) -> bool {
    text.ends_with(|c: char| c.is_ascii_digit() || matches!(c, '}' | ')' | 'π' | '.'))
        || SCALES.iter().any(|(word, _)| text.ends_with(word))
}
