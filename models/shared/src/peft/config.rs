//! `adapter_config.json`, to and from what an adapter is.
//!
//! Its fields are those of PEFT's `LoraConfig` (0.17.1). A field that is not known may stand at null, false or
//! empty, as newer versions write the settings that they added; anything else is refused.

use crate::config_file::unwrapped;
use crate::error::ModelError;
use crate::lora::{AdapterConfig, Selection};
use serde_json::{Map, Value, json};
use std::path::Path;
use vigos_core::files::read_limited;
use vigos_core::pointer::is_pointer;

const MAX_CONFIG: u64 = 1 << 20;
const MAX_RANK: u64 = 65_536;

/// Fields that are read by name, and those that say nothing of the numbers of a finished adapter.
const KNOWN: [&str; 22] = [
    "r",
    "lora_alpha",
    "lora_dropout",
    "target_modules",
    "exclude_modules",
    "rank_pattern",
    "alpha_pattern",
    "use_rslora",
    "auto_mapping",
    "base_model_name_or_path",
    "corda_config",
    "eva_config",
    "inference_mode",
    "layers_pattern",
    "loftq_config",
    "megatron_core",
    "peft_version",
    "qalora_group_size",
    "revision",
    "runtime_config",
    "task_type",
    "init_lora_weights",
];

/// Fields that must be there with this value, or not at all.
const FIXED: [(&str, &str); 2] = [("peft_type", "LORA"), ("bias", "none")];

/// Ways to start an adapter that leave the base as it is. PEFT runs them again when it loads an adapter; the
/// others (PiSSA, OLoRA, CorDA, LoftQ) then take their share out of the base's weights.
const PLAIN_STARTS: [&str; 3] = ["gaussian", "eva", "orthogonal"];

/// The JSON of an adapter on the base of that name.
pub(super) fn describe(config: &AdapterConfig, base: &str) -> Value {
    let selection = |selection: &Selection| match selection {
        Selection::Names(names) => json!(names),
        Selection::Pattern(pattern) => json!(pattern),
    };
    let ranks: Map<String, Value> =
        config.rank_pattern.iter().map(|(name, rank)| (name.clone(), json!(rank))).collect();
    let alphas: Map<String, Value> =
        config.alpha_pattern.iter().map(|(name, alpha)| (name.clone(), json!(alpha))).collect();
    json!({
        "alpha_pattern": alphas,
        "base_model_name_or_path": base,
        "bias": "none",
        "exclude_modules": config.exclude.as_ref().map(selection),
        "fan_in_fan_out": false,
        "inference_mode": true,
        "init_lora_weights": true,
        "lora_alpha": config.alpha,
        "lora_dropout": config.dropout,
        "modules_to_save": null,
        "peft_type": "LORA",
        "r": config.rank,
        "rank_pattern": ranks,
        "target_modules": selection(&config.targets),
        "task_type": "CAUSAL_LM",
        "use_dora": false,
        "use_rslora": config.rslora,
    })
}

/// Reads and checks the file at `path`.
///
/// # Errors
/// If it cannot be read, a value is missing or out of range, or it asks for what is not supported.
pub(super) fn read(path: &Path) -> Result<AdapterConfig, ModelError> {
    let bytes = read_limited(path, MAX_CONFIG)
        .map_err(|e| ModelError::Read { path: path.to_owned(), source: unwrapped(e) })?;
    if is_pointer(&bytes) {
        return Err(ModelError::Pointer { path: path.to_owned() });
    }
    let fields = match serde_json::from_slice(&bytes) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err("another value".to_owned()),
        Err(error) => Err(error.to_string()),
    };
    let fields = fields.map_err(|found| ModelError::Config {
        path: path.to_owned(),
        key: "(whole file)".into(),
        found,
        wanted: "a JSON object".into(),
    })?;
    Fields { path, fields }.config()
}

struct Fields<'a> {
    path: &'a Path,
    fields: Map<String, Value>,
}

