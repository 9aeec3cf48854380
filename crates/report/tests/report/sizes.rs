//! However long a run is, its page is bounded.

use crate::support::{Run, data, evaluation, metrics, recording, size};
use std::collections::BTreeSet;

#[test]
fn a_run_of_ten_thousand_steps_is_a_page_below_ten_megabytes() {
    let run = Run::new();
    run.lines("metrics.jsonl", (1..=10_000).map(metrics));
    let pieces: Vec<String> = (0..200).map(|n| format!(" token{n}")).collect();
    let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
    for step in (10..=10_000).step_by(10) {
        let lines = (0..2).map(|row| recording(step, row, &format!("row-{step}-{row}"), &pieces));
        run.lines(&format!("recordings/step-{step:06}.jsonl"), lines);
    }
    evaluation(&run, "before", &vec![false; 5000]);
    evaluation(&run, "step-010000", &vec![true; 5000]);
    let page = run.page();
    assert!(size(&run.path()) > 30_000_000, "{}", size(&run.path()));
    assert!(page.len() < 10_000_000, "{}", page.len());
    let found = data(&page);
    let shown = &found["runs"][0];
    let points = shown["steps"].as_array().unwrap().len();
    assert!((200..=1100).contains(&points), "{points}");
    assert_eq!(shown["series"]["loss"]["high"][0].as_f64(), Some(1.0), "a thinned curve keeps its range");
    let steps: BTreeSet<u64> =
        shown["rollouts"].as_array().unwrap().iter().map(|r| r["step"].as_u64().unwrap()).collect();
    assert!(steps.len() > 20 && steps.contains(&10), "{}", steps.len());
    assert!(steps.last() > Some(&9000), "{:?}", steps.last());
    assert!(shown["evaluations"]["items"].as_array().unwrap().len() <= 1000);
    assert_eq!(shown["evaluations"]["of"], 5000);
    assert!(page.contains("of 1000 recorded steps are shown"));
}

#[test]
fn a_short_run_is_shown_whole() {
    let run = Run::new();
    run.metrics(60);
    for step in (10..=60).step_by(10) {
        run.lines(
            &format!("recordings/step-{step:06}.jsonl"),
            (0..8).map(|row| recording(step, row, "a", &["x"; 30])),
        );
    }
    let found = data(&run.page());
    assert_eq!(found["runs"][0]["rollouts"].as_array().unwrap().len(), 48);
    assert_eq!(found["runs"][0]["steps"].as_array().unwrap().len(), 60);
}
