//! Options in TOML, which has no null: an empty text or a zero stands for "not set", so that an
//! effective configuration can name every key and an override can take a value away.

use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A type with a value that means "not set".
pub(crate) trait Unset: Sized + Clone {
    fn unset() -> Self;
    fn is_unset(&self) -> bool;
}

impl Unset for String {
    fn unset() -> Self {
        Self::new()
    }
    fn is_unset(&self) -> bool {
        self.is_empty()
    }
}

impl Unset for PathBuf {
    fn unset() -> Self {
        Self::new()
    }
    fn is_unset(&self) -> bool {
        self.as_os_str().is_empty()
    }
}

impl Unset for usize {
    fn unset() -> Self {
        0
    }
    fn is_unset(&self) -> bool {
        *self == 0
    }
}

pub(crate) fn serialize<T: Unset + Serialize, S: Serializer>(
    value: &Option<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => value.serialize(serializer),
        None => T::unset().serialize(serializer),
    }
}

pub(crate) fn deserialize<'de, T: Unset + Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let value = T::deserialize(deserializer)?;
    Ok(if value.is_unset() { None } else { Some(value) })
}
