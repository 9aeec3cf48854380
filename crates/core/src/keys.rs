//! The keys of a JSON object in a file: lenient where its writers are, and exact in what is wrong.
//!
//! Null is as good as absent, and a whole number may be written as a float, as Python's tools have it.
//!
//! ```
//! use std::path::Path;
//! use vigos_core::keys::Keys;
//!
//! let value = serde_json::json!({"size": {"width": 4.0, "height": "4", "depth": null}});
//! let file = Keys::of(Path::new("config.json"), &value)?;
//! let size = file.below("size", &value["size"])?;
//! assert_eq!((size.whole("width")?, size.whole("depth")?), (Some(4), None));
//! let error = size.whole("height").unwrap_err().to_string();
//! assert_eq!(error, r#"config.json:size.height: found "4", wanted a whole number"#);
//! # Ok::<(), vigos_core::keys::KeyError>(())
//! ```

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use thiserror::Error;

use crate::text::one_line;

/// Most characters of a value that a message shows.
const SHOWN: usize = 120;
/// Most characters of a key.
const KEY_SHOWN: usize = 160;

/// A value is missing, or not as it should be.
#[derive(Debug, Error)]
#[error("{}:{key}: found {found}, wanted {wanted}", path.display())]
pub struct KeyError {
    /// The file.
    pub path: PathBuf,
    /// The key, with those that it stands under.
    pub key: String,
    /// What stands there.
    pub found: String,
    /// What may.
    pub wanted: String,
}

impl KeyError {
    /// The error that the value `found` at `key` of the file at `path` is not as it should be.
    pub fn new(path: &Path, key: &str, found: &Value, wanted: impl Into<String>) -> Self {
        Self::saying(path, key, &found.to_string(), wanted)
    }

    /// The same where `found` are words.
    pub fn saying(path: &Path, key: &str, found: &str, wanted: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            key: one_line(key, KEY_SHOWN).into_owned(),
            found: one_line(found, SHOWN).into_owned(),
            wanted: wanted.into(),
        }
    }
}

/// An object in a file, and how to name its keys.
#[derive(Clone, Debug)]
pub struct Keys<'a> {
    path: &'a Path,
    /// What it stands under, with a dot behind it.
    prefix: String,
    fields: &'a Map<String, Value>,
}

impl<'a> Keys<'a> {
    /// The whole of a file.
    ///
    /// # Errors
    /// If it is no object.
    pub fn of(path: &'a Path, value: &'a Value) -> Result<Self, KeyError> {
        Self::new(path, String::new(), "(whole file)", value)
    }

    /// The part of a file that stands under `section`.
    ///
    /// # Errors
    /// If it is no object.
    pub fn within(path: &'a Path, section: &str, value: &'a Value) -> Result<Self, KeyError> {
        Self::new(path, format!("{section}."), section, value)
    }

    /// The object `value` at `key`.
    ///
    /// # Errors
    /// If it is none.
    pub fn below(&self, key: &str, value: &'a Value) -> Result<Self, KeyError> {
        let at = self.name(key);
        Self::new(self.path, format!("{at}."), &at, value)
    }

    /// The object at `key`, if it is not null.
    ///
    /// # Errors
    /// If something else is there.
    pub fn section(&self, key: &str) -> Result<Option<Self>, KeyError> {
        self.get(key).map(|value| self.below(key, value)).transpose()
    }

    fn new(path: &'a Path, prefix: String, at: &str, value: &'a Value) -> Result<Self, KeyError> {
        match value {
            Value::Object(fields) => Ok(Self { path, prefix, fields }),
            other => Err(KeyError::new(path, at, other, "a JSON object")),
        }
    }

    /// The value at `key`, if it is not null.
    pub fn get(&self, key: &str) -> Option<&'a Value> {
        self.fields.get(key).filter(|value| !value.is_null())
    }

    /// Whether there is a null at `key`, where that is not as good as nothing.
    pub fn is_null(&self, key: &str) -> bool {
        self.fields.get(key).is_some_and(Value::is_null)
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Every key with its value, but for nulls.
    pub fn all(&self) -> impl Iterator<Item = (&'a str, &'a Value)> + use<'a> {
        self.fields.iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.as_str(), value))
    }

    /// A whole number, at least 0.
    ///
    /// # Errors
    /// If something else is there.
    pub fn whole(&self, key: &str) -> Result<Option<u64>, KeyError> {
        self.read(key, whole, "a whole number")
    }

    /// A list of whole numbers.
    ///
    /// # Errors
    /// If something else is there.
    pub fn wholes(&self, key: &str) -> Result<Option<Vec<u64>>, KeyError> {
        self.read(key, |value| value.as_array()?.iter().map(whole).collect(), "a list of whole numbers")
    }

    /// A number.
    ///
    /// # Errors
    /// If something else is there.
    pub fn number(&self, key: &str) -> Result<Option<f64>, KeyError> {
        self.read(key, Value::as_f64, "a number")
    }

    /// True or false.
    ///
    /// # Errors
    /// If something else is there.
    pub fn flag(&self, key: &str) -> Result<Option<bool>, KeyError> {
        self.read(key, Value::as_bool, "true or false")
    }

    /// A text.
    ///
    /// # Errors
    /// If something else is there.
    pub fn text(&self, key: &str) -> Result<Option<&'a str>, KeyError> {
        self.read(key, Value::as_str, "a text")
    }

    fn read<T>(
        &self,
        key: &str,
        read: impl Fn(&'a Value) -> Option<T>,
        wanted: &'static str,
    ) -> Result<Option<T>, KeyError> {
        match self.get(key) {
            None => Ok(None),
            Some(found) => read(found).map(Some).ok_or_else(|| self.value(key, found, wanted)),
        }
    }

    /// The error that what stands at `key` is not as it should be, or that nothing does.
    pub fn fault(&self, key: &str, wanted: impl Into<String>) -> KeyError {
        match self.fields.get(key) {
            Some(found) => self.value(key, found, wanted),
            None => self.saying(key, "nothing", wanted),
        }
    }

    /// The same where `found` was made of it.
    pub fn value(&self, key: &str, found: &Value, wanted: impl Into<String>) -> KeyError {
        KeyError::new(self.path, &self.name(key), found, wanted)
    }

    /// The same where `found` are words.
    pub fn saying(&self, key: &str, found: &str, wanted: impl Into<String>) -> KeyError {
        KeyError::saying(self.path, &self.name(key), found, wanted)
    }

    fn name(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }
}

/// A whole number, which may be written with a point.
pub fn whole(value: &Value) -> Option<u64> {
    let float = || value.as_f64().filter(|v| v.fract() == 0.0 && (0.0..9e15).contains(v));
    value.as_u64().or_else(|| float().map(|v| v as u64))
}
