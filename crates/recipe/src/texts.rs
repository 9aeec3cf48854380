//! Kinds of text and of lists that several keys take.

use schemars::{Schema, SchemaGenerator, json_schema};

/// A text that is not empty.
pub(crate) fn filled(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "pattern": r"\S", "title": "text that is not empty" })
}

/// A name that can be part of a file's name and of a metric's.
pub(crate) fn name(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "pattern": "^[A-Za-z0-9_-]+$",
        "title": "a name of letters, digits, `-` and `_`",
        "x-several": "names",
    })
}

/// A list of names.
pub(crate) fn names(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "array", "items": name(generator), "minItems": 1, "uniqueItems": true })
}

/// One of these words, or a name that a program brings.
pub(crate) fn word_or_own<'a>(words: impl Iterator<Item = (&'a str, &'a str)>) -> Schema {
    let words: Vec<_> =
        words.map(|(word, doc)| json_schema!({ "const": word, "description": doc })).collect();
    json_schema!({ "type": "string", "anyOf": [{ "oneOf": words }, { "pattern": "^own:[A-Za-z0-9_-]+$" }] })
}
