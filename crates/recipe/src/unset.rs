//! Options in TOML, which has no null: an empty text or a zero stands for "not set", so that an
//! effective configuration can name every key and an override can take a value away.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How an option of a `T` is written: `#[serde(with = "Unset::<T>")]`. The value that `T` has by default is "not set".
#[derive(JsonSchema)]
#[serde(transparent)]
pub(crate) struct Unset<T>(T);

impl<T: Default + PartialEq> Unset<T> {
    pub(crate) fn serialize<S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error>
    where
        T: Serialize,
    {
        match value {
            Some(value) => value.serialize(serializer),
            None => T::default().serialize(serializer),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error>
    where
        T: Deserialize<'de>,
    {
        T::deserialize(deserializer).map(|value| Some(value).filter(|value| *value != T::default()))
    }
}
