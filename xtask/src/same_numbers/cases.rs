//! What is run: the main job, a run in two pieces, recorded steps, a supervised run, the diagnostic.

use crate::shell::root;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Commands that fill one folder, and what it is called.
pub(super) struct Case {
    pub(super) name: String,
    /// Arguments of the command, one run after another; the word `RUN` stands for the folder.
    pub(super) runs: Vec<Vec<String>>,
    /// A case of the same build whose folder has to be the same.
    pub(super) equals: Option<&'static str>,
}

const FAMILIES: [&str; 2] = ["qwen2_5-vl", "qwen3-vl"];
/// Steps of the run that is cut in two; its schedule may not depend on how many there are.
const PIECES: [&str; 5] = [
    "train",
    "configs/first-light.toml",
    "optim.schedule=constant",
    "checkpoint.every=2",
    "checkpoint.keep=0",
];

/// All cases; `steps` shortens the main job and the supervised one.
pub(super) fn cases(steps: Option<u32>, recorded: &Path) -> Result<Vec<Case>> {
    let short: Vec<String> = steps.map(|steps| format!("train.steps={steps}")).into_iter().collect();
    let short: Vec<&str> = short.iter().map(String::as_str).collect();
    let mut cases = vec![
        case("shapes", vec![into("--run-dir", &[&["train", "configs/shapes.toml"], &short[..]].concat())]),
        case("sft", vec![into("--run-dir", &[&["sft", "configs/first-lessons.toml"], &short[..]].concat())]),
        case(
            "sft adapter",
            vec![into(
                "--run-dir",
                &[
                    "sft",
                    "configs/first-lessons.toml",
                    "train.weights=adapter",
                    "train.steps=6",
                    "lora.dropout=0.1",
                ],
            )],
        ),
        case("whole", vec![piece("train.steps=4", false)]),
        Case {
            equals: Some("whole"),
            ..case("in pieces", vec![piece("train.steps=2", false), piece("train.steps=4", true)])
        },
        case("palr", vec![into("--run-dir", &["palr", "configs/first-light.toml", "data.limit=4"])]),
    ];
    for family in FAMILIES {
        let (recipe, rollouts) = recording(family, &recorded.join(family))?;
        let (recipe, rollouts) = (recipe.display().to_string(), rollouts.display().to_string());
        for fidelity in ["paper", "released"] {
            let set = format!("method.fidelity={fidelity}");
            let mut args = into("--out", &["replay", &recipe, &set, "method.clip=0.5"]);
            args.extend(["--rollouts".to_owned(), rollouts.clone()]);
            cases.push(case(&format!("replay {family} {fidelity}"), vec![args]));
        }
    }
    Ok(cases)
}

fn case(name: &str, runs: Vec<Vec<String>>) -> Case {
    Case { name: name.to_owned(), runs, equals: None }
}

/// A command on a recipe, keys set behind it, the folder last.
fn into(folder: &str, words: &[&str]) -> Vec<String> {
    let (command, keys) = words.split_at(2);
    let sets = keys.iter().flat_map(|key| ["--set", key]);
    let words = command.iter().copied().chain(sets).chain([folder, "RUN"]);
    words.map(str::to_owned).collect()
}

fn piece(steps: &str, resume: bool) -> Vec<String> {
    let mut args = into("--run-dir", &[&PIECES[..], &[steps]].concat());
    args.extend(resume.then(|| "--resume".to_owned()));
    args
}

/// A recipe and rollouts for a family's recorded step, in `folder`.
fn recording(family: &str, folder: &Path) -> Result<(PathBuf, PathBuf)> {
    let fixtures = root().join("tests/fixtures");
    let recording = fixtures.join(format!("method-{family}"));
    let path = recording.join("result.json");
    let bytes = std::fs::read(&path).with_context(|| path.display().to_string())?;
    let result: Value = serde_json::from_slice(&bytes).with_context(|| path.display().to_string())?;
    std::fs::create_dir_all(folder.join("images"))?;
    let mut lines = String::new();
    for row in result["rows"].as_array().into_iter().flatten() {
        let name = row["image"].as_str().unwrap_or_default();
        std::fs::copy(fixtures.join("images").join(name), folder.join("images").join(name))?;
        let line = json!({
            "id": row["name"], "image": format!("images/{name}"), "problem": row["problem"], "answer": row["answer"],
            "completion_token_ids": row["completion_ids"], "prompts": row["prompts"],
        });
        lines += &format!("{line}\n");
    }
    ensure!(!lines.is_empty(), "{}: no rows", path.display());
    let rollouts = folder.join("rollouts.jsonl");
    std::fs::write(&rollouts, lines)?;
    let model = match family {
        "qwen2_5-vl" => root().join("assets/tiny-qwen2_5-vl"),
        _ => fixtures.join(format!("tiny-{family}")),
    };
    let recipe = folder.join("recipe.toml");
    let text = format!(
        "[model]\npath = {model:?}\nadapter = {:?}\n[data]\npath = \"unused.jsonl\"\n[lora]\nrank = 4\nalpha = 8\n\
         dropout = 0.0\n[optim]\nlr = 1e-3\nschedule = \"constant\"\n[train]\nsteps = 1\nprecision = \"f32\"\n",
        recording.join("adapter_init"),
    );
    std::fs::write(&recipe, text)?;
    Ok((recipe, rollouts))
}
