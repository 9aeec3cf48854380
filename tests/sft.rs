//! `vigos sft` through the command.

use crate::support;

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use support::{Ran, data_folder, generate, image, model, run};

const RECIPE: &str = r#"
[model]
path = "{model}"
[data]
path = "{data}"
[train]
steps = 3
batch = 2
[checkpoint]
every = 0
[optim]
lr = 1e-3
"#;

/// Demonstrations with their image, and a recipe for them.
fn prepared() -> (tempfile::TempDir, PathBuf) {
    let rows: Vec<Value> = (0..4)
        .map(|i| json!({"id": i, "image": "wide.png", "prompt": format!("{i}?"), "completion": "yes"}))
        .collect();
    let (dir, data) = data_folder(&rows);
    let recipe = dir.path().join("recipe.toml");
    let text = RECIPE.replace("{model}", model().to_str().unwrap()).replace("{data}", data.to_str().unwrap());
    std::fs::write(&recipe, text).unwrap();
    (dir, recipe)
}

fn sft(recipe: &Path, run_dir: &Path, more: &[&str]) -> Ran {
    let fixed = ["sft", recipe.to_str().unwrap(), "--run-dir", run_dir.to_str().unwrap()];
    run(fixed.iter().chain(more))
}

#[test]
fn a_run_leaves_a_model_that_generates_and_an_adapter_that_does() {
    let (dir, recipe) = prepared();
    let run_dir = dir.path().join("run");
    let ran = sft(&recipe, &run_dir, &[]).ok();
    assert_eq!(ran.stdout, "");
    let trained = run_dir.join("model");
    let saved = format!("saved to {}", trained.display());
    assert!(ran.stderr.lines().any(|line| line == saved), "{}", ran.stderr);
    assert!(ran.stderr.contains("step 3/3"), "{}", ran.stderr);
    run(generate(&trained, &image("wide.png"), "What?")).ok();

    let run_dir = dir.path().join("adapter-run");
    sft(&recipe, &run_dir, &["--set", "train.weights=adapter"]).ok();
    let adapter = run_dir.join("adapter").to_str().unwrap().to_owned();
    let args = generate(&model(), &image("wide.png"), "What?");
    run(args.into_iter().chain(["--adapter".into(), adapter])).ok();
}

#[test]
fn a_resumed_run_writes_what_an_uninterrupted_one_does() {
    let (dir, recipe) = prepared();
    let (whole, parts) = (dir.path().join("whole"), dir.path().join("parts"));
    let constant = ["--set", "optim.schedule=constant"];
    sft(&recipe, &whole, &constant).ok();
    sft(&recipe, &parts, &["--set", "train.steps=1", constant[0], constant[1]]).ok();
    let ran = sft(&recipe, &parts, &["--resume", "--set", "train.steps=3"]).ok();
    assert!(ran.stderr.contains("going on after step 1 of 3"), "{}", ran.stderr);
    let weights = |run: &Path| std::fs::read(run.join("model/model.safetensors")).unwrap();
    assert!(weights(&whole) == weights(&parts), "the models differ");
}

#[test]
fn the_effective_recipe_is_printed_and_reads_back_as_itself() {
    let (dir, recipe) = prepared();
    let print = |path: &Path, more: &[&str]| {
        let fixed = ["sft", path.to_str().unwrap(), "--print-config"];
        run(fixed.iter().chain(more)).ok().stdout
    };
    let first = print(&recipe, &["--set", "optim.lr=0.25"]);
    assert!(first.contains("lr = 0.25") && first.contains("weights = \"all\""), "{first}");
    let copy = dir.path().join("copy.toml");
    std::fs::write(&copy, &first).unwrap();
    assert_eq!(print(&copy, &[]), first);
}
