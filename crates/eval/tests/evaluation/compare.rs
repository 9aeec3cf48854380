//! Runs side by side: what differs, by how much, and how sure that is.

use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use vigos_eval::compare;

/// A folder of answers: of each item its id, and which of its answers are right.
fn evaluation(folder: &Path, config: &str, items: &[(String, Vec<bool>)]) {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("config.toml"), config).unwrap();
    let lines = items.iter().enumerate().flat_map(|(item, (id, answers))| {
        answers.iter().enumerate().map(move |(sample, right)| {
            let line = json!({
                "item": item, "sample": sample, "id": id, "problem": "How many?", "answer": "3",
                "completion": "", "completion_token_ids": [], "finish_reason": "stop", "valid": false,
                "reason": null, "predicted": if *right { "3" } else { "4" }, "correct": right, "spans": null,
            });
            format!("{line}\n")
        })
    });
    fs::write(folder.join("samples.jsonl"), lines.collect::<String>()).unwrap();
}

fn one(right: bool) -> Vec<(String, Vec<bool>)> {
    vec![("x".into(), vec![right])]
}

fn two() -> (tempfile::TempDir, Vec<PathBuf>) {
    let dir = tempfile::tempdir().unwrap();
    let runs = vec![dir.path().join("one"), dir.path().join("two")];
    (dir, runs)
}

#[test]
fn answers_are_paired_by_item_and_the_difference_has_its_interval() {
    let (_dir, runs) = two();
    let first: Vec<(String, Vec<bool>)> = (0..40).map(|i| (i.to_string(), vec![i % 2 == 0, false])).collect();
    // Ten better, two worse, one that the other has not, all in another order.
    let mut second = first.clone();
    second.iter_mut().take(20).skip(1).step_by(2).for_each(|(_, answers)| *answers = vec![true, true]);
    second[0].1 = vec![false, false];
    second[2].1 = vec![false, false];
    second.reverse();
    second.push(("new".into(), vec![true, true]));
    evaluation(&runs[0], "seed = 1", &first);
    evaluation(&runs[1], "seed = 1", &second);
    let found = compare(&runs).unwrap();
    let pair = &found.pairs[0];
    assert_eq!((pair.items, pair.unpaired, pair.better, pair.worse), (40, 1, 10, 2));
    assert_eq!(pair.first.value, 0.25);
    assert!((pair.difference - (10.0 - 2.0 * 0.5) / 40.0).abs() < 1e-12, "{}", pair.difference);
    let (low, high) = pair.interval.unwrap();
    // Mean 0.225, standard error 0.0739: the normal interval is 0.080 to 0.370.
    assert!((low - 0.080).abs() < 0.025 && (high - 0.370).abs() < 0.025, "{low} {high}");
    assert_eq!(pair.disagreements.len(), 12);
    let told = &pair.disagreements[0];
    assert_eq!((told.first.right, told.this.right), (0.0, 1.0), "the largest first");
    assert_eq!(compare(&runs).unwrap(), found, "the same again");
    let text = found.markdown();
    for part in ["1 one", "2 two", "They are the same.", "+22.50", "40 items of both", "2 more differ"] {
        assert!(text.contains(part), "no {part} in {text}");
    }
    assert_eq!(serde_json::to_value(&found).unwrap()["pairs"][0]["better"], json!(10));
}

#[test]
fn what_recipes_and_metrics_differ_in_is_told() {
    let (_dir, runs) = two();
    for (run, lr, losses) in [(&runs[0], "1e-5", [3.0, 1.0, 2.0]), (&runs[1], "2e-5", [6.0, 4.0, 2.0])] {
        fs::create_dir_all(run).unwrap();
        let more = if lr == "1e-5" { "" } else { "[lora]\nrank = 4\n" };
        fs::write(run.join("config.toml"), format!("[optim]\nlr = {lr}\nsame = 1\n{more}")).unwrap();
        let line = |(loss, step): (&f64, u64)| json!({"step": step, "loss": loss, "terms": {"a": {"kl": 1}}});
        let lines = losses.iter().zip(1..).map(|pair| format!("{}\n", line(pair)));
        fs::write(run.join("metrics.jsonl"), lines.collect::<String>()).unwrap();
    }
    let found = compare(&runs).unwrap();
    let keys: Vec<&str> = found.recipe.iter().map(|difference| difference.key.as_str()).collect();
    assert_eq!(keys, ["lora.rank", "optim.lr"]);
    assert_eq!(found.recipe[0].values, [None, Some(json!(4))]);
    let loss = found.metrics.iter().find(|metric| metric.name == "loss").unwrap();
    let summed = loss.runs[0].unwrap();
    assert_eq!((summed.last, summed.mean, summed.best, summed.steps), (2.0, 2.0, Some(1.0), 3));
    assert!(found.metrics.iter().any(|metric| metric.name == "terms/a/kl"));
    assert!(found.pairs.is_empty() && found.markdown().contains("No two of them have an evaluation"));
}

#[test]
fn a_run_of_training_is_compared_by_the_last_checkpoint_that_it_evaluated() {
    let (_dir, runs) = two();
    for run in &runs {
        fs::create_dir_all(run).unwrap();
        fs::write(run.join("config.toml"), "a = 1").unwrap();
    }
    evaluation(&runs[0].join("eval/step-000002"), "", &one(false));
    evaluation(&runs[0].join("eval/step-000010"), "", &one(true));
    evaluation(&runs[1].join("eval/before"), "", &one(true));
    let found = compare(&runs).unwrap();
    assert!(found.evaluations[0].as_ref().unwrap().ends_with("eval/step-000010"));
    assert!(found.evaluations[1].as_ref().unwrap().ends_with("eval/before"));
    assert_eq!((found.pairs[0].difference, found.pairs[0].interval), (0.0, None));
}

#[test]
fn what_is_no_run_or_is_damaged_is_refused_by_name() {
    let (_dir, runs) = two();
    let refused = |words: &str| {
        let error = compare(&runs).unwrap_err();
        assert!(error.is_input() && error.to_string().contains(words), "{error}");
    };
    evaluation(&runs[0], "a = 1", &one(true));
    refused("there is no such folder");
    fs::create_dir_all(&runs[1]).unwrap();
    refused("wanted the folder of a run");
    fs::write(runs[1].join("config.toml"), "a = = 1").unwrap();
    refused("config.toml");
    fs::write(runs[1].join("config.toml"), "a = 1").unwrap();
    for line in ["{\"item\": \"x\"}\n", "[[[[", "\"text\"\n"] {
        fs::write(runs[1].join("samples.jsonl"), line).unwrap();
        refused("samples.jsonl");
    }
}
