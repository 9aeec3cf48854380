//! A JSON text to a row's fields, or to what keeps it from being JSON.

use serde_json::{Map, Value};
use vigos_core::json::explained;
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
        Err(error) => Err(fault(text, &error)),
    }
}

/// What is wrong with it, and what of a row that was meant to be a line of its own.
fn fault(text: &[u8], fault: &serde_json::Error) -> String {
    if text.contains(&b'\r') {
        return "found a carriage return between rows, wanted a line feed: convert the file, for example with \
                `tr '\\r' '\\n'`"
            .into();
    }
    if !fault.is_eof() {
        return explained(text, fault);
    }
    let message = fault.to_string();
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
    format!(
        "it ends within its JSON ({message}): cut off, or spread over several lines? wanted a row a line, or all rows in \
         one JSON array"
    )
}
