//! Recipes and their overrides.

use vigos_recipe::experiment::Experiment;
use vigos_recipe::sft::SftRecipe;
use vigos_recipe::{Recipe, RunRecipe};

use crate::parts::{is_a_line, texts};

/// Most overrides that are tried.
const OVERRIDES: usize = 4;

/// A recipe that is read is one that can be written, and reads the same from that. `TOML \0 OVERRIDE \0 …`; a text that
/// begins with `#s` is a recipe of supervised training, with `#e` one of an experiment.
pub fn recipe(data: &[u8]) {
    let [text, overrides @ ..] = texts::<{ 1 + OVERRIDES }>(data);
    let overrides: Vec<String> = overrides.into_iter().filter(|text| !text.is_empty()).collect();
    match text.as_bytes() {
        [b'#', b's', ..] => again::<SftRecipe>(&text, &overrides),
        [b'#', b'e', ..] => again::<Experiment>(&text, &overrides),
        _ => again::<Recipe>(&text, &overrides),
    }
}

fn again<T: RunRecipe>(text: &str, overrides: &[String]) {
    let recipe = match T::parse(text, "mine.toml", overrides) {
        Ok(recipe) => recipe,
        Err(error) => {
            let message = error.to_string();
            return assert!(is_a_line(&message), "{message}");
        }
    };
    let written = recipe.to_toml().expect("what was read can be written");
    let read = T::parse(&written, "written.toml", &[]).expect("what was written can be read");
    assert_eq!(read.to_toml().ok(), Some(written), "written and read again");
    recipe.check().expect("what was read is sound");
}
