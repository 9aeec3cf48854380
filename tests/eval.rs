//! `vigos eval` and `vigos palr` through the command.

use crate::support;

use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use support::{Ran, adapter, data_folder, fixtures, questions, recipe, run, vigos};

/// Runs a command on a recipe that asks each question once and lets it answer in four tokens.
fn ask(command: &str, recipe: &Path, run_dir: &Path, more: &[&str]) -> Ran {
    let set = ["--set", "eval.samples=1", "--set", "eval.max_new_tokens=4", "--set", "eval.batch=1"];
    let fixed = [command, recipe.to_str().unwrap(), "--run-dir", run_dir.to_str().unwrap()];
    run(fixed.iter().chain(&set).chain(more))
}

fn report(run_dir: &Path) -> Value {
    serde_json::from_slice(&fs::read(run_dir.join("report.json")).unwrap()).unwrap()
}

#[test]
fn an_evaluation_prints_the_report_that_it_saves() {
    let (dir, data) = data_folder(&questions());
    let (recipe, run_dir) = (recipe(&data), dir.path().join("run"));
    let ran = ask("eval", &recipe, &run_dir, &[]).ok();
    assert_eq!(ran.stdout, fs::read_to_string(run_dir.join("report.md")).unwrap());
    assert!(ran.stdout.contains("| all ") && ran.stdout.contains("Avg@1 %"), "{}", ran.stdout);
    assert!(ran.stderr.contains("report saved to"), "{}", ran.stderr);
    assert_eq!(report(&run_dir)["overall"]["average"]["n"], json!(4));
    assert_eq!(fs::read_to_string(run_dir.join("samples.jsonl")).unwrap().lines().count(), 4);

    ask("eval", &recipe, &run_dir, &[]).refused(&["--resume"]);
    let again = ask("eval", &recipe, &run_dir, &["--resume"]).ok();
    assert_eq!(again.stdout, ran.stdout);
    assert!(again.stderr.contains("going on after 4 of 4 items"), "{}", again.stderr);
}

#[test]
fn an_evaluation_that_was_killed_goes_on_to_the_same_bytes() {
    let row = |i: usize| json!({"image": "wide.png", "problem": format!("How many? {i}"), "answer": "3"});
    let (dir, data) = data_folder(&(0..24).map(row).collect::<Vec<_>>());
    let recipe = recipe(&data);
    let set = ["eval.samples=1", "eval.batch=1", "eval.max_new_tokens=24"].map(|set| ["--set", set]).concat();
    let args = |run_dir: &Path| {
        let fixed = ["eval", recipe.to_str().unwrap(), "--run-dir", run_dir.to_str().unwrap()];
        fixed.iter().chain(&set).map(|arg| (*arg).to_owned()).collect::<Vec<_>>()
    };
    let (whole, killed) = (dir.path().join("whole"), dir.path().join("killed"));
    run(args(&whole)).ok();

    let mut child = vigos().args(args(&killed)).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun =
        || fs::read_to_string(killed.join("samples.jsonl")).is_ok_and(|text| text.lines().count() > 4);
    while !begun() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    run(args(&killed).into_iter().chain(["--resume".to_owned()])).ok();
    for name in ["samples.jsonl", "report.json", "report.md"] {
        assert!(
            fs::read(whole.join(name)).unwrap() == fs::read(killed.join(name)).unwrap(),
            "{name} differs"
        );
    }
}

