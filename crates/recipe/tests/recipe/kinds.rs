//! Recipes that are given to another command than theirs.

use std::fs;

use vigos_recipe::docs::SCHEMAS;
use vigos_recipe::experiment::Experiment;
use vigos_recipe::kinds::explained;
use vigos_recipe::sft::SftRecipe;
use vigos_recipe::{Recipe, RunRecipe};

use crate::root;

/// What is said of a file that is read as an `R`; empty if nothing is wrong.
fn said<R: RunRecipe>(file: &str, set: &[String]) -> String {
    let path = root().join(file);
    match R::load(&path, set) {
        Ok(_) => String::new(),
        Err(error) => explained::<R>(error, &path, SCHEMAS).to_string(),
    }
}

#[test]
fn a_recipe_of_another_command_is_called_that() {
    for (train, sft, experiment, of) in [
        (true, false, false, "configs/shapes.toml"),
        (true, false, false, "configs/first-light.toml"),
        (true, false, false, "configs/vigos-3b.toml"),
        (false, true, false, "configs/first-lessons.toml"),
        (false, true, false, "configs/shapes-warm.toml"),
        (false, false, true, "configs/experiment.toml"),
    ] {
        let command = if train {
            "train"
        } else if sft {
            "sft"
        } else {
            "experiment"
        };
        let found = [
            (train, said::<Recipe>(of, &[])),
            (sft, said::<SftRecipe>(of, &[])),
            (experiment, said::<Experiment>(of, &[])),
        ];
        for (own, text) in found {
            let hint = format!("this looks like a recipe of `vigos {command}`");
            assert!(
                if own { text.is_empty() } else { text.contains(of) && text.contains(&hint) },
                "{of}: {text}"
            );
        }
    }
}

#[test]
fn a_misspelt_key_of_the_right_command_keeps_its_hint() {
    let text = fs::read_to_string(root().join("configs/first-light.toml")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("light.toml");
    fs::write(&path, text.replace("[log]\n", "[log]\nrollout_every = 1\n")).unwrap();
    let error = Recipe::load(&path, &[]).unwrap_err();
    let text = explained::<Recipe>(error, &path, SCHEMAS).to_string();
    assert!(text.contains("did you mean `log.rollouts_every`?"), "{text}");
    // An override says nothing of the file.
    let set = ["train.weights=all".to_owned()];
    let text = said::<Recipe>("configs/first-light.toml", &set);
    assert!(text.contains("--set: unknown key `train.weights`") && !text.contains("vigos sft"), "{text}");
}
