//! What a turn of a conversation holds: a text, or parts of text and image.

use serde_json::Value;

use crate::marked::Marked;
use crate::texts::kind;

/// The text and images of the user's content.
pub(crate) fn question(content: &Value) -> Result<Marked, String> {
    let mut question = Marked::default();
    for part in parts(content)? {
        match Part::of(part)? {
            Part::Text(text) => question.say(text),
            Part::Image(image) => question.show(image.cloned()),
        }
    }
    Ok(question)
}

/// The text of the content of another, `whose` it is by name; it says something.
pub(crate) fn text(content: &Value, whose: &str) -> Result<String, String> {
    let mut text = String::new();
    for part in parts(content)? {
        match Part::of(part)? {
            Part::Text(said) => text.push_str(said),
            Part::Image(_) => return Err(format!("found an image in the {whose}'s turn, wanted text")),
        }
    }
    match text.trim().is_empty() {
        true => Err(format!("found a blank turn of the {whose}, wanted a text that says something")),
        false => Ok(text),
    }
}

/// A content's parts; a text is one.
fn parts(content: &Value) -> Result<&[Value], String> {
    match content {
        Value::String(_) => Ok(std::slice::from_ref(content)),
        Value::Array(parts) => Ok(parts),
        other => Err(format!("found {} as a turn's content, wanted a text or a list of parts", kind(other))),
    }
}

enum Part<'a> {
    Text(&'a str),
    /// What it brings, if it does not stand for one of the row's.
    Image(Option<&'a Value>),
}

impl<'a> Part<'a> {
    fn of(part: &'a Value) -> Result<Self, String> {
        /// Where an image's path or data is.
        const SOURCES: [&str; 5] = ["image", "image_url", "url", "path", "base64"];
        if let Value::String(text) = part {
            return Ok(Self::Text(text));
        }
        let held = |name: &str| part.get(name).filter(|value| !value.is_null());
        let text = held("text").and_then(Value::as_str);
        match (held("type").and_then(Value::as_str), text) {
            (Some("image" | "image_url" | "input_image"), _) => {
                Ok(Self::Image(SOURCES.into_iter().find_map(held)))
            }
            (Some("text" | "input_text" | "output_text") | None, Some(text)) => Ok(Self::Text(text)),
            (None, None) if held("image").is_some() => Ok(Self::Image(held("image"))),
            (Some(other), _) => {
                let other: String = other.chars().take(40).collect();
                Err(format!("found a part of type {other:?}, wanted text or image"))
            }
            (None, None) => Err(format!("found {} as a part, wanted one with a type", kind(part))),
        }
    }
}
