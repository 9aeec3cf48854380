//! What a recipe file may hold, what it stands for, and how a wrong one is refused.

#![allow(clippy::unwrap_used, reason = "a helper's panic fails the test that called it")]

mod answer;
mod documentation;
mod errors;
mod kinds;
mod load;
mod presets;
mod prompts;

/// The least a recipe has to say.
const LEAST: &str = "model.path = \"m\"\ndata.path = \"d.jsonl\"\ntrain.epochs = 1\n";

/// The repository's root.
fn root() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Overrides as the command line gives them.
fn set(overrides: &[&str]) -> Vec<String> {
    overrides.iter().map(|text| (*text).to_owned()).collect()
}
