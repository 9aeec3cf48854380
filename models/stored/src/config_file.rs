//! A `config.json`, read and not yet understood: which family it is of, and how to say what is wrong in it.

use crate::error::ModelError;
use crate::folder::CONFIG;
use crate::mistaken::not_a_model;
use serde_json::Value;
use std::path::{Path, PathBuf};
use vigos_core::files::{FileError, read_limited};
use vigos_core::json;
use vigos_core::keys::{KeyError, Keys};
use vigos_core::pointer::is_pointer;
use vigos_core::text::one_line;

const MAX_CONFIG: u64 = 16 << 20;
/// Where a checkpoint says how it is quantised, by its newer and its older name.
const QUANTISATION: [&str; 2] = ["quantization_config", "compression_config"];
const BITSANDBYTES: &str = "bitsandbytes";
/// The two ways of that one; a file that asks for neither is not quantised by it.
const LOAD_IN: [&str; 2] = ["load_in_4bit", "load_in_8bit"];

/// The text and the values of a model's configuration file.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    path: PathBuf,
    text: String,
    json: Value,
}

impl ConfigFile {
    /// Reads `config.json` in `folder`.
    ///
    /// # Errors
    /// If the file is missing or is not JSON, or the folder is something else than a model.
    pub fn of_folder(folder: &Path) -> Result<Self, ModelError> {
        match not_a_model(folder) {
            Some(error) => Err(error),
            None => Self::read(&folder.join(CONFIG)),
        }
    }

    /// Reads the file at `path`.
    ///
    /// # Errors
    /// If the file is missing or is not JSON.
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        let bytes = read_limited(path, MAX_CONFIG)
            .map_err(|e| ModelError::Read { path: path.to_owned(), source: unwrapped(e) })?;
        if is_pointer(&bytes) {
            return Err(ModelError::Pointer { path: path.to_owned() });
        }
        let not_text = |_| fault(path, "(whole file)", "bytes that are not UTF-8".into(), "a JSON object");
        Self::parse(String::from_utf8(bytes).map_err(not_text)?, path)
    }

    /// Takes the text of a file; `path` is for messages.
    ///
    /// # Errors
    /// If it is not JSON.
    pub fn parse(text: impl Into<String>, path: &Path) -> Result<Self, ModelError> {
        let (path, mut text) = (path.to_owned(), text.into());
        // Some editors write a byte order mark before a text.
        if text.starts_with('\u{feff}') {
            text.remove(0);
        }
        match json::parse(text.as_bytes()) {
            Ok(json) => Ok(Self { path, text, json }),
            Err(found) => Err(fault(&path, "(whole file)", found, "a JSON object")),
        }
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its values.
    pub fn json(&self) -> &Value {
        &self.json
    }

    /// Its keys.
    ///
    /// # Errors
    /// If it is no object.
    pub fn keys(&self) -> Result<Keys<'_>, ModelError> {
        Ok(Keys::of(&self.path, &self.json)?)
    }

    /// The name of its family.
    pub fn model_type(&self) -> &str {
        self.json.get("model_type").and_then(Value::as_str).unwrap_or("(missing)")
    }

    /// Refuses a checkpoint whose weights are quantised: what is trained and merged here are numbers.
    ///
    /// # Errors
    /// If it says how it is quantised, or says it in a form that cannot be understood.
    pub fn is_not_quantised(&self) -> Result<(), ModelError> {
        let Ok(root) = self.keys() else { return Ok(()) };
        let text = root.get("text_config").and_then(|text| root.below("text_config", text).ok());
        for keys in [Some(&root), text.as_ref()].into_iter().flatten() {
            for name in QUANTISATION {
                if let Some(settings) = keys.section(name)?
                    && let Some(method) = method(&settings)?
                {
                    let found = format!("a model that is quantised by {}", one_line(method, 60));
                    let wanted = "one that is not: name the unquantised weights that it was made from, in bf16, f16 or f32";
                    return Err(keys.saying(name, &found, wanted).into());
                }
            }
        }
        Ok(())
    }

    /// The error that a value is not as it should be.
    pub fn fault(&self, key: &str, found: String, wanted: &str) -> ModelError {
        fault(&self.path, key, found, wanted)
    }

    /// The error that it is of none of these families.
    pub fn unknown_family<'a>(&self, known: impl IntoIterator<Item = &'a str>) -> ModelError {
        let known: Vec<&str> = known.into_iter().collect();
        let found = match self.json.get("model_type") {
            Some(value) if !value.is_string() => one_line(&value.to_string(), 60).into_owned(),
            _ => one_line(self.model_type(), 60).into_owned(),
        };
        self.fault("model_type", found, &format!("one of {}", known.join(", ")))
    }
}

/// What these settings say that weights are quantised by, if they are.
fn method<'a>(settings: &Keys<'a>) -> Result<Option<&'a str>, KeyError> {
    let mut asked = None;
    for way in LOAD_IN {
        if let Some(set) = settings.flag(way)? {
            asked = Some(asked == Some(true) || set);
        }
    }
    match settings.text("quant_method")? {
        Some(BITSANDBYTES) | None if asked.is_some() => Ok(asked.filter(|set| *set).map(|_| BITSANDBYTES)),
        None if settings.is_empty() => Ok(None),
        named => Ok(Some(named.unwrap_or("a method that it does not name"))),
    }
}

fn fault(path: &Path, key: &str, found: String, wanted: &str) -> ModelError {
    ModelError::Config { path: path.to_owned(), key: key.to_owned(), found, wanted: wanted.to_owned() }
}

/// The system's own words where they are all that there is.
pub fn unwrapped(error: FileError) -> std::io::Error {
    match error {
        FileError::Io { source, .. } => source,
        other => std::io::Error::other(other),
    }
}
