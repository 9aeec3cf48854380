//! What sending metrics promises, against a server that answers as MLflow's documentation says.
#![allow(clippy::unwrap_used, unreachable_pub)] // In helpers too.

mod server;

use serde_json::{Value, json};
use server::Mlflow;
use std::path::Path;
use vigos_trackers::{Access, End, Sending, Server, TrackError};

fn run(folder: &Path, steps: usize) {
    std::fs::write(folder.join("config.toml"), "[optim]\nlr = 0.001\n[model]\npath = \"m\"\n").unwrap();
    let line = |step| {
        json!({"step": step, "loss": 0.5, "terms": {"a b": {"kl": 1.5}}, "skipped": {}, "lost": null})
            .to_string()
    };
    let lines: String = (1..=steps).map(|step| line(step) + "\n").collect();
    std::fs::write(folder.join("metrics.jsonl"), lines).unwrap();
}

fn send(folder: &Path, server: &Mlflow, end: End) -> Result<u64, TrackError> {
    let named = Server::new(&server.address, "tests", Access::Token("secret".into())).unwrap();
    Sending::begin(folder, named).finish(end)
}

fn keys(asked: &[(String, Value)]) -> Vec<(String, f64, i64)> {
    let batches =
        asked.iter().filter(|(path, body)| path.ends_with("log-batch") && body.get("metrics").is_some());
    let metrics = batches.flat_map(|(_, body)| body["metrics"].as_array().unwrap().clone());
    metrics
        .map(|m| {
            (m["key"].as_str().unwrap().into(), m["value"].as_f64().unwrap(), m["step"].as_i64().unwrap())
        })
        .collect()
}

#[test]
fn every_number_of_every_step_arrives_once_with_the_recipe() {
    let folder = tempfile::tempdir().unwrap();
    let server = Mlflow::start(0);
    run(folder.path(), 2);
    assert_eq!(send(folder.path(), &server, End::Finished).unwrap(), 2);
    let asked = server.asked();
    let wanted = |step| [("loss".to_owned(), 0.5, step), ("terms/a b/kl".to_owned(), 1.5, step)];
    assert_eq!(keys(&asked), [wanted(1), wanted(2)].concat());
    let begun = asked.iter().find(|(path, _)| path.ends_with("runs/create")).unwrap();
    assert_eq!(begun.1["experiment_id"], "7");
    let parameters = asked.iter().find(|(_, body)| body.get("params").is_some()).unwrap();
    assert_eq!(
        parameters.1["params"],
        json!([{"key": "model.path", "value": "m"}, {"key": "optim.lr", "value": "0.001"}])
    );
    let (path, last) = asked.last().unwrap();
    assert!(path.ends_with("runs/update") && last["status"] == "FINISHED", "{last}");
}

#[test]
fn a_run_that_goes_on_goes_on_in_the_same_place_and_sends_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let server = Mlflow::start(0);
    run(folder.path(), 2);
    send(folder.path(), &server, End::Killed).unwrap();
    run(folder.path(), 3);
    assert_eq!(send(folder.path(), &server, End::Finished).unwrap(), 3);
    let asked = server.asked();
    assert_eq!(asked.iter().filter(|(path, _)| path.ends_with("runs/create")).count(), 1);
    let steps: Vec<i64> = keys(&asked).iter().map(|(_, _, step)| *step).collect();
    assert_eq!(steps, [1, 1, 2, 2, 3, 3]);
}

#[test]
fn what_a_server_missed_follows_when_it_answers_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = Mlflow::start(2);
    run(folder.path(), 1);
    assert_eq!(send(folder.path(), &server, End::Finished).unwrap(), 1);
    assert_eq!(keys(&server.asked()).len(), 2);
}

#[test]
fn many_steps_come_in_batches_that_the_server_takes() {
    let folder = tempfile::tempdir().unwrap();
    let server = Mlflow::start(0);
    run(folder.path(), 1501);
    assert_eq!(send(folder.path(), &server, End::Finished).unwrap(), 1501);
    let asked = server.asked();
    let sizes = asked.iter().filter_map(|(_, body)| Some(body.get("metrics")?.as_array()?.len()));
    assert!(sizes.clone().all(|size| size <= 1000) && sizes.sum::<usize>() == 3002);
}

#[test]
fn a_server_that_is_none_is_named_and_its_words_are_told() {
    let refused = Server::new("./mlruns", "tests", Access::Open).unwrap_err();
    assert!(refused.to_string().contains("wanted the address of a server"), "{refused}");
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), 1);
    let server = Mlflow::start(1000);
    let error = send(folder.path(), &server, End::Finished).unwrap_err().to_string();
    assert!(error.contains("503: not now") && !error.contains("secret"), "{error}");
}
