//! What ran: from the recipe and the machine that a run's folder names.

use crate::visible::visible;
use serde::Serialize;
use serde_json::Value as Json;
use std::path::Path;
use toml::Value;
use vigos_core::files::read_limited;

/// No recipe is larger.
const LARGEST: u64 = 1 << 20;

/// A line of the table of what ran.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Fact {
    /// What it is about.
    pub(crate) name: &'static str,
    /// What there is to say.
    pub(crate) value: String,
}

/// The recipe of a run, if its folder has one that can be read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recipe {
    /// As it is written.
    pub(crate) text: String,
    table: Option<Value>,
}

impl Recipe {
    /// That of a folder; what is wrong with one that is there goes to `notes`.
    pub(crate) fn of(folder: &Path, notes: &mut Vec<String>) -> Self {
        let path = folder.join("config.toml");
        if !path.exists() {
            notes.push("no config.toml: what ran is not known".into());
            return Self::default();
        }
        let text = match read_limited(&path, LARGEST) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) => {
                notes.push(visible(&error.to_string(), 300));
                return Self::default();
            }
        };
        let table =
            toml::from_str(&text).map_err(|e| notes.push(visible(&format!("config.toml: {e}"), 300))).ok();
        Self { text: visible(&text, 20_000), table }
    }

    fn get(&self, key: &str) -> Option<&Value> {
        key.split('.').try_fold(self.table.as_ref()?, |table, part| table.get(part))
    }

    /// The text or number of a key, if there is one that says something.
    pub(crate) fn text_of(&self, key: &str) -> Option<String> {
        let text = match self.get(key)? {
            Value::String(text) if text.is_empty() => return None,
            Value::String(text) => text.clone(),
            Value::Integer(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
            Value::Boolean(value) => value.to_string(),
            _ => return None,
        };
        Some(visible(&text, 300))
    }

    /// The number of a key.
    pub(crate) fn number(&self, key: &str) -> Option<f64> {
        match self.get(key)? {
            Value::Integer(number) => Some(*number as f64),
            Value::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// What ran, in lines.
    pub(crate) fn facts(&self) -> Vec<Fact> {
        let text = |key: &str| self.text_of(key);
        let several = |keys: &[(&str, &str)]| {
            let said = keys.iter().filter_map(|(key, what)| Some(format!("{what} {}", text(key)?.trim())));
            Some(said.collect::<Vec<_>>().join(", ")).filter(|said| !said.is_empty())
        };
        let facts = [
            ("Model", text("model.path")),
            ("Adapter to start from", text("model.adapter")),
            ("Data", text("data.path")),
            ("Method", several(&[("method.preset", "preset"), ("method.fidelity", "as")])),
            ("Clip", text("method.clip")),
            ("Steps", text("train.steps").or_else(|| Some(format!("{} passes", text("train.epochs")?)))),
            ("Samples of a step", self.samples()),
            (
                "Rollouts",
                several(&[
                    ("rollout.temperature", "temperature"),
                    ("rollout.top_k", "top-k"),
                    ("rollout.top_p", "top-p"),
                    ("rollout.max_new_tokens", "tokens at most"),
                ]),
            ),
            ("Trained", self.trained()),
            ("Learning rate", several(&[("optim.lr", ""), ("optim.schedule", "schedule")])),
            ("Precision", text("train.precision")),
            ("Seed", text("train.seed")),
        ];
        let said =
            facts.into_iter().filter_map(|(name, value)| Some(Fact { name, value: value?.trim().into() }));
        said.collect()
    }

    fn samples(&self) -> Option<String> {
        let (batch, accumulate) = (self.number("train.batch")?, self.number("train.accumulate")?);
        Some(format!("{} ({batch} × {accumulate})", batch * accumulate))
    }

    fn trained(&self) -> Option<String> {
        if self.text_of("train.weights").as_deref() == Some("all") {
            return Some("all weights".into());
        }
        Some(format!("adapter of rank {}, alpha {}", self.text_of("lora.rank")?, self.text_of("lora.alpha")?))
    }
}

/// What `environment.json` says of the machine; nothing where an older program wrote the run.
pub(crate) fn machine(folder: &Path) -> Vec<Fact> {
    let Ok(bytes) = read_limited(&folder.join("environment.json"), LARGEST) else { return Vec::new() };
    let Ok(found) = serde_json::from_slice::<Json>(&bytes) else { return Vec::new() };
    let text = |key: &str| found.get(key).and_then(Json::as_str).map(|text| visible(text, 200));
    let bytes = |key: &str| found.get(key).and_then(Json::as_f64).map(memory);
    let facts = [
        ("Program", text("version").map(|version| format!("vigos {version}"))),
        ("Device", text("device")),
        ("System", text("system")),
        ("Begun", text("begun")),
        ("Most memory", bytes("peak_memory_bytes")),
    ];
    facts.into_iter().filter_map(|(name, value)| Some(Fact { name, value: value? })).collect()
}

fn memory(bytes: f64) -> String {
    if bytes >= 1e9 { format!("{:.1} GB", bytes / 1e9) } else { format!("{:.0} MB", bytes / 1e6) }
}
