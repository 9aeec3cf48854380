//! The estimate of memory: `vigos doctor --config`, and what `train` and `generate` say of it.

use crate::support;

use serde_json::Value;
use std::path::Path;
use support::{adapter, data_folder, generate, image, model, questions, recipe, root, run, vigos};

/// A folder with nothing but the configuration of a published model.
fn published(name: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = root().join(format!("models/qwen/tests/fixtures/configs/{name}.json"));
    std::fs::copy(config, folder.path().join("config.json")).unwrap();
    folder
}

fn doctor(model: &Path, more: &[&str]) -> support::Ran {
    let model = format!("model.path={}", model.display());
    run(["doctor", "--config", "configs/vigos-3b.toml", "--set", &model]
        .into_iter()
        .chain(more.iter().copied()))
}

fn part(report: &Value, phase: &str, name: &str) -> u64 {
    let parts = report["parts"].as_array().unwrap();
    let part = parts.iter().find(|part| part["phase"] == phase && part["name"] == name);
    part.unwrap_or_else(|| panic!("no {phase} {name}"))["bytes"].as_u64().unwrap()
}

#[test]
fn doctor_estimates_a_recipe_from_the_configuration_alone() {
    let folder = published("qwen2_5-vl-3b");
    let report = doctor(folder.path(), &["--json", "--memory", "80"]).ok().json();
    assert_eq!(report["parameters"], 3_754_622_976_u64);
    assert_eq!(part(&report, "always", "weights"), 7_509_245_952);
    assert_eq!(report["available_bytes"], 80_000_000_000_u64);
    assert_eq!(report["prompt_tokens"], 2048);
    let longer = doctor(folder.path(), &["--json", "--memory", "80", "--prompt-tokens", "8192"]).ok().json();
    assert!(longer["peak_bytes"].as_u64() > report["peak_bytes"].as_u64());

    let text = doctor(folder.path(), &["--memory", "80"]).ok().stdout;
    assert!(text.contains("3754622976 parameters x 2 bytes"), "{text}");
    assert!(text.contains("7.51 GB"), "{text}");
    for name in ["weights", "adapter", "optimiser", "activations", "KV cache", "loss"] {
        assert!(text.contains(name), "no {name} in {text}");
    }
}

#[test]
fn doctor_plans_for_the_prompts_of_the_data_where_it_is_at_hand() {
    let report = run(["doctor", "--json", "--memory", "24", "--config", "configs/shapes.toml"]).ok().json();
    let tokens = report["prompt_tokens"].as_u64().unwrap();
    assert!((1..500).contains(&tokens), "{tokens}");
    let config = ["--config", "configs/shapes.toml"];
    let told = run(["doctor", "--json", "--prompt-tokens", "600"].into_iter().chain(config)).ok().json();
    assert_eq!(told["prompt_tokens"], 600);
    let absent = ["doctor", "--set", "data.path=none.jsonl"].into_iter().chain(config);
    let ran = run(absent).ok();
    assert!(ran.stderr.contains("none.jsonl") && ran.stderr.contains("--prompt-tokens"), "{}", ran.stderr);
}

#[test]
fn doctor_estimates_a_model_that_is_not_there_from_the_shape_of_its_name() {
    let config = ["doctor", "--config", "configs/vigos-3b.toml", "--memory", "80"];
    let ran = run(config.into_iter().chain(["--json"])).ok();
    assert_eq!(ran.json()["parameters"], 3_754_622_976_u64);
    assert!(ran.stderr.contains("configs/models/Qwen2.5-VL-3B-Instruct"), "{}", ran.stderr);
    for name in ["hf:Qwen/Qwen2.5-VL-7B-Instruct", "somewhere/Qwen3-VL-4B-Instruct"] {
        let set = format!("model.path={name}");
        run(config.into_iter().chain(["--set", &set])).ok();
    }
    let unknown = run(config.into_iter().chain(["--set", "model.path=somewhere/My-Model"]));
    unknown.refused(&["somewhere/My-Model", "--set model.path=configs/models/"]);
}

#[test]
fn what_does_not_fit_comes_with_settings_that_do() {
    let folder = published("qwen2_5-vl-3b");
    let report = doctor(folder.path(), &["--json", "--memory", "18"]).ok().json();
    assert_eq!(report["fits"], false);
    let changes = report["changes"].as_array().unwrap();
    assert!(!changes.is_empty());
    let sets: Vec<String> = changes
        .iter()
        .map(|c| format!("{}={}", c["key"].as_str().unwrap(), c["value"].as_str().unwrap()))
        .collect();
    let text = doctor(folder.path(), &["--memory", "18"]).ok().stdout;
    let mut more = vec!["--json", "--memory", "18"];
    for set in &sets {
        assert!(text.contains(&format!("--set {set}")), "no {set} in {text}");
        more.extend(["--set", set]);
    }
    assert_eq!(doctor(folder.path(), &more).ok().json()["fits"], true);

    let text = doctor(folder.path(), &["--memory", "4"]).ok().stdout;
    assert!(text.contains("a smaller model"), "{text}");
}

