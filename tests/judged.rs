//! `eval.every`: checkpoints that are judged while training goes on.

use crate::support;

use burn::tensor::Device;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use support::{Ran, adapter_bytes, checkpoint, data_folder, metrics, questions, recipe, run, vigos};
use vigos::Evaluator;
use vigos_ranks::Threads;
use vigos_recipe::Recipe;
use vigos_train::{Finished, Observer, RunOptions, train_judged};

/// A recipe, and as many rows that are not trained on.
fn judged(rows: usize) -> (tempfile::TempDir, PathBuf, PathBuf) {
    let (dir, data) = data_folder(&questions());
    let held_out = dir.path().join("held-out.jsonl");
    let row = |i: usize| {
        json!({"image": "wide.png", "problem": format!("How many? {i}"), "answer": "3"}).to_string() + "\n"
    };
    fs::write(&held_out, (0..rows).map(row).collect::<String>()).unwrap();
    (dir, recipe(&data), held_out)
}

fn args(recipe: &Path, held_out: &Path, run_dir: &Path, set: &[&str]) -> Vec<String> {
    let path = format!("eval.path={:?}", held_out.to_str().unwrap());
    let fixed =
        ["eval.samples=1", "eval.batch=1", "eval.max_new_tokens=12", "optim.schedule=constant", &path];
    let set = fixed.iter().chain(set).flat_map(|set| ["--set", *set]);
    ["train", recipe.to_str().unwrap(), "--run-dir", run_dir.to_str().unwrap()]
        .into_iter()
        .chain(set)
        .map(str::to_owned)
        .collect()
}

fn train(recipe: &Path, held_out: &Path, run_dir: &Path, set: &[&str]) -> Ran {
    run(args(recipe, held_out, run_dir, set))
}

