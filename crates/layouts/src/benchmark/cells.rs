//! The fields of a benchmark's record, each checked as it is taken.

use std::path::Path;

use serde_json::{Map, Value};
use vigos_recipe::row::{ImageSource, Rule};

use crate::choices;
use crate::picture;
use crate::texts::{check_length, kind, listed};

/// The most images of a row.
const MAX_IMAGES: usize = 256;

/// What is asked of a record.
pub(super) struct Asked {
    /// The question, with `<image>` at the places of images.
    pub(super) text: String,
    pub(super) answer: String,
    pub(super) images: Vec<ImageSource>,
    /// What results are listed by.
    pub(super) kind: Option<String>,
    pub(super) rule: Rule,
}

/// A record, and the folder that its image paths are relative to.
pub(super) struct Cells<'a> {
    pub(super) record: &'a Map<String, Value>,
    pub(super) root: &'a Path,
}

impl<'a> Cells<'a> {
    /// A field's value; null counts as absent.
    pub(super) fn held(&self, field: &str) -> Option<&'a Value> {
        self.record.get(field).filter(|value| !value.is_null())
    }

    /// A text or number that may be absent, and is then as good as blank.
    pub(super) fn optional(&self, field: &str) -> Option<String> {
        match self.held(field)? {
            Value::String(text) => Some(text.trim().to_owned()).filter(|text| !text.is_empty()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(truth) => Some(truth.to_string()),
            _ => None,
        }
    }

    /// A text or number that has to be there.
    pub(super) fn text(&self, field: &str) -> Result<String, String> {
        let text = self.optional(field).ok_or_else(|| self.wrong(field, "a text that is not blank"))?;
        check_length(field, &text)?;
        Ok(text)
    }

    /// The choices of a question, a list or such a list as text, without blank ones at its end; none if there are none.
    pub(super) fn choices(&self, field: &str) -> Result<Vec<String>, String> {
        let mut items = match self.held(field) {
            None => return Ok(Vec::new()),
            Some(Value::Array(items)) => items.clone(),
            Some(Value::String(text)) => {
                choices::listed(text).ok_or_else(|| self.wrong(field, "a list of choices"))?
            }
            Some(_) => return Err(self.wrong(field, "a list of choices")),
        };
        let is_blank = |item: &Value| item.as_str().is_some_and(|text| text.trim().is_empty());
        while items.last().is_some_and(is_blank) {
            items.pop();
        }
        choices::in_field(field, &Value::Array(items))
    }

    /// The letter of the choice that is right.
    pub(super) fn letter(&self, field: &str, choices: &[String]) -> Result<String, String> {
        let text = self.text(field)?;
        let letter = text.trim_matches(['(', ')', '.', ' ']);
        match letter.as_bytes() {
            [letter @ b'A'..=b'Z'] if choices.is_empty() || usize::from(letter - b'A') < choices.len() => {
                Ok(char::from(*letter).to_string())
            }
            _ => Err(self.wrong(field, "the letter of one of the choices")),
        }
    }

    /// The images of a field: one, or a list of them.
    pub(super) fn images(&self, field: &str) -> Result<Vec<ImageSource>, String> {
        let each = match self.held(field) {
            Some(Value::Array(items)) if items.len() > MAX_IMAGES => {
                return Err(self.wrong(field, "fewer images"));
            }
            Some(Value::Array(items)) => items.as_slice(),
            Some(one) => std::slice::from_ref(one),
            None => return Err(self.wrong(field, "an image")),
        };
        let source = |value| picture::source(value, self.root).map_err(|e| format!("field {field:?}: {e}"));
        each.iter().map(source).collect()
    }

    /// The message for a field that is not what it should be.
    pub(super) fn wrong(&self, field: &str, wanted: &str) -> String {
        match self.held(field) {
            Some(found) => format!("field {field:?}: found {}, wanted {wanted}", kind(found)),
            None => {
                let found = listed("fields", self.record.keys().map(String::as_str));
                format!("no field {field:?} with a value, wanted {wanted}; found {found}")
            }
        }
    }
}
