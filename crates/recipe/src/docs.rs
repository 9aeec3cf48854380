//! What of the documentation is made from the structs: tables of keys, the presets, the schemas.
//!
//! In a page it stands between `<!-- NAME -->` and `<!-- end of NAME -->`, and `cargo run -p vigos-recipe --example
//! docs` writes it anew.

use std::path::{Path, PathBuf};

use serde_json::Value;
use vigos_core::files::{FileError, read_limited};

use crate::experiment::Experiment;
use crate::keys::keys;
use crate::preset::Preset;
use crate::recipe::Recipe;
use crate::schema::schema;
use crate::sft::SftRecipe;

/// No page is larger.
const LARGEST_PAGE: u64 = 1 << 20;

/// Makes a schema.
pub type Make = fn() -> Value;

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

/// A file of the documentation, as it has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The file, below the repository's root.
    pub path: PathBuf,
    /// What it has to hold.
    pub text: String,
}

/// A page with a part in it that is made here.
type Part = (&'static str, &'static str, fn() -> String);

const PARTS: &[Part] = &[
    ("docs/config.md", "presets", presets),
    ("docs/config.md", "keys", || tables(&schema::<Recipe>())),
    ("docs/sft.md", "keys", || tables(&schema::<SftRecipe>())),
    ("docs/experiment.md", "keys", || tables(&schema::<Experiment>())),
];

/// Every file that is made here, in whole or in part, of the repository at `root`.
///
/// # Errors
/// If a page cannot be read.
pub fn pages(root: &Path) -> Result<Vec<Page>, FileError> {
    let mut pages: Vec<Page> = Vec::new();
    for (path, name, make) in PARTS {
        let path = PathBuf::from(path);
        let known = pages.iter().position(|page| page.path == path);
        let text = match known.and_then(|at| pages.get(at)) {
            Some(page) => page.text.clone(),
            None => String::from_utf8_lossy(&read_limited(&root.join(&path), LARGEST_PAGE)?).into_owned(),
        };
        let page = Page { path, text: replace(&text, name, &make()) };
        match known.and_then(|at| pages.get_mut(at)) {
            Some(known) => *known = page,
            None => pages.push(page),
        }
    }
    for (name, make) in SCHEMAS {
        let path = PathBuf::from(format!("docs/schema/{name}.json"));
        pages.push(Page { path, text: format!("{:#}\n", make()) });
    }
    Ok(pages)
}

/// The text with what stands between a part's marks replaced; a text without them gets the part at its end.
fn replace(text: &str, name: &str, part: &str) -> String {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->\n"));
    let (before, rest) = text.split_once(&begin).unwrap_or((text, ""));
    let (_, after) = rest.split_once(&end).unwrap_or(("", rest));
    format!("{before}{begin}\n{part}\n{end}{after}")
}

/// Every key of a schema as Markdown tables, one a section.
fn tables(schema: &Value) -> String {
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
