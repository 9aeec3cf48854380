//! What of the documentation is made from the structs: tables of keys, the presets, the schemas.
//!
//! In a page it stands between `<!-- NAME -->` and `<!-- end of NAME -->`, and `cargo xtask docs` writes it anew.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use vigos_core::files::{FileError, read_limited, write_atomic_bytes};

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

/// A part of a page that is made here.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// The page, below the repository's root.
    pub page: &'static str,
    /// What its marks are called.
    pub name: &'static str,
    /// Makes it.
    pub make: fn() -> String,
}

/// The parts that say what recipes are.
pub const PARTS: &[Part] = &[
    Part { page: "docs/config.md", name: "presets", make: presets },
    Part { page: "docs/config.md", name: "keys", make: || tables(&schema::<Recipe>()) },
    Part { page: "docs/sft.md", name: "keys", make: || tables(&schema::<SftRecipe>()) },
    Part { page: "docs/experiment.md", name: "keys", make: || tables(&schema::<Experiment>()) },
];

/// Every page with one of these parts and every file of these schemas, as it has to be in the repository at `root`.
///
/// # Errors
/// If a page cannot be read.
pub fn pages(root: &Path, parts: &[Part], schemas: &[(&str, Make)]) -> Result<Vec<Page>, FileError> {
    let mut pages: Vec<Page> = Vec::new();
    for Part { page, name, make } in parts {
        let path = PathBuf::from(page);
        let known = pages.iter_mut().find(|known| known.path == path);
        match known {
            Some(page) => page.text = replace(&page.text, name, &make()),
            None => {
                let text = read_limited(&root.join(&path), LARGEST_PAGE)?;
                pages.push(Page { text: replace(&String::from_utf8_lossy(&text), name, &make()), path });
            }
        }
    }
    for (name, make) in schemas {
        let path = PathBuf::from(format!("docs/schema/{name}.json"));
        pages.push(Page { path, text: format!("{:#}\n", make()) });
    }
    Ok(pages)
}

/// Writes pages in place.
///
/// # Errors
/// If a file cannot be written.
pub fn write(root: &Path, pages: &[Page]) -> Result<(), FileError> {
    pages.iter().try_for_each(|page| {
        let path = root.join(&page.path);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(|e| FileError::io("create", folder, e))?;
        }
        write_atomic_bytes(&path, page.text.as_bytes())
    })
}

/// The pages that differ from the files in the repository at `root`.
pub fn behind(root: &Path, pages: &[Page]) -> Vec<PathBuf> {
    let is = |page: &Page| fs::read(root.join(&page.path)).is_ok_and(|found| found == page.text.as_bytes());
    pages.iter().filter(|page| !is(page)).map(|page| page.path.clone()).collect()
}

/// The text with what stands between a part's marks replaced; a text without them gets the part at its end.
fn replace(text: &str, name: &str, part: &str) -> String {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->\n"));
    let (before, rest) = text.split_once(&begin).unwrap_or((text, ""));
    let (_, after) = rest.split_once(&end).unwrap_or(("", rest));
    format!("{before}{begin}\n{part}\n{end}{after}")
}

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
