//! `vigos init`, `vigos doctor`, and what every command has.

use crate::support;

use std::path::Path;
use support::{Ran, adapter, generate, image, model, ran, run, vigos};

const COMMANDS: [&str; 12] = [
    "train",
    "sft",
    "generate",
    "score",
    "replay",
    "experiment",
    "init",
    "data",
    "merge",
    "prompts",
    "doctor",
    "selftest",
];

fn init(config: &Path, out: &Path, seed: &str) -> Ran {
    run(["init", config.to_str().unwrap(), "--out", out.to_str().unwrap(), "--seed", seed])
}

#[test]
fn init_makes_a_model_that_generates_and_one_seed_always_makes_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let folder = |name: &str| dir.path().join(name);
    for (name, seed) in [("a", "1"), ("b", "1"), ("c", "2")] {
        init(&model().join("config.json"), &folder(name), seed).ok();
    }
    let weights = |name: &str| std::fs::read(folder(name).join("model.safetensors")).unwrap();
    assert_eq!(weights("a"), weights("b"));
    assert_ne!(weights("a"), weights("c"));
    run(generate(&folder("a"), &image("wide.png"), "What?")).ok();
}

#[test]
fn doctor_checks_every_device_and_reports_it_as_json() {
    let report = run(["doctor", "--json"]).ok().json();
    assert_eq!(report["passed"], true);
    assert_eq!(report["version"], env!("CARGO_PKG_VERSION"));
    let flex = report["backends"].as_array().unwrap().iter().find(|b| b["name"] == "flex").unwrap();
    assert_eq!(flex["compiled"], true);
    let device = report["devices"].as_array().unwrap().iter().find(|d| d["device"] == "flex:0").unwrap();
    let checks = device["checks"].as_array().unwrap();
    for check in checks {
        assert_eq!(check["verdict"], "passed", "{check}");
        assert!(check["error"].as_f64().unwrap() < check["bound"].as_f64().unwrap(), "{check}");
    }
    assert!(run(["doctor", "--device", "flex"]).ok().stdout.contains("flex"));
}

#[test]
fn selftest_holds_operators_and_steps_against_known_numbers_and_writes_them_down() {
    let caches = tempfile::tempdir().unwrap();
    let tested = |more: &[&str]| {
        let mut command = vigos();
        command.env("XDG_CACHE_HOME", caches.path()).args(["selftest", "--device", "flex"]).args(more);
        ran(command.output().unwrap()).ok()
    };
    let report = tested(&["--json"]).json();
    assert_eq!((&report["device"], &report["sound"]), (&"flex".into(), &true.into()), "{report}");
    let names: Vec<&str> =
        report["checks"].as_array().unwrap().iter().map(|check| check["name"].as_str().unwrap()).collect();
    for name in
        ["attention, causal", "norm, backward", "step of qwen3-vl: gradients", "completion of qwen2_5-vl"]
    {
        assert!(names.contains(&name), "no {name} in {names:?}");
    }
    assert_eq!(std::fs::read_dir(caches.path().join("vigos/selftest")).unwrap().count(), 1);
    assert!(tested(&[]).stdout.contains("all numbers are as they should be"));
}

#[test]
fn a_backend_that_is_not_compiled_in_is_refused_with_what_is() {
    let args = generate(&model(), &image("wide.png"), "What?");
    if run(["doctor", "--json"]).json()["backends"][0]["compiled"] == false {
        run(args.iter().map(String::as_str).chain(["--device", "cuda:0"])).refused(&[
            "--device",
            "`cuda`",
            "not compiled in",
            "flex",
            "--features cuda",
        ]);
    }
}

#[test]
fn every_command_has_help_with_an_example() {
    assert!(run(["--version"]).ok().stdout.starts_with("vigos "));
    for command in COMMANDS {
        let help = run([command, "--help"]).ok().stdout;
        for part in [&format!("vigos {command}"), "Example", "--device", "--verbose"] {
            assert!(help.contains(part), "{command}: no {part} in {help}");
        }
    }
    assert_eq!(run::<&str>([]).code, Some(2));
}

#[test]
fn a_merged_folder_generates_what_base_and_adapter_generate() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("merged");
    let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let (base, lora) = (text(&model()), text(&adapter()));
    let args = ["merge", "--model", &base, "--adapter", &lora, "--out", &text(&out), "--check"];
    let done = run(args).ok();
    assert!(done.stderr.contains("30 of 80 tensors updated"), "{}", done.stderr);
    assert!(done.stderr.contains("check: log-probabilities of"), "{}", done.stderr);

    let tokens = |mut args: Vec<String>| {
        args.push("--json".into());
        run(args).ok().json()["token_ids"].clone()
    };
    let picture = image("wide.png");
    let mut adapted = generate(&model(), &picture, "What?");
    adapted.extend(["--adapter".into(), lora.clone()]);
    let merged = tokens(generate(&out, &picture, "What?"));
    assert_eq!(merged, tokens(adapted));
    assert_ne!(merged, tokens(generate(&model(), &picture, "What?")));

    run(args).refused(&["already"]);
}
