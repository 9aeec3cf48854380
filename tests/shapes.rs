//! The main job on the world of shapes, in small, and the model that comes for it.

use crate::support;

use serde_json::Value;
use std::path::Path;
use support::{root, run};

fn report(folder: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join("report.json")).unwrap()).unwrap()
}

fn recipe(command: &str, folder: &Path, set: &[&str]) -> support::Ran {
    let folder = folder.to_str().unwrap();
    let set = set.iter().flat_map(|change| ["--set", change]);
    run([command, "configs/shapes.toml", "--run-dir", folder].into_iter().chain(set))
}

#[test]
fn the_shipped_model_keeps_the_format_and_says_what_is_usual_instead_of_what_it_sees() {
    let dir = tempfile::tempdir().unwrap();
    let set = ["eval.path=shapes:prior?splits.prior=30", "eval.prior="];
    recipe("eval", dir.path(), &set).ok();
    let report = report(dir.path());
    assert_eq!(report["overall"]["valid"], 1.0);
    for wording in ["fact", "plain"] {
        let suite = &report["prior"][wording];
        let (score, prior) = (&suite["score"]["value"], &suite["prior"]["value"]);
        assert!(score.as_f64().unwrap() < 0.4, "{suite}");
        assert!(prior.as_f64().unwrap() > 0.8, "{suite}");
    }
}

#[test]
fn the_main_job_ends_with_before_and_after_side_by_side() {
    let dir = tempfile::tempdir().unwrap();
    let set = ["train.steps=2", "train.batch=4", "eval.limit=4", "eval.prior=shapes:prior?splits.prior=2"];
    let ran = recipe("train", dir.path(), &set).ok();
    for row in ["valid format", "accuracy", "Score (fact)", "Prior (plain)", "tokens of a completion"] {
        assert!(ran.stdout.contains(row), "{}", ran.stdout);
    }
    assert!(ran.stdout.contains("before") && ran.stdout.contains("step-000002"), "{}", ran.stdout);
    // What to try next can be pasted as it is.
    let (_, next) = ran.stderr.split_once("what next:").unwrap();
    let (command, rest) = next.split_once(" generate ").unwrap();
    let (arguments, _) = rest.split_once("\n  a model that needs no adapter").unwrap();
    let command = format!("{} generate {arguments}", command.lines().last().unwrap().trim());
    let told = std::process::Command::new("sh").arg("-c").arg(&command).current_dir(root()).output().unwrap();
    assert!(told.status.success(), "{command}: {}", String::from_utf8_lossy(&told.stderr));
    assert!(next.contains(" palr ") && next.contains(" merge "), "{next}");
    let config = dir.path().join("config.toml");
    assert!(next.contains(config.to_str().unwrap()), "with the overrides of the run: {next}");
    let again = tempfile::tempdir().unwrap();
    let same = recipe("train", again.path(), &set).ok();
    assert_eq!(ran.stdout, same.stdout);
    assert_eq!(report(&dir.path().join("eval/before")), report(&again.path().join("eval/before")));
}
