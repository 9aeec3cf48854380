//! `vigos experiment` through the command.

use crate::support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use support::{Ran, data_folder, questions, recipe, run, vigos};

/// Writes an experiment of two methods and two seeds beside the data file at `data`.
fn experiment(data: &Path, name: &str) -> PathBuf {
    let recipe = recipe(data);
    let beside = |end: &str| data.with_file_name(format!("{name}-{end}"));
    let text = format!(
        "title = \"Two methods\"\nrecipe = {recipe:?}\nruns = {:?}\nresults = {:?}\nseeds = [1, 2]\n\
         set = [\"eval.samples=1\", \"eval.max_new_tokens=4\"]\n[[method]]\nname = \"base\"\ntrain = false\n\
         [[method]]\nname = \"OPSD\"\nset = [\"method.preset=opsd\"]\n[[method]]\nname = \"ViGOS\"\n",
        beside("runs"),
        beside("results"),
    );
    let path = beside("experiment.toml");
    fs::write(&path, text).unwrap();
    path
}

fn start(experiment: &Path, more: &[&str]) -> Ran {
    run(["experiment", experiment.to_str().unwrap()].iter().chain(more))
}

#[test]
fn an_experiment_prints_what_it_saves_and_is_done_once() {
    let (dir, data) = data_folder(&questions());
    let path = experiment(&data, "a");
    let plan = start(&path, &["--print-plan"]).ok();
    let lines: Vec<serde_json::Value> =
        plan.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 5);
    assert_eq!(
        (&lines[2]["method"], &lines[2]["seed"], &lines[2]["state"]),
        (&"ViGOS".into(), &1.into(), &"new".into())
    );
    start(&path, &["--report-only"]).refused(&["none of the 5 runs is done", "--report-only"]);
    assert!(!dir.path().join("a-runs").exists() && !dir.path().join("a-results").exists());

    let ran = start(&path, &[]).ok();
    assert_eq!(ran.stdout, fs::read_to_string(dir.path().join("a-results/results.md")).unwrap());
    for part in ["run 3/5: ViGOS, seed 1", "step 2/2", "run 5/5 done", "left for all", "results saved to"] {
        assert!(ran.stderr.contains(part), "no {part:?} in {}", ran.stderr);
    }
    let again = start(&path, &[]).ok();
    assert_eq!(again.stdout, ran.stdout);
    assert!(again.stderr.contains("5 of 5 runs are done already") && !again.stderr.contains("step 1/2"));
    assert_eq!(start(&path, &["--report-only"]).ok().stdout, ran.stdout);
    assert!(start(&path, &["--print-plan"]).ok().stdout.lines().all(|line| line.contains("\"done\"")));
}

#[test]
fn an_experiment_that_was_killed_goes_on_to_the_same_results() {
    let (dir, data) = data_folder(&questions());
    let (whole, killed) = (experiment(&data, "whole"), experiment(&data, "killed"));
    start(&whole, &[]).ok();
    let mut child = vigos()
        .args(["experiment", killed.to_str().unwrap()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begun = dir.path().join("killed-runs/vigos/seed-1/checkpoints");
    while !begun.exists() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!dir.path().join("killed-results").exists());
    start(&killed, &[]).ok();
    for name in ["results.json", "results.md", "score.svg", "losses.png"] {
        let read = |of: &str| fs::read(dir.path().join(format!("{of}-results")).join(name)).unwrap();
        assert!(read("whole") == read("killed"), "{name} differs");
    }
}
