//! What effective recipes differ in.

use super::error::CompareError;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use vigos_core::files::read_limited;
use vigos_core::leaves::leaves;

/// An effective recipe is a few pages.
const MAX_CONFIG: u64 = 4 << 20;

/// A key that differs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The key.
    pub key: String,
    /// Its value in each run; none where the run has no such key.
    pub values: Vec<Option<Value>>,
}

/// The keys of the runs' `config.toml` that are not the same in all of those that have one.
pub(super) fn differences(runs: &[PathBuf]) -> Result<Vec<Difference>, CompareError> {
    let configs = runs.iter().map(|run| config(run)).collect::<Result<Vec<_>, _>>()?;
    let mut keys: BTreeMap<String, Vec<Option<Value>>> = BTreeMap::new();
    for (run, config) in configs.iter().enumerate() {
        for (key, value) in config.iter().flat_map(|config| leaves(config, '.')) {
            keys.entry(key).or_insert_with(|| vec![None; runs.len()])[run] = Some(value.clone());
        }
    }
    let differs = |values: &Vec<Option<Value>>| {
        let mut known =
            values.iter().zip(&configs).filter(|(_, config)| config.is_some()).map(|(value, _)| value);
        let first = known.next();
        known.any(|value| Some(value) != first)
    };
    let differing = keys.into_iter().filter(|(_, values)| differs(values));
    Ok(differing.map(|(key, values)| Difference { key, values }).collect())
}

/// The effective recipe of a run, if it has one.
fn config(run: &Path) -> Result<Option<Value>, CompareError> {
    let path = run.join("config.toml");
    if !path.is_file() {
        return Ok(None);
    }
    let text = read_limited(&path, MAX_CONFIG)?;
    let config = toml::from_str(&String::from_utf8_lossy(&text));
    config.map(Some).map_err(|error| CompareError::Recipe { path, message: error.message().to_owned() })
}
