//! A `config.json`, read and not yet understood: which family it is of, and how to say what is wrong in it.

use crate::error::ModelError;
use crate::folder::CONFIG;
use serde_json::Value;
use std::path::{Path, PathBuf};

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
    /// If the file is missing or is not JSON.
    pub fn of_folder(folder: &Path) -> Result<Self, ModelError> {
        Self::read(&folder.join(CONFIG))
    }

    /// Reads the file at `path`.
    ///
    /// # Errors
    /// If the file is missing or is not JSON.
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| ModelError::Read { path: path.to_owned(), source })?;
        Self::parse(text, path)
    }

    /// Takes the text of a file; `path` is for messages.
    ///
    /// # Errors
    /// If it is not JSON.
    pub fn parse(text: impl Into<String>, path: &Path) -> Result<Self, ModelError> {
        let (path, text) = (path.to_owned(), text.into());
        match serde_json::from_str(&text) {
            Ok(json) => Ok(Self { path, text, json }),
            Err(error) => Err(fault(&path, "(whole file)", error.to_string(), "a JSON object")),
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

    /// The name of its family.
    pub fn model_type(&self) -> &str {
        self.json.get("model_type").and_then(Value::as_str).unwrap_or("(missing)")
    }

    /// The error that a value is not as it should be.
    pub fn fault(&self, key: &str, found: String, wanted: &str) -> ModelError {
        fault(&self.path, key, found, wanted)
    }

    /// The error that it is of none of these families.
    pub fn unknown_family<'a>(&self, known: impl IntoIterator<Item = &'a str>) -> ModelError {
        let known: Vec<&str> = known.into_iter().collect();
        self.fault("model_type", self.model_type().to_owned(), &format!("one of {}", known.join(", ")))
    }
}

fn fault(path: &Path, key: &str, found: String, wanted: &str) -> ModelError {
    ModelError::Config { path: path.to_owned(), key: key.to_owned(), found, wanted: wanted.to_owned() }
}