#[test]
fn a_run_starts_with_its_estimate() {
    let (folder, data) = data_folder(&questions());
    let recipe = recipe(&data);
    let dir = folder.path().join("run");
    let said = run(["train", recipe.to_str().unwrap(), "--run-dir", dir.to_str().unwrap()]).ok().stderr;
    assert!(said.starts_with("memory: about "), "{said}");
    // The prompts are those of the data: a small image and the templates' text, far from 2048 tokens.
    let tokens = said.split("prompts of ").nth(1).unwrap().split(' ').next().unwrap();
    assert!((100..1000).contains(&tokens.parse::<usize>().unwrap()), "{said}");
    for name in ["weights", "adapter", "optimiser", "KV cache", "loss", "are available"] {
        assert!(said.contains(name), "no {name} in {said}");
    }
}

#[test]
fn an_adapter_to_start_from_counts_with_its_own_ranks() {
    let (folder, data) = data_folder(&questions());
    let recipe = recipe(&data);
    let bytes = |pattern: Value| {
        let own = folder.path().join("adapter_config.json");
        std::fs::copy(adapter().join("adapter_config.json"), &own).unwrap();
        support::set_json(&own, "/rank_pattern", pattern);
        let set = format!("model.adapter={}", folder.path().display());
        let args = ["doctor", "--json", "--config", recipe.to_str().unwrap(), "--set", &set];
        part(&run(args).ok().json(), "always", "adapter")
    };
    // Three layers, whose queries are 64 wide.
    let more = bytes(serde_json::json!({"q_proj": 8})) - bytes(serde_json::json!({}));
    assert_eq!(more, 4 * 3 * (8 - 4) * (64 + 64));
}

#[test]
fn a_generation_says_what_it_takes_when_asked() {
    let args = generate(&model(), &image("wide.png"), "What?");
    let quiet = run(args.iter().map(String::as_str)).ok().stderr;
    assert!(!quiet.contains("memory"), "{quiet}");
    let said = support::ran(vigos().args(&args).arg("-v").output().unwrap()).ok().stderr;
    assert!(said.contains("memory: about ") && said.contains("KV cache"), "{said}");
}

#[test]
fn ranks_of_a_machine_take_a_base_each_and_share_what_it_has() {
    let config = ["doctor", "--json", "--config", "configs/vigos-3b.toml", "--prompt-tokens", "1024"];
    let of = |more: &[&str]| run(config.iter().chain(more)).ok().json();
    let [one, eight] = [of(&["--memory", "80"]), of(&["--memory", "80", "--ranks", "8"])];
    assert!(one.get("together").is_none());
    let together = &eight["together"];
    let weights = one["parts"].as_array().unwrap().iter().find(|part| part["name"] == "weights").unwrap();
    let times = |value: &Value| 8 * value.as_u64().unwrap();
    assert_eq!(together["ranks"], 8);
    assert_eq!(together["bytes"].as_u64().unwrap(), times(&one["peak_bytes"]));
    assert_eq!(together["base_bytes"].as_u64().unwrap(), times(&weights["bytes"]));
    // What a device has is its rank's own; what this machine has is shared.
    assert_eq!(one["available_bytes"], eight["available_bytes"]);
    let told = run(["doctor", "--config", "configs/vigos-3b.toml", "--memory", "80", "--ranks", "8"]).ok();
    assert!(told.stdout.contains("the 8 ranks of a machine"), "{}", told.stdout);
    run(["doctor", "--config", "configs/vigos-3b.toml", "--ranks", "0"]).refused(&["--ranks"]);
}

#[test]
fn doctor_says_card_by_card_which_models_train_on_it() {
    let told = ["doctor", "--config", "configs/vigos-3b.toml", "--cards"];
    let rows = run(told.into_iter().chain(["--json"])).ok().json();
    let row = |model: &str, weights: &str| {
        let rows = rows.as_array().unwrap();
        rows.iter().find(|row| row["model"] == model && row["weights"] == weights).unwrap().clone()
    };
    let small = row("Qwen2.5-VL-3B-Instruct", "bf16");
    let peak = |row: &Value| row["peak_bytes"].as_u64().unwrap();
    // Of the weights alone: 7.5 GB, and what is quantised of them is a half and a quarter.
    assert!(peak(&small) > 7_509_245_952);
    assert!(peak(&row("Qwen2.5-VL-3B-Instruct", "int4")) < peak(&row("Qwen2.5-VL-3B-Instruct", "int8")));
    assert!(peak(&row("Qwen2.5-VL-3B-Instruct", "int8")) < peak(&small));
    assert_eq!((&small["fits"][0], &small["fits"][5]), (&"no".into(), &"as_it_is".into()));
    // The same as for one model and one memory.
    let alone = run(["doctor", "--json", "--memory", "24", "--config", "configs/vigos-3b.toml"]
        .into_iter()
        .chain(["--set", "model.path=configs/models/Qwen2.5-VL-3B-Instruct"]))
    .ok()
    .json();
    assert_eq!(alone["peak_bytes"], small["peak_bytes"]);
    assert!(run(told).ok().stdout.contains("| Qwen3-VL-8B-Instruct | int4 |"));
}
