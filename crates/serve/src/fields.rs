//! The keys of a request, taken one by one: a wrong one is named, and one that nobody knows is refused rather than passed
//! over, since an answer to another question than was asked looks like one to this.

use crate::refusal::Refusal;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use vigos_core::text::one_line;

/// The keys that are not taken yet.
#[derive(Debug)]
pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    /// Those of a request's body.
    ///
    /// # Errors
    /// If it is no JSON object. One that is nested deeply is none.
    pub(crate) fn parse(body: &[u8]) -> Result<Self, Refusal> {
        let map = serde_json::from_slice(body)
            .map_err(|error| Refusal::bad(format!("the body is no JSON object: {error}")))?;
        Ok(Self(map))
    }

    /// The value of a key; `null` is none.
    ///
    /// # Errors
    /// If it is not what is `wanted`.
    pub(crate) fn take<T: DeserializeOwned>(
        &mut self,
        key: &'static str,
        wanted: &str,
    ) -> Result<Option<T>, Refusal> {
        match self.0.remove(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                let found = shown(&value);
                serde_json::from_value(value).map(Some).map_err(|_| Refusal::of(key, found, wanted))
            }
        }
    }

    /// The value of a key that has to be there.
    ///
    /// # Errors
    /// If it is not, or not what is `wanted`.
    pub(crate) fn need<T: DeserializeOwned>(
        &mut self,
        key: &'static str,
        wanted: &str,
    ) -> Result<T, Refusal> {
        self.take(key, wanted)?.ok_or_else(|| Refusal::of(key, "nothing", wanted))
    }

    /// Passes over keys that change no answer.
    pub(crate) fn ignore(&mut self, keys: &[&str]) {
        keys.iter().for_each(|key| drop(self.0.remove(*key)));
    }

    /// Keys of what this server cannot do may say that it need not.
    ///
    /// # Errors
    /// If one says more.
    pub(crate) fn refuse(&mut self, keys: &[(&'static str, &[&str])]) -> Result<(), Refusal> {
        for (key, neutral) in keys {
            let Some(value) = self.0.remove(*key) else { continue };
            let found = shown(&value);
            let is_empty = match &value {
                Value::Null | Value::Bool(false) => true,
                Value::Array(list) => list.is_empty(),
                Value::Object(map) => map.is_empty(),
                _ => false,
            };
            if !is_empty && !neutral.contains(&found.as_str()) {
                return Err(Refusal::of(key, found, "nothing: this server does not support it"));
            }
        }
        Ok(())
    }

    /// Nothing is left.
    ///
    /// # Errors
    /// If a key is, which is named.
    pub(crate) fn end(self) -> Result<(), Refusal> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(key) => Err(Refusal::bad(format!("{}: this server knows no such key", one_line(key, 80)))
                .code("unknown_parameter")),
        }
    }
}

/// A value as a message shows it.
fn shown(value: &Value) -> String {
    match value {
        // The text of a large value would be made only to be cut.
        Value::Array(_) => "a list".to_owned(),
        Value::Object(map) if map.len() > 1 => "an object".to_owned(),
        other => one_line(&other.to_string(), 120).into_owned(),
    }
}
