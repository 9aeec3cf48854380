//! The kinds of value that keys take, and the check of one value.

use std::fmt;

use toml::Value;

/// The values a key takes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Any text, empty or not.
    Text,
    /// A text that is not empty.
    Filled,
    /// A name that can be part of a file name and of a metric's name.
    Name,
    /// `true` or `false`.
    Flag,
    /// A whole number from `min` to `max`.
    Integer {
        /// The smallest.
        min: i64,
        /// The largest.
        max: i64,
    },
    /// A finite number; a whole number is read as one.
    Number(Bounds),
    /// A list of two numbers.
    Pair(Bounds),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list of some of these words, at least one, none twice.
    Subset(&'static [&'static str]),
    /// A list of names, at least one, none twice.
    Words,
    /// An array of teacher tables.
    Teachers,
}

/// An interval of numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    low: f64,
    low_open: bool,
    high: f64,
    high_open: bool,
}

impl Bounds {
    /// Every number above `low`.
    pub const fn above(low: f64) -> Self {
        Self { low, low_open: true, high: f64::INFINITY, high_open: true }
    }

    /// Every number from `low` on.
    pub const fn at_least(low: f64) -> Self {
        Self { low, low_open: false, high: f64::INFINITY, high_open: true }
    }

    /// The same, and no number above `high`.
    pub const fn up_to(self, high: f64) -> Self {
        Self { high, high_open: false, ..self }
    }

    /// The same, and only numbers below `high`.
    pub const fn below(self, high: f64) -> Self {
        Self { high, high_open: true, ..self }
    }

    fn contains(&self, number: f64) -> bool {
        let above = if self.low_open { number > self.low } else { number >= self.low };
        let below = if self.high_open { number < self.high } else { number <= self.high };
        number.is_finite() && above && below
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let low = if self.low_open { "above" } else { "at least" };
        write!(out, "{low} {}", self.low)?;
        if self.high.is_finite() {
            let high = if self.high_open { "below" } else { "at most" };
            write!(out, " and {high} {}", self.high)?;
        }
        Ok(())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => write!(out, "text"),
            Self::Filled => write!(out, "text that is not empty"),
            Self::Name => write!(out, "a name of letters, digits, `-` and `_`"),
            Self::Flag => write!(out, "`true` or `false`"),
            Self::Integer { min, max: i64::MAX } => write!(out, "a whole number, at least {min}"),
            Self::Integer { min, max } => write!(out, "a whole number from {min} to {max}"),
            Self::Number(bounds) => write!(out, "a number {bounds}"),
            Self::Pair(bounds) => write!(out, "a list of two numbers, each {bounds}"),
            Self::Choice(words) => write!(out, "one of {}", quoted(words)),
            Self::Subset(words) => write!(out, "a list of some of {}, none twice", quoted(words)),
            Self::Words => write!(out, "a list of names, none twice"),
            Self::Teachers => write!(out, "an array of tables"),
        }
    }
}

/// Why a value is not of a kind.
#[derive(Debug, PartialEq)]
pub(crate) enum Fault {
    /// The value's type is another.
    Type {
        /// How to write it; may be empty.
        hint: String,
    },
    /// The type is right and the value is not.
    Range {
        /// A way out; may be empty.
        hint: String,
    },
}

impl Kind {
    /// Whether a text is taken, so that an override needs no quotes.
    pub(crate) fn takes_text(self) -> bool {
        matches!(self, Self::Text | Self::Filled | Self::Name | Self::Choice(_))
    }

