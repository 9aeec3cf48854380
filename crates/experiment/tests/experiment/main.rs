//! Experiments: what their files may say, that they run and go on, what they come to.

// Helpers of tests are not seen as tests themselves.
#![allow(clippy::unwrap_used)]

mod configuration;
mod reporting;
mod running;

use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use vigos_rollout::Kit;

/// The families that tests have models of, and data sets that are files.
fn kit() -> Kit {
    Kit { families: vigos_qwen::families(), ..Kit::default() }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// A folder with a data set, a prior suite, and a recipe of two short steps for the tiny model.
fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    let images = ["wide.png", "tall.png", "gray.png"];
    for name in images {
        fs::copy(root().join("tests/fixtures/images").join(name), at(name)).unwrap();
    }
    let row = |i: usize| json!({"id": i.to_string(), "image": images[i % 3], "problem": "How many?", "answer": i.to_string()});
    fs::write(at("rows.jsonl"), (0..4).map(|i| format!("{}\n", row(i))).collect::<String>()).unwrap();
    let place = |i: usize| {
        let role = if i == 0 { "prior" } else { "score" };
        json!({"image": images[i], "problem": "Which?", "answer": "a", "triple": 0, "role": role, "wording": "fact"})
    };
    fs::write(at("prior.jsonl"), (0..3).map(|i| format!("{}\n", place(i))).collect::<String>()).unwrap();
    let recipe = format!(
        "[model]\npath = {:?}\n[data]\npath = {:?}\n[rollout]\nmax_new_tokens = 4\n[lora]\nrank = 2\nalpha = 4\n\
         [optim]\nlr = 1e-2\n[train]\nsteps = 2\nbatch = 2\naccumulate = 1\n[checkpoint]\nevery = 1\nkeep = 0\n\
         [log]\ntensorboard = false\n[eval]\nprior = {:?}\nsamples = 1\nbatch = 1\nmax_new_tokens = 3\n",
        root().join("assets/tiny-qwen2_5-vl"),
        at("rows.jsonl"),
        at("prior.jsonl"),
    );
    fs::write(at("recipe.toml"), recipe).unwrap();
    dir
}

/// An experiment on the recipe of a folder: two trained methods, two seeds, their common start, a sweep.
fn text(folder: &Path) -> String {
    format!(
        "title = \"Two methods\"\nrecipe = {:?}\nruns = {:?}\nresults = {:?}\nseeds = [1, 2]\n\
         [[method]]\nname = \"base\"\ntrain = false\n\
         [[method]]\nname = \"OPSD\"\nset = [\"method.preset=opsd\"]\n\
         [[method]]\nname = \"ViGOS\"\n\
         [sweep]\ntitle = \"Rate\"\nmethods = [\"ViGOS\"]\nset = \"optim.lr={{value}}\"\nvalues = [0.01, 0.02]\n\
         [palr]\nset = [\"data.limit=2\"]\n",
        folder.join("recipe.toml"),
        folder.join("runs"),
        folder.join("results"),
    )
}