impl Fields<'_> {
    fn config(&self) -> Result<AdapterConfig, ModelError> {
        self.refuse_the_unsupported()?;
        let base_rank = self.get("r").and_then(rank).ok_or_else(|| self.bad("r", RANK))?;
        let alpha = self.get("lora_alpha").and_then(finite);
        let alpha = alpha.ok_or_else(|| self.bad("lora_alpha", "a number"))?;
        let dropout = match self.get("lora_dropout") {
            None => 0.0,
            Some(found) => found
                .as_f64()
                .filter(|p| (0.0..1.0).contains(p))
                .ok_or_else(|| self.bad("lora_dropout", "a probability below 1"))?,
        };
        let targets = self.selection("target_modules")?;
        let targets = targets.ok_or_else(|| self.bad("target_modules", SELECTION))?;
        if matches!(&targets, Selection::Pattern(text) if text.eq_ignore_ascii_case("all-linear")) {
            let wanted = "names of layers: not every linear layer can carry an update here";
            return Err(self.bad("target_modules", wanted));
        }
        let rslora = match self.get("use_rslora") {
            None => false,
            Some(found) => found.as_bool().ok_or_else(|| self.bad("use_rslora", "true or false"))?,
        };
        Ok(AdapterConfig {
            rank: base_rank,
            alpha,
            dropout,
            targets,
            exclude: self.selection("exclude_modules")?,
            rank_pattern: self.table("rank_pattern", rank, RANK)?,
            alpha_pattern: self.table("alpha_pattern", finite, "a number")?,
            rslora,
        })
    }

    /// Names the first field that changes the numbers in a way that is not known here.
    fn refuse_the_unsupported(&self) -> Result<(), ModelError> {
        for (key, wanted) in FIXED {
            if self.get(key).is_some_and(|found| found != wanted) {
                return Err(self.bad(key, &format!("\"{wanted}\": nothing else is supported")));
            }
        }
        if let Some(found) = self.get("init_lora_weights") {
            let plain = match found {
                Value::String(name) => PLAIN_STARTS.contains(&name.to_ascii_lowercase().as_str()),
                other => other.is_boolean(),
            };
            if !plain {
                let wanted = format!(
                    "true, false or one of {}: others change the base; PEFT converts such an adapter when it is \
                     saved with `path_initial_model_for_weight_conversion`",
                    PLAIN_STARTS.join(", ")
                );
                return Err(self.bad("init_lora_weights", &wanted));
            }
        }
        let fixed = FIXED.map(|(key, _)| key);
        let others = self.fields.iter().filter(|(key, _)| {
            let key = key.as_str();
            !KNOWN.contains(&key) && !fixed.contains(&key)
        });
        for (key, found) in others {
            if !is_neutral(found) {
                return Err(self.bad(key, "null, false or nothing: it is not supported"));
            }
        }
        Ok(())
    }

    /// A field's value; null counts as absent.
    fn get(&self, key: &str) -> Option<&Value> {
        self.fields.get(key).filter(|value| !value.is_null())
    }

    /// A choice of modules, if it is not empty.
    fn selection(&self, key: &str) -> Result<Option<Selection>, ModelError> {
        match self.get(key) {
            None => Ok(None),
            Some(found) if is_neutral(found) => Ok(None),
            Some(Value::String(pattern)) => Ok(Some(Selection::Pattern(pattern.clone()))),
            Some(found) => match serde_json::from_value(found.clone()) {
                Ok(names) => Ok(Some(Selection::Names(names))),
                Err(_) => Err(self.bad(key, SELECTION)),
            },
        }
    }

    /// A table from patterns to values, in the file's order.
    fn table<T>(
        &self,
        key: &str,
        value: fn(&Value) -> Option<T>,
        wanted: &str,
    ) -> Result<Vec<(String, T)>, ModelError> {
        let wanted = format!("an object from pattern to {wanted}");
        match self.get(key) {
            None => Ok(Vec::new()),
            Some(Value::Object(entries)) => entries
                .iter()
                .map(|(name, found)| Ok((name.clone(), value(found).ok_or_else(|| self.bad(key, &wanted))?)))
                .collect(),
            Some(_) => Err(self.bad(key, &wanted)),
        }
    }

    fn bad(&self, key: &str, wanted: &str) -> ModelError {
        let found = self.fields.get(key).map_or_else(|| "nothing".to_owned(), Value::to_string);
        ModelError::Config {
            path: self.path.to_owned(),
            key: key.to_owned(),
            found,
            wanted: wanted.to_owned(),
        }
    }
}

const RANK: &str = "a rank from 1 to 65536";
const SELECTION: &str = "a list of module names, at least one, or a regular expression";

fn rank(value: &Value) -> Option<usize> {
    value.as_u64().filter(|r| (1..=MAX_RANK).contains(r)).map(|r| r as usize)
}

fn finite(value: &Value) -> Option<f64> {
    value.as_f64().filter(|number| number.is_finite())
}

/// Null, false and what is empty ask for nothing.
fn is_neutral(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(set) => !set,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Number(_) => false,
    }
}
