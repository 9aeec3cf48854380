//! What of the documentation is made from the structs: tables of keys, the presets, the schemas.
//!
//! In a page it stands between `<!-- NAME -->` and `<!-- end of NAME -->`, and `cargo xtask docs` writes it anew.

use serde_json::Value;
pub use vigos_core::pages::{Make, Page, Part, behind, pages, write};

use crate::experiment::Experiment;
use crate::keys::keys;
use crate::preset::Preset;
use crate::recipe::Recipe;
use crate::schema::schema;
use crate::sft::SftRecipe;

/// The schemas by the command whose recipe they are. `vigos eval` and `vigos palr` read that of `vigos train`.
pub const SCHEMAS: &[(&str, Make)] =
    &[("train", schema::<Recipe>), ("sft", schema::<SftRecipe>), ("experiment", schema::<Experiment>)];

/// The commands whose recipes have a schema.
pub const COMMANDS: [&str; 5] = ["train", "sft", "eval", "palr", "experiment"];

/// The schema of a command's recipe.
pub fn schema_of(command: &str) -> Option<Value> {
    let command = if ["eval", "palr"].contains(&command) { "train" } else { command };
    SCHEMAS.iter().find(|(name, _)| *name == command).map(|(_, make)| make())
}

/// The parts that say what recipes are.
pub const PARTS: &[Part] = &[
    Part { page: "docs/config.md", name: "presets", make: presets },
    Part { page: "docs/config.md", name: "keys", make: || tables(&schema::<Recipe>()) },
    Part { page: "docs/sft.md", name: "keys", make: || tables(&schema::<SftRecipe>()) },
    Part { page: "docs/experiment.md", name: "keys", make: || tables(&schema::<Experiment>()) },
];

/// Every key of a schema as Markdown tables, one a section.
pub fn tables(schema: &Value) -> String {
    let mut text = String::new();
    let mut section = None;
    for key in keys(schema) {
        if section.as_ref() != Some(&key.section) {
            let gap = if text.is_empty() { "" } else { "\n" };
            text += gap;
            if !key.section.is_empty() {
                text += &format!("### `{}`\n\n", key.section);
            }
            text += "| key | takes | default | meaning |\n| --- | --- | --- | --- |\n";
            section = Some(key.section.clone());
        }
        text += &format!("| `{}` | {} | {} | {} |\n", key.name, key.takes, key.default, key.doc);
    }
    text
}

/// The presets as a Markdown table.
fn presets() -> String {
    let rows = Preset::ALL.iter().map(|preset| format!("| `{}` | {} |\n", preset.name, preset.about()));
    format!("| preset | what it is |\n| --- | --- |\n{}", rows.collect::<String>())
}
