//! Completions that somebody gives to be scored, a JSON object a line.

use std::fmt::Display;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use thiserror::Error;
use vigos_core::files::{self, FileError, folder_of};
use vigos_core::jsonl::{JsonLinesError, LastLine, ReadOptions, read_lines};
use vigos_core::paths::contained;

/// Bytes of a file that tell whether it is one of lines.
const LOOKED_AT: u64 = 1 << 12;

/// One line of the file, every field checked.
#[derive(Clone, Debug, PartialEq)]
pub struct Given {
    /// Its name: a string or a number.
    pub id: Value,
    /// What the user says.
    pub prompt: String,
    /// How the completion's turn begins.
    pub prefill: String,
    /// What is to be scored.
    pub completion: Completion,
    /// At least one image file.
    pub images: Vec<PathBuf>,
    /// `FILE:LINE`
    origin: String,
    /// The field that the images stand in.
    image_field: &'static str,
}

/// A completion in one of its two forms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completion {
    /// In `completion`.
    Text(String),
    /// In `completion_token_ids`.
    Ids(Vec<u32>),
}

/// Why a line cannot be used.
#[derive(Debug, Error)]
pub enum GivenError {
    /// The file, or a line that is no JSON object.
    #[error(transparent)]
    Lines(#[from] JsonLinesError),
    /// A field.
    #[error("{at}: {message}")]
    Field {
        /// ``FILE:LINE: field `NAME` ``
        at: String,
        /// What was found and what was wanted.
        message: String,
    },
}

/// The lines of a file in their order, with images from below its folder; after an error of the file nothing follows.
///
/// # Errors
/// If the file cannot be opened; each line has its own error.
pub fn given(path: &Path) -> Result<impl Iterator<Item = Result<Given, GivenError>>, GivenError> {
    is_lines(path)?;
    // People write these files, often without a line break at the end.
    let options = ReadOptions { last_line: LastLine::Taken, ..ReadOptions::default() };
    let (file, folder) = (path.display().to_string(), folder_of(path).to_owned());
    Ok(read_lines::<Map<String, Value>>(path, options)?.map(move |line| {
        let (number, object) = line?;
        Line { origin: format!("{file}:{number}"), object: &object }.read(&folder)
    }))
}

impl Given {
    /// Where a field stands, for messages.
    pub fn at(&self, field: &str) -> String {
        at(&self.origin, field)
    }

    /// Where the images stand, for messages.
    pub fn at_images(&self) -> String {
        self.at(self.image_field)
    }

    /// The completion's tokens, a text's by `encode`.
    ///
    /// # Errors
    /// If the text cannot be encoded, or a token is not below `vocabulary`.
    pub fn tokens<E: Display>(
        &self,
        vocabulary: usize,
        encode: impl Fn(&str) -> Result<Vec<u32>, E>,
    ) -> Result<Vec<u32>, GivenError> {
        let (field, ids) = match &self.completion {
            Completion::Text(text) => ("completion", encode(text).map_err(|error| error.to_string())),
            Completion::Ids(ids) => ("completion_token_ids", Ok(ids.clone())),
        };
        let fault = |message| GivenError::Field { at: self.at(field), message };
        let ids = ids.map_err(fault)?;
        match ids.iter().find(|id| **id as usize >= vocabulary) {
            None => Ok(ids),
            Some(id) => {
                Err(fault(format!("found token id {id}, wanted ids below the vocabulary's {vocabulary}")))
            }
        }
    }
}

/// Refuses a JSON array, which people take for the same.
fn is_lines(path: &Path) -> Result<(), GivenError> {
    let failed = |e| JsonLinesError::from(FileError::io("open", path, e));
    let mut begin = Vec::new();
    if path.is_file() {
        files::open(path).map_err(failed)?.take(LOOKED_AT).read_to_end(&mut begin).map_err(failed)?;
    }
    let text = begin.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(&begin).trim_ascii_start();
    if text.first() != Some(&b'[') {
        return Ok(());
    }
    let message = "found a JSON array, wanted JSON Lines: an object a line";
    Err(GivenError::Field { at: path.display().to_string(), message: message.into() })
}

/// One line, to be checked.
struct Line<'a> {
    origin: String,
    object: &'a Map<String, Value>,
}

