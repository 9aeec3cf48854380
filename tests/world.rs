//! `vigos data`: a world from the command line, in the language of the small model.

use crate::support;

use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use support::{Ran, generate, root, run};
use vigos_processor::Tokenizer;
use vigos_recipe::Fidelity;
use vigos_recipe::prompts::Prompts;
use vigos_rollout::spans::{Verdict, parse};

fn small() -> PathBuf {
    root().join("configs/models/shapes")
}

fn shapes(out: &Path, more: &[&str]) -> Ran {
    let out = out.to_str().unwrap();
    let sizes = ["warmup=300", "train=20", "test=10", "prior=4"].map(|size| format!("splits.{size}"));
    let sizes = sizes.iter().flat_map(|size| ["--set", size]);
    run(["data", "shapes", "--out", out].into_iter().chain(sizes).chain(more.iter().copied()))
}

fn rows(path: &Path) -> Vec<Map<String, Value>> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn warm_up_rows_have_the_templates_prompts_and_valid_completions_in_known_words() {
    let dir = tempfile::tempdir().unwrap();
    shapes(dir.path(), &["--seed", "5"]).ok();
    let dials = std::fs::read_to_string(dir.path().join("world.toml")).unwrap();
    assert!(dials.contains("seed = 5") && dials.contains("lazy = 0.6"), "{dials}");
    let tokenizer = Tokenizer::from_file(&small().join("tokenizer.json")).unwrap();
    let prompts = Prompts::load(Some(&root().join("configs/prompts/shapes"))).unwrap();
    for row in rows(&dir.path().join("warmup.jsonl")) {
        let text = |field: &str| row[field].as_str().unwrap();
        let form = text("form");
        let shows = ["reasoning", "reference", "plain_reference"].contains(&form);
        let prompt = prompts.render(form, text("problem"), shows.then(|| text("answer"))).unwrap();
        assert_eq!(text("prompt"), prompt);

        let ids = tokenizer.encode_plain(text("completion")).unwrap();
        let verdict = parse(&ids, |id| tokenizer.token_bytes(id).unwrap(), &[], Fidelity::Paper);
        match form {
            "student" | "reasoning" | "reference" => {
                assert!(matches!(verdict, Verdict::Valid(_)), "{row:?}: {verdict:?}");
                assert_eq!(text("prefill"), "<description>");
            }
            "perception" => assert_eq!((text("prefill"), text("prompt")), ("<description>", "")),
            _ => assert_eq!(text("prefill"), ""),
        }
        for word in [text("prompt"), text("completion")].concat().split_inclusive(' ') {
            let letters = word.trim_matches(|c: char| !c.is_alphabetic());
            if !letters.is_empty() && letters.chars().all(char::is_alphabetic) {
                let inside = tokenizer.encode_plain(&format!(" {letters}")).unwrap().len();
                let alone = tokenizer.encode_plain(letters).unwrap().len();
                assert_eq!(inside.min(alone), 1, "{letters}");
            }
        }
    }
}

#[test]
fn the_shapes_templates_serve_every_preset() {
    for preset in vigos_recipe::Preset::ALL {
        let text = format!(
            "model.path = \"m\"\ndata.path = \"d\"\ntrain.steps = 1\nmethod.preset = \"{}\"\nmethod.prompts = {:?}",
            preset.name,
            root().join("configs/prompts/shapes").to_str().unwrap(),
        );
        let recipe = vigos_recipe::Recipe::parse(&text, "test", &[]).unwrap();
        Prompts::for_method(&recipe.method).unwrap();
    }
}

#[test]
fn the_small_models_folder_is_what_its_readme_makes() {
    let dir = tempfile::tempdir().unwrap();
    let (world, start) = (dir.path().join("world"), dir.path().join("start"));
    let sizes = ["warmup=3000", "train=1000", "test=0", "prior=0"].map(|size| format!("splits.{size}"));
    let dials = sizes.iter().map(String::as_str).chain(["warmup.unusual_alone=0.5"]);
    let dials: Vec<&str> = dials.flat_map(|dial| ["--set", dial]).collect();
    shapes(&world, &dials).ok();
    let [warmup, train] = ["warmup.jsonl", "train.jsonl"].map(|name| world.join(name));
    let config = small().join("config.json");
    let paths = [&warmup, &train, &config, &start].map(|path| path.to_str().unwrap());
    run(["data", "tokenizer", paths[0], paths[1], "--config", paths[2], "--out", paths[3]]).ok();
    for entry in std::fs::read_dir(&start).unwrap() {
        let made = entry.unwrap().path();
        let kept = small().join(made.file_name().unwrap());
        assert!(std::fs::read(&made).unwrap() == std::fs::read(&kept).unwrap(), "{}", kept.display());
    }
}

#[test]
fn the_small_model_starts_and_generates() {
    let dir = tempfile::tempdir().unwrap();
    let (world, model) = (dir.path().join("world"), dir.path().join("model"));
    shapes(&world, &[]).ok();
    let config = small().join("config.json");
    let ran = run(["init", config.to_str().unwrap(), "--out", model.to_str().unwrap(), "--seed", "1"]).ok();
    let parameters: u64 = ran.stderr.split_whitespace().find_map(|word| word.parse().ok()).unwrap();
    assert!((1_000_000..1_500_000).contains(&parameters), "{parameters}");
    let row = &rows(&world.join("test.jsonl"))[0];
    let image = world.join(row["image"].as_str().unwrap());
    run(generate(&model, &image, row["problem"].as_str().unwrap())).ok();
}
