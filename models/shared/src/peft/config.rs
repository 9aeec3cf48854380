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
use vigos_core::json;
use vigos_core::keys::{KeyError, Keys, whole};
use vigos_core::pointer::is_pointer;

const MAX_CONFIG: u64 = 1 << 20;
const MAX_RANK: u64 = 65_536;

/// Fields that are read by name, and those that say nothing of the numbers of a finished adapter.
const KNOWN: [&str; 24] = [
    "peft_type",
    "bias",
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

const KIND: &str = "peft_type";

/// Kinds of adapters that PEFT itself can merge into a base.
const MERGED: [&str; 18] = [
    "ADALORA",
    "BOFT",
    "BONE",
    "C3A",
    "DELORA",
    "FOURIERFT",
    "HRA",
    "IA3",
    "LN_TUNING",
    "LOHA",
    "LOKR",
    "MISS",
    "OFT",
    "RANDLORA",
    "ROAD",
    "SHIRA",
    "VBLORA",
    "VERA",
];
/// Those that are texts in front of the prompt, as vectors: no weights can hold them.
const PROMPTS: [&str; 5] =
    ["PROMPT_TUNING", "MULTITASK_PROMPT_TUNING", "PREFIX_TUNING", "P_TUNING", "CARTRIDGE"];

/// Fields whose adapters PEFT itself can merge into a base, and what they ask for.
const MERGEABLE: [(&str, &str); 8] = [
    ("use_dora", "DoRA"),
    ("modules_to_save", "an adapter with whole modules of its own"),
    ("trainable_token_indices", "an adapter with embeddings of its own"),
    ("target_parameters", "an update of what is no layer"),
    ("lora_bias", "an update with a bias"),
    ("fan_in_fan_out", "an update of transposed weights"),
    ("use_qalora", "a quantised update"),
    ("layers_to_transform", "a choice of layers by their numbers"),
];
const BIASES: &str = "an adapter with biases of the base";
/// What to do about such an adapter.
const MERGE: &str = "merge it in Python with PEFT's `merge_and_unload`, and name the merged model instead of base and adapter";

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
    let value: Value = json::parse(&bytes)
        .map_err(|found| KeyError::saying(path, "(whole file)", &found, "a JSON object"))?;
    let fields = Fields(Keys::of(path, &value)?);
    fields.are_supported()?;
    Ok(fields.config()?)
}

struct Fields<'a>(Keys<'a>);

impl Fields<'_> {
    fn config(&self) -> Result<AdapterConfig, KeyError> {
        let keys = &self.0;
        let rank = keys.get("r").and_then(rank).ok_or_else(|| keys.fault("r", RANK))?;
        let alpha = keys.get("lora_alpha").and_then(finite);
        let alpha = alpha.ok_or_else(|| keys.fault("lora_alpha", "a number"))?;
        let dropout = keys.number("lora_dropout")?.unwrap_or(0.0);
        if !(0.0..1.0).contains(&dropout) {
            return Err(keys.fault("lora_dropout", "a probability below 1"));
        }
        let targets = self.selection("target_modules")?;
        let targets = targets.ok_or_else(|| keys.fault("target_modules", SELECTION))?;
        if matches!(&targets, Selection::Pattern(text) if text.eq_ignore_ascii_case("all-linear")) {
            let wanted = "names of layers: not every linear layer can carry an update here";
            return Err(keys.fault("target_modules", wanted));
        }
        Ok(AdapterConfig {
            rank,
            alpha,
            dropout,
            targets,
            exclude: self.selection("exclude_modules")?,
            rank_pattern: self.table("rank_pattern", self::rank, RANK)?,
            alpha_pattern: self.table("alpha_pattern", finite, "a number")?,
            rslora: keys.flag("use_rslora")?.unwrap_or(false),
        })
    }

    /// Names the first field that changes the numbers in a way that is not known here, and says what to do.
    fn are_supported(&self) -> Result<(), KeyError> {
        let keys = &self.0;
        if let Some(kind) = keys.text(KIND)?.filter(|kind| *kind != "LORA") {
            return Err(keys.fault(KIND, other_kind(kind)));
        }
        if keys.get("bias").is_some_and(|found| found != "none") {
            return Err(keys.fault("bias", unsupported("\"none\"", BIASES)));
        }
        if let Some(found) = keys.get("init_lora_weights") {
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
                return Err(keys.fault("init_lora_weights", wanted));
            }
        }
        for (key, found) in keys.all() {
            if !KNOWN.contains(&key) && !is_neutral(found) {
                let wanted = match MERGEABLE.iter().find(|(name, _)| *name == key) {
                    Some((_, meaning)) => unsupported("null, false or nothing", meaning),
                    None => "null, false or nothing: it is not supported".to_owned(),
                };
                return Err(keys.fault(key, wanted));
            }
        }
        Ok(())
    }

    /// A choice of modules, if it is not empty.
    fn selection(&self, key: &str) -> Result<Option<Selection>, KeyError> {
        match self.0.get(key) {
            None => Ok(None),
            Some(found) if is_neutral(found) => Ok(None),
            Some(Value::String(pattern)) => Ok(Some(Selection::Pattern(pattern.clone()))),
            Some(found) => match serde_json::from_value(found.clone()) {
                Ok(names) => Ok(Some(Selection::Names(names))),
                Err(_) => Err(self.0.fault(key, SELECTION)),
            },
        }
    }

    /// A table from patterns to values, in the file's order.
    fn table<T>(
        &self,
        key: &str,
        value: fn(&Value) -> Option<T>,
        wanted: &str,
    ) -> Result<Vec<(String, T)>, KeyError> {
        let wanted = format!("an object from pattern to {wanted}");
        match self.0.get(key) {
            None => Ok(Vec::new()),
            Some(Value::Object(entries)) => entries
                .iter()
                .map(|(name, found)| {
                    Ok((name.clone(), value(found).ok_or_else(|| self.0.fault(key, &wanted))?))
                })
                .collect(),
            Some(_) => Err(self.0.fault(key, wanted)),
        }
    }
}

/// What is wanted instead of an adapter of another kind.
fn other_kind(kind: &str) -> String {
    let kind = kind.to_ascii_uppercase();
    let way = if MERGED.contains(&kind.as_str()) {
        MERGE
    } else if PROMPTS.contains(&kind.as_str()) {
        "it is a prompt in vectors, which no weights can hold: train a LoRA adapter instead"
    } else {
        "train a LoRA adapter, or name a model that this one was merged into"
    };
    format!("\"LORA\": nothing else is supported; {way}")
}

/// What is wanted instead of a setting that means something that is not supported.
fn unsupported(neutral: &str, meaning: &str) -> String {
    format!("{neutral}: {meaning} is not supported; {MERGE}")
}

const RANK: &str = "a rank from 1 to 65536";
const SELECTION: &str = "a list of module names, at least one, or a regular expression";

fn rank(value: &Value) -> Option<usize> {
    whole(value).filter(|r| (1..=MAX_RANK).contains(r)).map(|r| r as usize)
}

/// A number that f32 has, which the products are summed in.
fn finite(value: &Value) -> Option<f64> {
    value.as_f64().filter(|number| (*number as f32).is_finite())
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
