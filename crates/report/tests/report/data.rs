//! What the page shows is what the run's files have.

use crate::support::{Run, data, evaluation, recording, rollout};
use serde_json::{Value, json};
use vigos_report::{Limits, ReportError, page};

#[test]
fn curves_have_the_values_of_the_metrics() {
    let run = Run::new();
    run.metrics(4);
    let data = data(&run.page());
    let found = &data["runs"][0];
    assert_eq!(found["steps"], json!([1.0, 2.0, 3.0, 4.0]));
    assert_eq!(found["series"]["loss"]["mean"], json!([1.0, 0.5, 0.33333, 0.25]));
    assert_eq!(found["series"]["terms/perception/clipped_share"]["mean"][0], json!(0.25));
    assert_eq!(found["series"]["valid_rate"]["mean"][0], json!(0.75));
    assert!(found["series"]["loss"].get("low").is_none(), "every point is one step");
    // Every metric but counts and the epoch is drawn.
    let drawn: Vec<&str> = data["charts"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|c| c["lines"].as_array().unwrap())
        .map(|line| line[0].as_str().unwrap())
        .collect();
    for name in
        ["loss", "terms/perception/kl", "grad_norm", "lr", "lengths/mean", "seconds/update", "accuracy"]
    {
        assert!(drawn.contains(&name), "{name}: {drawn:?}");
    }
}

#[test]
fn a_token_has_the_numbers_of_the_recording() {
    let run = Run::new();
    run.metrics(4);
    run.lines("recordings/step-000002.jsonl", [recording(2, 0, "a", &["a", " cup"])]);
    run.lines("rollouts/step-000002.jsonl", [rollout("a", "a cup")]);
    let data = data(&run.page());
    let file: Value = {
        let text = std::fs::read_to_string(run.path().join("recordings/step-000002.jsonl")).unwrap();
        serde_json::from_str(text.trim()).unwrap()
    };
    let shown = &data["runs"][0]["rollouts"][0];
    for column in ["ids", "pieces", "spans", "logprob", "entropy", "rank", "top"] {
        assert_eq!(shown["tokens"][column], file["tokens"][column], "{column}");
    }
    for column in ["teacher", "positions", "kl", "clipped", "logprob", "entropy", "rank", "top", "when", "of"]
    {
        assert_eq!(shown["supervised"][0][column], file["supervised"][0][column], "{column}");
    }
    assert_eq!(shown["texts"], file["texts"]);
    assert_eq!(shown["kind"], "object⟨U+001B⟩", "what it is filtered by, as a text of strangers");
    let text = |place: &Value| &data["texts"][place.as_u64().unwrap() as usize];
    assert_eq!(
        (text(&shown["problem"]), text(&shown["prompts"][0]["text"])),
        (&file["problem"], &json!("Describe it."))
    );
    assert_eq!(
        data["pictures"][shown["images"][0].as_u64().unwrap() as usize],
        json!("data:image/png;base64,iVBORw0KGgo=")
    );
}

#[test]
fn a_run_without_recordings_shows_its_completions_and_says_what_is_missing() {
    let run = Run::new();
    run.metrics(4);
    run.lines("rollouts/step-000002.jsonl", [rollout("old", "a cup")]);
    let page = run.page();
    let shown = &data(&page)["runs"][0]["rollouts"][0];
    assert_eq!((shown["completion"].as_str(), shown["reason"].as_str()), (Some("a cup"), Some("no_box")));
    assert!(page.contains("log.record.tokens turns recording on"));
    assert!(page.contains("eval.around = true"));
}

#[test]
fn evaluations_stand_side_by_side_and_changed_items_come_first() {
    let run = Run::new();
    run.metrics(4);
    evaluation(&run, "before", &[true, false, true, false]);
    evaluation(&run, "step-000004", &[true, true, true, true]);
    let page = run.page();
    let found = &data(&page)["runs"][0]["evaluations"];
    assert_eq!(found["names"], json!(["before", "step-000004"]));
    assert_eq!(found["rows"][0]["values"][1]["value"], json!(1.0));
    let ids: Vec<&str> =
        found["items"].as_array().unwrap().iter().map(|i| i["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["item-1", "item-3", "item-0", "item-2"]);
    assert!(page.contains("50.00 ± 1.00") && page.contains("+50.0"), "the table is there without a script");
}

#[test]
fn runs_share_a_page_and_its_curves() {
    let (one, other) = (Run::new(), Run::new());
    one.metrics(4);
    other.metrics(8);
    let page = page(&[one.path(), other.path()], &Limits::default()).unwrap();
    let runs = data(&page)["runs"].clone();
    assert_eq!(
        (runs[0]["steps"].as_array().unwrap().len(), runs[1]["steps"].as_array().unwrap().len()),
        (4, 8)
    );
}

#[test]
fn a_folder_without_a_run_is_refused_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let error = page(&[folder.path().to_owned()], &Limits::default()).unwrap_err();
    assert!(error.is_input() && error.to_string().contains(folder.path().to_str().unwrap()), "{error}");
    let many = vec![folder.path().to_owned(); 33];
    assert!(matches!(page(&many, &Limits::default()), Err(ReportError::TooMany { found: 33, .. })));
}

#[test]
fn the_whole_file_is_written_under_its_name() {
    let run = Run::new();
    run.metrics(2);
    let out = run.path().join("report.html");
    let bytes = vigos_report::write(&[run.path()], &out, &Limits::default()).unwrap();
    assert_eq!(std::fs::read(&out).unwrap().len(), bytes);
}