    /// The value in the form the recipe keeps it in (a number for `1` where `1.0` is meant), or what is
    /// wrong with it. Teacher tables are checked by their own keys, not here.
    pub(crate) fn check(self, value: Value) -> Result<Value, Fault> {
        match (self, value) {
            (Self::Text, Value::String(text)) => Ok(Value::String(text)),
            (Self::Filled, Value::String(text)) => match text.trim().is_empty() {
                true => Err(range("")),
                false => Ok(Value::String(text)),
            },
            (Self::Name, Value::String(text)) => match is_name(&text) {
                true => Ok(Value::String(text)),
                false => Err(range("")),
            },
            (Self::Flag, Value::Boolean(flag)) => Ok(Value::Boolean(flag)),
            (Self::Integer { min, max }, Value::Integer(number)) => match (min..=max).contains(&number) {
                true => Ok(Value::Integer(number)),
                false => Err(range("")),
            },
            (Self::Integer { .. }, Value::Float(number)) if number.fract() == 0.0 => {
                Err(Fault::Type { hint: format!("write it as {number:.0}") })
            }
            (Self::Number(bounds), value @ (Value::Integer(_) | Value::Float(_))) => number(bounds, &value),
            (Self::Pair(bounds), Value::Array(items)) => match items.as_slice() {
                [first, second] => Ok(Value::Array(vec![number(bounds, first)?, number(bounds, second)?])),
                _ => Err(range("")),
            },
            (Self::Choice(words), Value::String(text)) => match words.contains(&text.as_str()) {
                true => Ok(Value::String(text)),
                false => Err(range(&nearest_hint(words, &text))),
            },
            (Self::Subset(words), Value::Array(items)) => {
                let items = distinct(items)?;
                match items.iter().find(|item| !words.contains(&item.as_str())) {
                    Some(stranger) => Err(range(&nearest_hint(words, stranger))),
                    None => Ok(Value::from(items)),
                }
            }
            (Self::Words, Value::Array(items)) => {
                let items = distinct(items)?;
                match items.iter().all(|item| is_name(item)) {
                    true => Ok(Value::from(items)),
                    false => Err(range("a name has letters, digits, `-` and `_`")),
                }
            }
            (Self::Teachers, Value::Array(items)) if items.iter().all(Value::is_table) => {
                Ok(Value::Array(items))
            }
            (Self::Teachers, _) => {
                Err(Fault::Type { hint: "write each teacher under a heading `[[method.teacher]]`".into() })
            }
            _ => Err(Fault::Type { hint: String::new() }),
        }
    }
}

fn range(hint: &str) -> Fault {
    Fault::Range { hint: hint.to_owned() }
}

/// The number of a value within bounds, as a TOML float.
fn number(bounds: Bounds, value: &Value) -> Result<Value, Fault> {
    let number = match value {
        Value::Integer(number) => *number as f64,
        Value::Float(number) => *number,
        _ => return Err(Fault::Type { hint: String::new() }),
    };
    match bounds.contains(number) {
        true => Ok(Value::Float(number)),
        false => Err(range("")),
    }
}

/// The texts of a list that has at least one and none twice.
fn distinct(items: Vec<Value>) -> Result<Vec<String>, Fault> {
    let mut texts: Vec<String> = Vec::new();
    for item in items {
        let Value::String(text) = item else { return Err(Fault::Type { hint: String::new() }) };
        if texts.contains(&text) {
            return Err(range(&format!("\"{text}\" is there twice")));
        }
        texts.push(text);
    }
    match texts.is_empty() {
        true => Err(range("name at least one")),
        false => Ok(texts),
    }
}

/// Whether a text is letters, digits, `-` and `_` only, and not empty.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// "did you mean …?" when a word comes near, else nothing.
fn nearest_hint(words: &[&str], text: &str) -> String {
    match nearest(words.iter().copied(), text) {
        Some(word) => format!("did you mean \"{word}\"?"),
        None => String::new(),
    }
}

/// The word most like the text, when one is like it at all.
pub fn nearest<'a>(words: impl Iterator<Item = &'a str>, text: &str) -> Option<&'a str> {
    // Comparing is quadratic in length; nothing longer than this is a misspelt key.
    if text.len() > 200 {
        return None;
    }
    words
        .map(|word| (word, strsim::normalized_damerau_levenshtein(word, text)))
        .filter(|(_, likeness)| *likeness >= 0.6)
        .max_by(|(_, one), (_, other)| one.total_cmp(other))
        .map(|(word, _)| word)
}

fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(", ")
}

/// Type and value for a message, cut to a length that fits one.
pub(crate) fn describe(value: &Value) -> String {
    const LONGEST: usize = 60;
    let text = value.to_string();
    let mut short: String = text.chars().take(LONGEST).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{} {short}", value.type_str())
}
