//! Whether a value is what a schema says.

use regex::Regex;
use toml::Value;

use crate::schema::{Node, Takes, quoted};

/// Why a value is not what its key takes.
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

/// Refuses a value that a key does not take. Tables are no values: their keys are looked at one by one.
pub(crate) fn check(node: Node, value: &Value) -> Result<(), Fault> {
    match (node.takes(), value) {
        (Takes::Flag, Value::Boolean(_)) => Ok(()),
        (Takes::Whole, Value::Integer(number)) => {
            let low = node.whole("minimum").is_none_or(|low| low <= *number);
            inside(low && node.whole("maximum").is_none_or(|high| *number <= high))
        }
        (Takes::Whole, Value::Float(number)) if number.fract() == 0.0 => {
            Err(Fault::Type { hint: format!("write it as {number:.0}") })
        }
        (Takes::Number, Value::Integer(number)) => inside(holds(node, *number as f64)),
        (Takes::Number, Value::Float(number)) => inside(holds(node, *number)),
        (Takes::Text, Value::String(text)) => text_of(node, text),
        (Takes::List(item), Value::Array(items)) => list_of(node, item, items),
        _ => Err(Fault::Type { hint: String::new() }),
    }
}

fn holds(node: Node, number: f64) -> bool {
    number.is_finite()
        && node.number("minimum").is_none_or(|low| low <= number)
        && node.number("exclusiveMinimum").is_none_or(|low| low < number)
        && node.number("maximum").is_none_or(|high| number <= high)
        && node.number("exclusiveMaximum").is_none_or(|high| number < high)
}

fn text_of(node: Node, text: &str) -> Result<(), Fault> {
    let words = node.words();
    let matches = |pattern: &str| Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text));
    match node.pattern() {
        _ if words.contains(&text) => Ok(()),
        Some(pattern) if matches(pattern) => Ok(()),
        None if words.is_empty() => Ok(()),
        _ => Err(Fault::Range {
            hint: nearest(words.into_iter(), text)
                .map_or(String::new(), |word| format!("did you mean \"{word}\"?")),
        }),
    }
}

fn list_of(node: Node, item: Node, items: &[Value]) -> Result<(), Fault> {
    let range = |hint: String| Err(Fault::Range { hint });
    for (index, value) in items.iter().enumerate() {
        check(item, value).map_err(|fault| match fault {
            Fault::Range { hint } if hint.is_empty() && matches!(item.takes(), Takes::Text) => {
                let words = item.words();
                let each = if words.is_empty() { item.to_string() } else { quoted(&words) };
                Fault::Range { hint: format!("each is {each}") }
            }
            other => other,
        })?;
        if node.is_set("uniqueItems") && items.iter().take(index).any(|earlier| earlier == value) {
            return range(format!("{value} is there twice"));
        }
    }
    let count = |word| node.whole(word).and_then(|count| usize::try_from(count).ok());
    if count("minItems") == Some(1) && items.is_empty() {
        return range("name at least one".into());
    }
    let few = count("minItems").is_some_and(|least| items.len() < least);
    inside(!few && count("maxItems").is_none_or(|most| items.len() <= most))
}

fn inside(is: bool) -> Result<(), Fault> {
    if is { Ok(()) } else { Err(Fault::Range { hint: String::new() }) }
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

/// Type and value for a message, cut to a length that fits one.
pub(crate) fn describe(value: &Value) -> String {
    const LONGEST: usize = 60;
    let text = match value.to_string() {
        // Written out, its digits say nothing.
        long if long.len() > 24 && value.is_float() => format!("{:e}", value.as_float().unwrap_or_default()),
        text => text,
    };
    let mut short: String = text.chars().take(LONGEST).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{} {short}", value.type_str())
}