#[test]
fn suites_are_asked_in_folders_of_their_own_and_printed_as_one_table() {
    let (dir, data) = data_folder(&questions());
    let (recipe, run_dir) = (recipe(&data), dir.path().join("run"));
    for name in ["tall.png", "gray.png"] {
        fs::copy(fixtures().join("images").join(name), dir.path().join(name)).unwrap();
    }
    let entry = |name: &str| {
        let file = data.with_file_name(format!("{name}.jsonl"));
        fs::copy(fixtures().join("benchmarks").join(format!("{name}.jsonl")), &file).unwrap();
        format!("{name}={}", file.display())
    };
    let set = format!("eval.suites={:?}", [entry("cv-bench"), entry("mmmu")]);
    let ran = ask("eval", &recipe, &run_dir, &["--set", &set]).ok();
    assert_eq!(ran.stdout, fs::read_to_string(run_dir.join("report.md")).unwrap());
    assert!(ran.stdout.contains("| cv-bench ") && ran.stdout.contains("| mmmu "), "{}", ran.stdout);
    for name in ["cv-bench", "mmmu"] {
        assert_eq!(report(&run_dir.join(name))["overall"]["average"]["n"], json!(4), "{name}");
    }
    let again = ask("eval", &recipe, &run_dir, &["--resume"]).ok();
    assert_eq!(again.stdout, ran.stdout);
    let unknown = ["--set", "eval.suites=[\"mmlu\"]"];
    ask("eval", &recipe, &dir.path().join("other"), &unknown).refused(&["eval.suites", "cv-bench"]);
}

#[test]
fn an_adapter_and_another_data_set_are_named_on_the_command_line() {
    let (dir, data) = data_folder(&questions());
    let (recipe, run_dir) = (recipe(&data), dir.path().join("run"));
    let other = data.with_file_name("other.jsonl");
    let row = json!({"image": "wide.png", "problem": "?", "answer": "x", "kind": "odd|one"});
    fs::write(&other, format!("{row}\n")).unwrap();
    let adapter = adapter();
    let more = ["--adapter", adapter.to_str().unwrap(), "--data", other.to_str().unwrap()];
    let ran = ask("eval", &recipe, &run_dir, &more).ok();
    assert!(ran.stdout.contains("| odd\\|one "), "{}", ran.stdout);
    let settings = &report(&run_dir)["settings"];
    assert_eq!(settings["adapter"], json!(adapter));
    assert_eq!(settings["data"], json!(other));
}

#[test]
fn a_diagnosis_reads_recorded_rollouts() {
    let recorded = fixtures().join("method-qwen2_5-vl/result.json");
    let recorded: Value = serde_json::from_slice(&fs::read(recorded).unwrap()).unwrap();
    let rows = recorded["rows"].as_array().unwrap();
    let row = |row: &Value| json!({"id": row["name"], "image": "wide.png", "problem": "?", "answer": row["answer"]});
    let (dir, data) = data_folder(&rows[..2].iter().map(row).collect::<Vec<_>>());
    let rollouts = dir.path().join("rollouts.jsonl");
    let line = |row: &Value| {
        format!("{}\n", json!({"id": row["name"], "completion_token_ids": row["completion_ids"]}))
    };
    fs::write(&rollouts, rows.iter().map(line).collect::<String>()).unwrap();
    let run_dir = dir.path().join("run");
    let more = ["--rollouts", rollouts.to_str().unwrap()];
    let ran = ask("palr", &recipe(&data), &run_dir, &more).ok();
    assert!(
        ran.stdout.contains("2 items, 2 valid rollouts") && ran.stdout.contains("T_ra"),
        "{}",
        ran.stdout
    );
    let report = report(&run_dir);
    assert_eq!(report["description"]["value"], json!(0.0));
    assert!(report["reasoning_answer"]["value"].as_f64().unwrap() > 0.0, "{report}");
}

#[test]
fn training_ends_with_a_table_of_before_and_after_if_asked_to() {
    let (dir, data) = data_folder(&questions());
    let (recipe, run_dir) = (recipe(&data), dir.path().join("run"));
    let ran = ask("train", &recipe, &run_dir, &["--set", "eval.around=true"]).ok();
    let head = ran.stdout.lines().next().unwrap();
    for part in ["before", "step-000002", "change"] {
        assert!(head.contains(part), "{}", ran.stdout);
    }
    assert!(ran.stdout.contains("| accuracy (Avg@1), %"), "{}", ran.stdout);
    for name in ["before", "step-000002"] {
        assert!(run_dir.join("eval").join(name).join("report.json").is_file(), "{name}");
    }
}
