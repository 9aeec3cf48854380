//! A JSON text to a row's fields, or to what keeps it from being JSON.

use serde_json::{Map, Value};
use vigos_layouts::texts::kind;

/// The fields of the object that `text` is.
pub(crate) fn object(text: &[u8]) -> Result<Map<String, Value>, String> {
    if let Err(fault) = std::str::from_utf8(text) {
        let (byte, column) =
            (text.get(fault.valid_up_to()).copied().unwrap_or_default(), fault.valid_up_to() + 1);
        return Err(format!(
            "it is not UTF-8: found the byte {byte:#04x} in column {column}; convert the file, for example with \
             `iconv -f LATIN1 -t UTF-8`"
        ));
    }
    match serde_json::from_slice(text) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(other) => Err(format!("found {}, wanted a JSON object with the row's fields", kind(&other))),
        Err(fault) => Err(explained(text, &fault)),
    }
}

/// The parser's message, and what people write that it does not know.
fn explained(text: &[u8], fault: &serde_json::Error) -> String {
    /// What other languages have, and what JSON has instead.
    const FOREIGN: [(&str, &str); 7] = [
        ("NaN", "write null there, or leave the field out"),
        ("-Infinity", "write null there, or leave the field out"),
        ("Infinity", "write null there, or leave the field out"),
        ("None", "write null there, as Python's json.dumps does"),
        ("True", "write true there, as Python's json.dumps does"),
        ("False", "write false there, as Python's json.dumps does"),
        ("'", "write \" around texts, as Python's json.dumps does"),
    ];
    let column = fault.column();
    // The parser stops at the first letter or behind it.
    let near = (column.saturating_sub(3)..=column).filter_map(|at| text.get(at..));
    let found =
        near.flat_map(|rest| FOREIGN.into_iter().filter(move |(word, _)| rest.starts_with(word.as_bytes())));
    if let Some((word, advice)) = found.into_iter().next() {
        return format!("column {column}: found {word}, which is not JSON; {advice}");
    }
    let message = fault.to_string();
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
    if fault.is_eof() {
        return format!(
            "it ends within its JSON ({message}): cut off, or spread over several lines? wanted a row a line, or all \
             rows in one JSON array"
        );
    }
    format!("it is not JSON: {message} at column {column}")
}
