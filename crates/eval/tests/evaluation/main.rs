//! Evaluation and diagnostic: their arithmetic, their files, their answers on a tiny model.

// Helpers of tests are not seen as tests themselves.
#![allow(clippy::unwrap_used, unreachable_pub)]

mod asking;
mod benchmarks;
mod compare;
mod diagnosis;
mod reports;
mod statistics;
mod vlind;

use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use vigos_recipe::Recipe;
use vigos_rollout::Kit;

/// The families that tests have models of, and data sets that are files.
fn kit() -> Kit {
    Kit { families: vigos_qwen::families(), ..Kit::default() }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// The recorded rollouts of the tiny model: name, image, problem, answer, completion ids.
fn recorded() -> Vec<Value> {
    let path = root().join("tests/fixtures/method-qwen2_5-vl/result.json");
    let result: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    result["rows"].as_array().unwrap().clone()
}

/// A folder with these rows as `data.jsonl`, their images, and the recorded completions as `rollouts.jsonl`.
fn folder(rows: &[Value]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let images = root().join("tests/fixtures/images");
    for name in ["wide.png", "tall.png", "large.png", "gray.png"] {
        fs::copy(images.join(name), dir.path().join(name)).unwrap();
    }
    let lines = |rows: &[Value]| rows.iter().map(|row| format!("{row}\n")).collect::<String>();
    fs::write(dir.path().join("data.jsonl"), lines(rows)).unwrap();
    let rollouts: Vec<Value> = recorded()
        .iter()
        .map(|row| json!({"id": row["name"], "completion_token_ids": row["completion_ids"]}))
        .collect();
    fs::write(dir.path().join("rollouts.jsonl"), lines(&rollouts)).unwrap();
    dir
}

/// The recorded questions as rows of a data set.
fn questions() -> Vec<Value> {
    let row = |row: &Value| json!({"id": row["name"], "image": row["image"], "problem": row["problem"], "answer": row["answer"]});
    recorded().iter().map(row).collect()
}

/// A recipe over `data.jsonl` of a folder, with the recorded adapter.
fn recipe(folder: &Path, overrides: &[&str]) -> Recipe {
    let text = format!(
        "[model]\npath = {:?}\nadapter = {:?}\n[data]\npath = {:?}\n[train]\nepochs = 1\n[rollout]\nbatch = 2\n\
         max_new_tokens = 6\n[eval]\nsamples = 2\nbatch = 1\nmax_new_tokens = 6\n",
        root().join("assets/tiny-qwen2_5-vl"),
        root().join("tests/fixtures/method-qwen2_5-vl/adapter_init"),
        folder.join("data.jsonl"),
    );
    let overrides: Vec<String> = overrides.iter().map(|o| (*o).to_owned()).collect();
    Recipe::parse(&text, "test", &overrides).unwrap()
}

/// The named files of a folder.
fn bytes(folder: &Path, names: &[&str]) -> Vec<Vec<u8>> {
    names.iter().map(|name| fs::read(folder.join(name)).unwrap()).collect()
}
