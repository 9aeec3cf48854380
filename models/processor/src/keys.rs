//! The keys of a JSON object of a model's folder: lenient where its writers are, and exact in what is wrong.
//!
//! Null is as good as absent, and a whole number may be written as a float, as Python's tools have it.

use std::path::Path;

use serde_json::{Map, Value};

use crate::files::FileError;

/// An object in a file, and how to name its keys.
#[derive(Debug)]
pub(crate) struct Keys<'a> {
    path: &'a Path,
    /// What it stands under, with a dot behind it.
    prefix: String,
    fields: &'a Map<String, Value>,
}

impl<'a> Keys<'a> {
    /// The whole of a file.
    pub(crate) fn of(path: &'a Path, value: &'a Value) -> Result<Self, FileError> {
        Self::new(path, String::new(), "(whole file)", value)
    }

    /// The part of a file that stands under `section`.
    pub(crate) fn within(path: &'a Path, section: &str, value: &'a Value) -> Result<Self, FileError> {
        Self::new(path, format!("{section}."), section, value)
    }

    /// The object `value` at `key`.
    pub(crate) fn below(&self, key: &str, value: &'a Value) -> Result<Self, FileError> {
        let at = self.name(key);
        Self::new(self.path, format!("{at}."), &at, value)
    }

    fn new(path: &'a Path, prefix: String, at: &str, value: &'a Value) -> Result<Self, FileError> {
        match value {
            Value::Object(fields) => Ok(Self { path, prefix, fields }),
            other => Err(FileError::value(path, at, other, "a JSON object")),
        }
    }

    /// The value at `key`, if it is not null.
    pub(crate) fn get(&self, key: &str) -> Option<&'a Value> {
        self.fields.get(key).filter(|value| !value.is_null())
    }

    /// Every key with its value, but for nulls.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&'a str, &'a Value)> {
        self.fields.iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.as_str(), value))
    }

    /// A whole number, at least 0.
    pub(crate) fn whole(&self, key: &str) -> Result<Option<u64>, FileError> {
        self.read(key, whole, "a whole number")
    }

    pub(crate) fn number(&self, key: &str) -> Result<Option<f64>, FileError> {
        self.read(key, Value::as_f64, "a number")
    }

    pub(crate) fn flag(&self, key: &str) -> Result<Option<bool>, FileError> {
        self.read(key, Value::as_bool, "true or false")
    }

    pub(crate) fn text(&self, key: &str) -> Result<Option<&'a str>, FileError> {
        self.read(key, Value::as_str, "a text")
    }

    fn read<T>(
        &self,
        key: &str,
        read: impl Fn(&'a Value) -> Option<T>,
        wanted: &'static str,
    ) -> Result<Option<T>, FileError> {
        match self.get(key) {
            None => Ok(None),
            Some(found) => read(found).map(Some).ok_or_else(|| self.value(key, found, wanted)),
        }
    }

    /// The error that what stands at `key` is not as it should be.
    pub(crate) fn fault(&self, key: &str, wanted: &'static str) -> FileError {
        self.value(key, self.fields.get(key).unwrap_or(&Value::Null), wanted)
    }

    /// The same where `found` was made of it.
    pub(crate) fn value(&self, key: &str, found: &Value, wanted: &'static str) -> FileError {
        FileError::value(self.path, self.name(key), found, wanted)
    }

    fn name(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }
}

/// A whole number, which may be written with a point.
fn whole(value: &Value) -> Option<u64> {
    let float = || value.as_f64().filter(|v| v.fract() == 0.0 && (0.0..9e15).contains(v));
    value.as_u64().or_else(|| float().map(|v| v as u64))
}
