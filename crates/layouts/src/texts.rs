//! Bounds on the texts of rows, and names in messages.

use serde_json::{Number, Value};
use vigos_core::text::one_line;

/// Most bytes of a question, an answer or a path.
pub const MAX_TEXT: usize = 1 << 20;
/// Most bytes of a row's name, which messages and file lists show.
const MAX_NAME: usize = 1 << 10;

/// Refuses a text that is longer than any should be.
///
/// # Errors
/// What was found and wanted in which field.
pub fn check_length(field: &str, text: &str) -> Result<(), String> {
    limited(field, text, MAX_TEXT)
}

/// Refuses a row's name that is none.
///
/// # Errors
/// As [`check_length`].
pub fn check_name(field: &str, text: &str) -> Result<(), String> {
    limited(field, text, MAX_NAME)
}

fn limited(field: &str, text: &str, most: usize) -> Result<(), String> {
    match text.len() {
        length if length > most => {
            Err(format!("field {field:?}: found a text of {length} bytes, wanted at most {most}"))
        }
        _ => Ok(()),
    }
}

/// A number as a text. One that was read as a fraction and is so large that it has no digits behind its point may have
/// lost digits of what was written: an answer must not be another than its row has.
///
/// # Errors
/// What was found and wanted in which field.
pub fn number(field: &str, number: &Number) -> Result<String, String> {
    /// 2^53: from here on not every whole number is an f64.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match number.as_f64() {
        Some(value) if number.is_f64() && value.abs() >= EXACT => Err(format!(
            "field {field:?}: found a number of which not all digits can be kept, {number}, wanted it as text: write it in \
             quotes"
        )),
        _ => Ok(number.to_string()),
    }
}

/// What a value is, for a message; texts are not shown.
pub fn kind(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Array(items) if items.is_empty() => "an empty list".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::String(text) if text.trim().is_empty() => "a blank string".to_owned(),
        Value::String(_) => "a string".to_owned(),
        scalar => scalar.to_string(),
    }
}

/// Names for a message: the first of them, each on one line and of a length that can be read.
pub fn listed<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> String {
    const MOST: usize = 12;
    let names: Vec<String> = names.take(MOST + 1).map(|name| one_line(name, 40).into_owned()).collect();
    match names.len() {
        0 => format!("no {what}"),
        1..=MOST => format!("the {what} {}", names.join(", ")),
        _ => format!("the {what} {} and more", names[..MOST].join(", ")),
    }
}
