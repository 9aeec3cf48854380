//! What a report makes of written lines, against sums by hand.

use serde_json::json;
use std::path::Path;
use vigos_eval::lines::Line;
use vigos_eval::{Report, comparison};
use vigos_rollout::RunError;

use crate::recipe;

/// A line of an answer: item, sample, right or not, and more fields.
fn answer(item: usize, sample: usize, correct: bool, more: serde_json::Value) -> Line {
    let mut line = json!({
        "item": item, "sample": sample, "id": item.to_string(), "problem": "?", "answer": "a",
        "completion": "", "completion_token_ids": [1, 2, 3, 4], "finish_reason": "stop", "valid": false,
        "reason": "no_box", "predicted": null, "correct": correct, "spans": null,
    });
    line.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(line).unwrap()
}

fn report(lines: Vec<Line>, overrides: &[&str]) -> Report {
    let lines = lines.into_iter().map(Ok::<Line, RunError>);
    Report::new(&recipe(Path::new("."), overrides), lines).unwrap()
}

fn close(found: f64, wanted: f64) {
    assert!((found - wanted).abs() < 1e-12, "{found}, wanted {wanted}");
}

#[test]
fn items_are_averaged_and_kinds_told_apart() {
    let kind = |name: &str| json!({"kind": name});
    let spans = json!({
        "kind": "colour", "valid": true, "reason": null, "finish_reason": "length",
        "completion_token_ids": [1, 2, 3, 4, 5, 6], "spans": {"description": [0, 1], "reasoning_answer": [3, 4, 5]},
    });
    let skipped =
        json!({"item": 3, "id": "3", "origin": "d:4", "skipped": "small_image", "reason": "3 pixels"});
    let lines = vec![
        answer(0, 0, true, spans),
        answer(0, 1, false, kind("colour")),
        answer(1, 0, true, kind("shape")),
        answer(1, 1, true, kind("shape")),
        answer(2, 0, false, kind("colour")),
        answer(2, 1, false, kind("colour")),
        serde_json::from_value(skipped).unwrap(),
    ];
    let report = report(lines, &["eval.k=1"]);
    let overall = &report.overall;
    // Items: 1/2, 1, 0.
    close(overall.average.value, 0.5);
    close(overall.average.standard_error.unwrap(), (0.25f64 / 3.0).sqrt());
    assert_eq!(overall.pass, overall.average, "Pass@1 is Avg");
    close(overall.valid, 1.0 / 6.0);
    close(overall.lengths.completion, 26.0 / 6.0);
    close(overall.lengths.truncated, 1.0 / 6.0);
    assert_eq!((overall.lengths.description, overall.lengths.reasoning_answer), (2.0, 3.0));
    assert_eq!(overall.lengths.longest, 6);
    assert_eq!(report.kinds.keys().collect::<Vec<_>>(), ["colour", "shape"]);
    close(report.kinds["colour"].average.value, 0.25);
    close(report.kinds["shape"].valid, 0.0);
    assert_eq!((report.skipped["small_image"], report.prior.len()), (1, 0));

    let markdown = report.markdown();
    for part in ["| all ", "| colour ", "50.00 ± 28.87", "Pass@1", "Left out: 1 small_image"] {
        assert!(markdown.contains(part), "no {part:?} in\n{markdown}");
    }
}

#[test]
fn score_and_prior_are_means_over_triples() {
    let place = |triple: u64, role: &str, wording: &str| json!({"place": {"triple": triple, "role": role, "wording": wording}});
    let mut lines = Vec::new();
    let mut ask = |right: [bool; 2], triple, role, wording| {
        let item = lines.len() / 2;
        lines.push(answer(item, 0, right[0], place(triple, role, wording)));
        lines.push(answer(item, 1, right[1], place(triple, role, wording)));
    };
    let (yes, half, no) = ([true, true], [true, false], [false, false]);
    for (triple, prior, one, other) in [(0, yes, yes, half), (1, half, no, no), (2, yes, half, half)] {
        ask(prior, triple, "prior", "fact");
        ask(one, triple, "score", "fact");
        ask(other, triple, "score", "fact");
    }
    ask(no, 0, "prior", "plain");
    let report = report(lines, &[]);
    let fact = &report.prior["fact"];
    // Triples: Score 3/4, 0, 1/2; Prior 1, 1/2, 1.
    close(fact.score.value, 5.0 / 12.0);
    let squares: f64 = [0.75, 0.0, 0.5].iter().map(|x: &f64| (x - 5.0 / 12.0).powi(2)).sum();
    close(fact.score.standard_error.unwrap(), (squares / 6.0).sqrt());
    close(fact.prior.value, 5.0 / 6.0);
    assert_eq!((fact.score.n, fact.prior.n), (3, 3));
    assert_eq!((report.prior["plain"].score.n, report.prior["plain"].prior.value), (0, 0.0));
    assert_eq!(report.overall.average.n, 10, "alone, the suite's items are the whole");
    assert!(report.markdown().contains("| fact "), "{}", report.markdown());
}

#[test]
fn a_prior_suite_beside_other_items_has_its_own_measures_only() {
    let place = json!({"kind": "prior", "place": {"triple": 0, "role": "score", "wording": null}});
    let lines = vec![
        answer(0, 0, true, json!({})),
        answer(0, 1, true, json!({})),
        answer(1, 0, false, place.clone()),
        answer(1, 1, false, place),
    ];
    let report = report(lines, &[]);
    assert_eq!((report.asked, report.overall.average.n, report.overall.average.value), (2, 1, 1.0));
    assert_eq!((report.kinds.len(), report.prior["all"].score.value), (0, 0.0));
}

#[test]
fn reports_are_set_side_by_side() {
    let place = json!({"place": {"triple": 0, "role": "score", "wording": "fact"}});
    let lines = |right: bool| {
        vec![
            answer(0, 0, right, json!({})),
            answer(0, 1, true, json!({})),
            answer(1, 0, right, place.clone()),
            answer(1, 1, right, place.clone()),
        ]
    };
    let (before, after) = (report(lines(false), &[]), report(lines(true), &[]));
    let table = comparison(&[("before", &before), ("after", &after)]);
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split('|').map(str::trim).filter(|c| !c.is_empty()).collect())
        .collect();
    assert_eq!(rows[0], ["before", "after", "change"]);
    assert!(rows.contains(&vec!["accuracy (Avg@2), %", "50.00", "100.00", "+50.0"]), "{table}");
    assert!(rows.contains(&vec!["Score (fact), %", "0.00", "100.00", "+100.0"]), "{table}");
    assert!(rows.contains(&vec!["tokens of a completion", "4.0", "4.0", "+0.0"]), "{table}");
    assert!(!table.contains("Prior"), "there is no such item:\n{table}");
    assert_eq!(comparison(&[]), "");
}