impl Line<'_> {
    fn read(&self, folder: &Path) -> Result<Given, GivenError> {
        let id = match self.get("id") {
            Some(id @ (Value::String(_) | Value::Number(_))) => id.clone(),
            other => return Err(self.wrong("id", other, "a string or a number")),
        };
        let (prompt, prefill) = (self.text("prompt", None)?, self.text("prefill", Some(""))?);
        let completion = self.completion()?;
        let (image_field, images) = self.images(folder)?;
        let (prompt, prefill, origin) = (prompt.to_owned(), prefill.to_owned(), self.origin.clone());
        Ok(Given { id, prompt, prefill, completion, images, origin, image_field })
    }

    /// The completion, from either field.
    fn completion(&self) -> Result<Completion, GivenError> {
        let wanted = "a list of token ids";
        let id = |v: &Value| {
            let id = v.as_u64().and_then(|id| u32::try_from(id).ok());
            id.ok_or_else(|| self.wrong("completion_token_ids", Some(v), wanted))
        };
        match (self.get("completion"), self.get("completion_token_ids")) {
            (Some(_), both @ Some(_)) => {
                Err(self.wrong("completion_token_ids", both, "it or `completion`, not both"))
            }
            (Some(Value::String(text)), None) => Ok(Completion::Text(text.clone())),
            (None, Some(Value::Array(ids))) => {
                Ok(Completion::Ids(ids.iter().map(id).collect::<Result<_, _>>()?))
            }
            (None, other @ Some(_)) => Err(self.wrong("completion_token_ids", other, wanted)),
            (other, None) => {
                Err(self.wrong("completion", other, "a text, or `completion_token_ids` instead"))
            }
        }
    }

    /// The images and the field that they stand in.
    fn images(&self, folder: &Path) -> Result<(&'static str, Vec<PathBuf>), GivenError> {
        let wanted = "a path below the input's folder, or in `images` a list of such paths";
        let (field, texts) = match (self.get("image"), self.get("images")) {
            (Some(Value::String(text)), None) => ("image", vec![text]),
            (None, Some(Value::Array(items))) if !items.is_empty() => {
                let each = items.iter().map(|item| match item {
                    Value::String(text) => Ok(text),
                    other => Err(self.wrong("images", Some(other), wanted)),
                });
                ("images", each.collect::<Result<_, _>>()?)
            }
            (Some(_), both @ Some(_)) => return Err(self.wrong("images", both, "it or `image`, not both")),
            (None, other @ Some(_)) => return Err(self.wrong("images", other, wanted)),
            (other, None) => return Err(self.wrong("image", other, wanted)),
        };
        let resolve =
            |text: &String| contained(folder, text).map_err(|error| self.fault(field, error.to_string()));
        Ok((field, texts.into_iter().map(resolve).collect::<Result<_, _>>()?))
    }

    fn text<'t>(&'t self, field: &str, default: Option<&'t str>) -> Result<&'t str, GivenError> {
        match (self.get(field), default) {
            (Some(Value::String(text)), _) => Ok(text),
            (None, Some(default)) => Ok(default),
            (other, _) => Err(self.wrong(field, other, "a string")),
        }
    }

    /// A field's value; null counts as absent.
    fn get(&self, field: &str) -> Option<&Value> {
        self.object.get(field).filter(|value| !value.is_null())
    }

    fn wrong(&self, field: &str, found: Option<&Value>, wanted: &str) -> GivenError {
        let found = match found {
            None => "nothing".to_owned(),
            Some(Value::Array(_)) => "a list".to_owned(),
            Some(Value::Object(_)) => "an object".to_owned(),
            Some(Value::String(_)) => "a string".to_owned(),
            Some(scalar) => scalar.to_string(),
        };
        self.fault(field, format!("found {found}, wanted {wanted}"))
    }

    fn fault(&self, field: &str, message: String) -> GivenError {
        GivenError::Field { at: at(&self.origin, field), message }
    }
}

fn at(origin: &str, field: &str) -> String {
    format!("{origin}: field `{field}`")
}
