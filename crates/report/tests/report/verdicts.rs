//! The three sentences: what happened, whether it worked, what to look at next.

use crate::support::{Run, evaluation, metrics};
use serde_json::{Value, json};
use vigos_report::verdict;

fn with(step: usize, change: impl Fn(&mut Value)) -> Value {
    let mut line = metrics(step);
    change(&mut line);
    line
}

#[test]
fn a_run_with_evaluations_says_whether_answers_are_better() {
    let run = Run::new();
    run.metrics(4);
    evaluation(&run, "before", &[true, false, false, false]);
    evaluation(&run, "step-000004", &[true, true, true, false]);
    let found = verdict(&run.path()).unwrap();
    assert!(found.happened.starts_with("4 steps of self-distillation took 16.0 s"), "{found}");
    assert!(found.worked.starts_with("It worked: Accuracy (Avg@1) rose from 25.0 % to 75.0 %"), "{found}");
    assert!(found.next.contains("perception teacher"), "{found}");
    assert_eq!(found.warnings, [""; 0]);
}

#[test]
fn a_change_within_its_error_is_called_so() {
    let run = Run::new();
    run.metrics(4);
    let half: Vec<bool> = (0..100).map(|n| n < 50).collect();
    let more: Vec<bool> = (0..100).map(|n| n < 51).collect();
    evaluation(&run, "before", &half);
    evaluation(&run, "step-000004", &more);
    assert!(verdict(&run.path()).unwrap().worked.starts_with("Too close to tell"));
}

#[test]
fn a_run_that_taught_nothing_is_warned_of() {
    let run = Run::new();
    let line = |step| {
        with(step, |line| {
            line["terms"]["perception"]["clipped"] = json!(40);
            line["fallback_rate"] = json!(0.9);
            line["grad_norm"] = json!(0.0);
            line["lengths"]["truncated"] = json!(1.0);
            line["skipped"] = json!({"bad_row": 7});
        })
    };
    run.lines("metrics.jsonl", (1..=20).map(line));
    run.file("rollouts/lost-000003.jsonl", "");
    let found = verdict(&run.path()).unwrap();
    for what in [
        "above their clip",
        "output format",
        "rollout.max_new_tokens",
        "gradient was zero",
        "7 samples",
        "lost-*",
    ] {
        assert!(found.warnings.iter().any(|warning| warning.contains(what)), "{what}: {:?}", found.warnings);
    }
    assert!(found.next.starts_with("Look first at this"), "{found}");
}

#[test]
fn a_supervised_run_is_told_by_its_tokens() {
    let run = Run::new();
    let line = |step: usize| {
        json!({"step": step, "loss": 3.0 / step as f64, "token_accuracy": 0.05 * step as f64, "tokens": 9,
               "seconds": 0.5, "samples_per_second": 4.0, "grad_norm": 1.0, "lr": 1e-3, "skipped": {}})
    };
    run.lines("metrics.jsonl", (1..=10).map(line));
    let found = verdict(&run.path()).unwrap();
    assert!(found.happened.contains("supervised training"), "{found}");
    assert!(found.worked.contains("The loss fell from 3.00 to 0.3000"), "{found}");
}