fn evaluations(run_dir: &Path) -> Vec<Value> {
    let text = fs::read_to_string(run_dir.join("evaluations.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn best(run_dir: &Path) -> Value {
    serde_json::from_slice(&fs::read(run_dir.join("checkpoints/best.json")).unwrap()).unwrap()
}

#[test]
fn checkpoints_are_judged_and_the_best_one_is_kept_and_named() {
    let (dir, recipe, held_out) = judged(2);
    let run_dir = dir.path().join("run");
    let set = ["train.steps=5", "eval.every=2", "checkpoint.every=0", "checkpoint.keep=1"];
    let ran = train(&recipe, &held_out, &run_dir, &set).ok();
    assert!(ran.stderr.contains("step 2: accuracy 0.0 % of 2 items"), "{}", ran.stderr);
    let lines = evaluations(&run_dir);
    let steps: Vec<u64> = lines.iter().map(|line| line["step"].as_u64().unwrap()).collect();
    assert_eq!(steps, [2, 4, 5], "the last step too");
    assert!(
        lines.iter().all(|line| line["accuracy"] == json!(0.0) && line["items"] == json!(2)),
        "{lines:?}"
    );
    // A later one that is no better is not the best.
    assert_eq!((&best(&run_dir)["checkpoint"], &best(&run_dir)["step"]), (&json!("step-000002"), &json!(2)));
    let there = [2, 4, 5].map(|step| checkpoint(&run_dir, step).is_dir());
    assert_eq!(there, [true, false, true], "the best one and the newest");
    assert!(run_dir.join("eval/step-000004/report.json").is_file());
    assert_eq!(metrics(&run_dir).len(), 5, "a line a step");
}

#[test]
fn training_that_does_not_get_better_ends_early_if_asked() {
    let (dir, recipe, held_out) = judged(2);
    let run_dir = dir.path().join("run");
    let set = ["train.steps=50", "eval.every=1", "eval.patience=2"];
    train(&recipe, &held_out, &run_dir, &set).ok();
    assert_eq!((evaluations(&run_dir).len(), metrics(&run_dir).len()), (3, 3));
    let again = [args(&recipe, &held_out, &run_dir, &set), vec!["--resume".into()]].concat();
    run(again).ok();
    assert_eq!((evaluations(&run_dir).len(), metrics(&run_dir).len()), (3, 3), "it has ended");
}

#[test]
fn a_run_that_was_killed_while_it_was_judged_goes_on_to_the_same_bytes() {
    let (dir, recipe, held_out) = judged(24);
    let (whole, killed) = (dir.path().join("whole"), dir.path().join("killed"));
    let set = ["train.steps=4", "eval.every=2"];
    train(&recipe, &held_out, &whole, &set).ok();

    let args = args(&recipe, &held_out, &killed, &set);
    let mut child = vigos().args(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let samples = killed.join("eval/step-000002/samples.jsonl");
    let begun = || fs::read_to_string(&samples).is_ok_and(|text| text.lines().count() > 4);
    while !begun() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    run(args.into_iter().chain(["--resume".to_owned()])).ok();
    assert_eq!(metrics(&whole), metrics(&killed));
    assert!(adapter_bytes(&whole, 4) == adapter_bytes(&killed, 4), "the adapters differ");
    for name in [
        "evaluations.jsonl",
        "checkpoints/best.json",
        "eval/step-000002/samples.jsonl",
        "eval/step-000004/samples.jsonl",
    ] {
        assert!(
            fs::read(whole.join(name)).unwrap() == fs::read(killed.join(name)).unwrap(),
            "{name} differs"
        );
    }
}

/// How a run of so many ranks ends, which are threads here; one of them may be told to stop.
fn shared(count: usize, recipe: &Recipe, run_dir: &Path, resume: bool, stops: Option<usize>) -> Finished {
    let mut ended = Threads::run(count, |ranks| {
        let (kit, device) = (vigos::kit(), Device::flex());
        let options = RunOptions { ranks, ..RunOptions::new(recipe, run_dir, &kit, &device) };
        let stop = AtomicBool::new(false);
        let mut observer = StopsWhenJudged { stop: &stop, stops: stops == Some(ranks.rank()) };
        let mut judge = Evaluator { recipe, kit: &kit, device: &device };
        train_judged(&options.resumed(resume), Some(&mut judge), &mut observer, &stop).unwrap()
    });
    assert!(ended.iter().all(|finished| *finished == ended[0]), "{ended:?}");
    ended.swap_remove(0)
}

/// Stops a run once its first checkpoint is there, so that it ends while that is judged.
struct StopsWhenJudged<'a> {
    stop: &'a AtomicBool,
    stops: bool,
}

impl Observer for StopsWhenJudged<'_> {
    fn saved(&mut self, _checkpoint: &Path) {
        self.stop.fetch_or(self.stops, Ordering::SeqCst);
    }
}

#[test]
fn ranks_judge_a_checkpoint_together_and_any_number_goes_on_to_the_same_bytes() {
    let (dir, path, held_out) = judged(7);
    let set = [
        format!("eval.path={:?}", held_out.to_str().unwrap()),
        "eval.samples=1".into(),
        "eval.batch=1".into(),
        "eval.max_new_tokens=12".into(),
        "eval.every=2".into(),
        "train.steps=4".into(),
        "checkpoint.every=2".into(),
        "log.tensorboard=false".into(),
    ];
    let recipe = Recipe::load(&path, &set).unwrap();
    let alone = dir.path().join("alone");
    assert_eq!(shared(1, &recipe, &alone, false, None).steps, 4);
    for (count, stops) in [(2, None), (4, None), (3, Some(2))] {
        let run_dir = dir.path().join(count.to_string());
        let finished = shared(count, &recipe, &run_dir, false, stops);
        assert_eq!(finished.interrupted, stops.is_some());
        if finished.interrupted {
            assert!(!run_dir.join("eval/step-000002/report.json").exists(), "it was stopped before");
            shared(2, &recipe, &run_dir, true, None);
        }
        for name in [
            "evaluations.jsonl",
            "checkpoints/best.json",
            "eval/step-000002/samples.jsonl",
            "eval/step-000004/samples.jsonl",
            "checkpoints/step-000004/adapter_model.safetensors",
            "checkpoints/step-000004/trainer.json",
        ] {
            assert!(
                fs::read(run_dir.join(name)).unwrap() == fs::read(alone.join(name)).unwrap(),
                "{count}: {name}"
            );
        }
    }
}

#[test]
fn a_run_that_goes_back_is_judged_anew() {
    let (dir, recipe, held_out) = judged(2);
    let run_dir = dir.path().join("run");
    let set = ["train.steps=4", "eval.every=2"];
    train(&recipe, &held_out, &run_dir, &set).ok();
    let sampled =
        |step: usize| fs::read_to_string(run_dir.join(format!("eval/step-{step:06}/samples.jsonl"))).unwrap();
    let (second, fourth) = (sampled(2), sampled(4));
    // What another run may have left there.
    fs::write(run_dir.join("eval/step-000004/samples.jsonl"), &second).unwrap();
    let back = ["--resume", "--at", "2"].map(str::to_owned);
    run(args(&recipe, &held_out, &run_dir, &set).into_iter().chain(back)).ok();
    assert_eq!((sampled(2), sampled(4)), (second, fourth));
    assert_eq!(evaluations(&run_dir).len(), 2);
}

#[test]
fn rows_that_are_trained_on_choose_no_checkpoint() {
    let (_dir, data) = data_folder(&questions());
    let recipe = recipe(&data);
    let refused =
        |set: &str, parts: &[&str]| run(["train", recipe.to_str().unwrap(), "--set", set]).refused(parts);
    refused("eval.every=2", &["eval.every", "eval.path", "not trained on"]);
    refused("eval.patience=2", &["eval.patience", "eval.every"]);
}
