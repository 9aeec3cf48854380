//! Recordings of a run, and its page, through the command.

use crate::support;

use serde_json::{Value, json};
use std::path::Path;
use support::{data_folder, metrics, model, questions, recipe, run, train};
use vigos_report::glossary;

/// The lines of a file.
fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The data inside of a page.
fn data(page: &Path) -> Value {
    let text = std::fs::read_to_string(page).unwrap();
    let (_, rest) = text.split_once(r#"id="data">"#).unwrap();
    serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
}

fn close(found: &Value, wanted: f64) -> bool {
    (found.as_f64().unwrap() - wanted).abs() <= 2e-4 * wanted.abs().max(0.1)
}

#[test]
fn a_recording_has_the_divergences_of_the_loss_and_the_scores_of_the_model() {
    let (dir, rows) = data_folder(&questions());
    let run_dir = dir.path().join("run");
    let record = ["--set", "log.record.top_k=5", "--set", "train.steps=1"];
    train(&recipe(&rows), &run_dir, &record).ok();
    let recorded = lines(&run_dir.join("recordings/step-000001.jsonl"));
    let written = lines(&run_dir.join("rollouts/step-000001.jsonl"));
    assert_eq!((recorded.len(), written.len()), (2, 2));

    // The mean divergence of each teacher is that of the step's metrics.
    let terms = metrics(&run_dir)[0]["terms"].clone();
    for (name, term) in terms.as_object().unwrap() {
        let of = |column: &str| -> Vec<f64> {
            let supervised = recorded.iter().flat_map(|line| line["supervised"].as_array().unwrap());
            let own = supervised.filter(|s| s["teacher"] == name.as_str());
            own.flat_map(|s| s[column].as_array().unwrap().iter().map(|v| v.as_f64().unwrap())).collect()
        };
        let kl = of("kl");
        assert_eq!(kl.len(), term["tokens"].as_u64().unwrap() as usize, "{name}");
        if !kl.is_empty() {
            let mean = kl.iter().sum::<f64>() / kl.len() as f64;
            assert!(close(&term["kl"], mean), "{name}: {} {mean}", term["kl"]);
        }
    }

    // A new adapter changes nothing, so the student's numbers are those of `vigos score` without one.
    let input = recorded.iter().map(|line| {
        let prompt = line["prompts"][0]["text"].as_str().unwrap();
        let (_, user) = prompt.split_once("<|vision_end|>").unwrap();
        let (user, answer) = user.split_once("<|im_end|>").unwrap();
        let prefill = answer.split_once("assistant\n").unwrap().1;
        json!({"id": line["id"], "image": "wide.png", "prompt": user, "prefill": prefill,
               "completion_token_ids": line["tokens"]["ids"]})
    });
    std::fs::write(dir.path().join("in.jsonl"), input.map(|line| format!("{line}\n")).collect::<String>())
        .unwrap();
    let (input, output) = (dir.path().join("in.jsonl"), dir.path().join("out.jsonl"));
    let names = [model(), input, output.clone()].map(|path| path.to_str().unwrap().to_owned());
    run(["score", "--model", &names[0], "--input", &names[1], "--output", &names[2]]).ok();
    for ((line, score), written) in recorded.iter().zip(lines(&output)).zip(&written) {
        let tokens = &line["tokens"];
        assert_eq!(tokens["ids"], written["completion_token_ids"]);
        let count = tokens["ids"].as_array().unwrap().len();
        for at in 0..count {
            assert!(close(&tokens["logprob"][at], score["logprobs"][at].as_f64().unwrap()), "{at}: {line}");
            assert!(close(&tokens["entropy"][at], score["entropy"][at].as_f64().unwrap()), "{at}: {line}");
            let top = &tokens["top"][at];
            assert_eq!(top["ids"].as_array().unwrap().len(), 5);
            assert_eq!(top["ids"][0], score["top1"][at]);
            let place = top["ids"].as_array().unwrap().iter().position(|id| *id == tokens["ids"][at]);
            let rank = tokens["rank"][at].as_u64().unwrap() as usize;
            assert!(
                place.is_none_or(|place| place + 1 == rank) && (place.is_some() || rank > 5),
                "{at}: {line}"
            );
        }
    }
}

#[test]
fn recording_changes_no_number_and_leaves_nothing_when_it_is_off() {
    let (dir, rows) = data_folder(&questions());
    let recipe = recipe(&rows);
    let (with, without) = (dir.path().join("with"), dir.path().join("without"));
    train(&recipe, &with, &["--set", "log.record.top_k=3"]).ok();
    train(&recipe, &without, &["--set", "log.record.tokens=0"]).ok();
    assert!(with.join("recordings/step-000002.jsonl").is_file() && !without.join("recordings").exists());
    assert_eq!(metrics(&with), metrics(&without));
    assert!(support::adapter_bytes(&with, 2) == support::adapter_bytes(&without, 2), "the adapters differ");
    for step in ["rollouts/step-000001.jsonl", "rollouts/step-000002.jsonl"] {
        assert_eq!(
            std::fs::read(with.join(step)).unwrap(),
            std::fs::read(without.join(step)).unwrap(),
            "{step}"
        );
    }
}

#[test]
fn a_recording_is_bounded_by_its_keys() {
    let (dir, rows) = data_folder(&questions());
    let run_dir = dir.path().join("run");
    let keys = ["log.record.tokens=3", "log.record.image_side=20", "log.rollouts_max=1", "train.steps=1"];
    train(&recipe(&rows), &run_dir, &keys.iter().flat_map(|key| ["--set", key]).collect::<Vec<_>>()).ok();
    let recorded = lines(&run_dir.join("recordings/step-000001.jsonl"));
    assert_eq!(recorded.len(), 1);
    let line = &recorded[0];
    for column in ["ids", "pieces", "logprob", "entropy", "rank"] {
        assert_eq!(line["tokens"][column].as_array().unwrap().len(), 3, "{column}");
    }
    assert!(line["tokens"]["top"].as_array().unwrap().is_empty());
    assert!(line["length"].as_u64().unwrap() > 3);
    let [width, height] = ["width", "height"].map(|side| line["images"][0][side].as_u64().unwrap());
    assert_eq!(width.max(height), 20);
    let positions =
        line["supervised"].as_array().unwrap().iter().flat_map(|s| s["positions"].as_array().unwrap());
    assert!(positions.map(|p| p.as_u64().unwrap()).all(|position| position < 3));
}

#[test]
fn a_run_ends_with_its_page_and_three_sentences() {
    let (dir, rows) = data_folder(&questions());
    let run_dir = dir.path().join("run");
    let ran = train(&recipe(&rows), &run_dir, &["--set", "report.every=1"]).ok();
    let told: Vec<&str> = ran.stderr.lines().rev().take(3).collect();
    assert!(told[2].starts_with("2 steps of self-distillation took"), "{}", ran.stderr);
    let page = data(&run_dir.join("report.html"));
    let shown = &page["runs"][0];
    assert_eq!(shown["steps"], json!([1.0, 2.0]));
    let file = lines(&run_dir.join("recordings/step-000002.jsonl"));
    let rollout =
        shown["rollouts"].as_array().unwrap().iter().find(|r| r["step"] == 2 && r["row"] == 1).unwrap();
    assert_eq!((&rollout["tokens"], &rollout["id"]), (&file[1]["tokens"], &file[1]["id"]));
    assert_eq!(rollout["supervised"], file[1]["supervised"]);
    assert!(page["pictures"][0].as_str().unwrap().starts_with("data:image/"));
    let environment: Value =
        serde_json::from_slice(&std::fs::read(run_dir.join("environment.json")).unwrap()).unwrap();
    assert_eq!(environment["version"], env!("CARGO_PKG_VERSION"));
    assert!(environment["device"].is_string() && environment["peak_memory_bytes"].is_u64());
}

#[test]
fn a_page_is_made_of_several_runs_and_of_what_is_no_run_none() {
    let (dir, rows) = data_folder(&questions());
    let (recipe, one, other) = (recipe(&rows), dir.path().join("one"), dir.path().join("other"));
    train(&recipe, &one, &["--set", "train.steps=1"]).ok();
    train(&recipe, &other, &["--set", "train.steps=1", "--set", "log.record.tokens=0"]).ok();
    let out = dir.path().join("both.html");
    let [one, other, page] = [&one, &other, &out].map(|path| path.to_str().unwrap());
    let ran = run(["report", one, other, "--out", page]).ok();
    assert!(ran.stderr.contains("report written to"), "{}", ran.stderr);
    let found = data(&out);
    let names: Vec<&str> =
        found["runs"].as_array().unwrap().iter().map(|r| r["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["one", "other"]);
    run(["report", dir.path().to_str().unwrap(), "--out", page]).refused(&["metrics.jsonl", "folder that"]);
    run(["report", "no/such/run", "--out", page]).refused(&["no/such/run"]);
    // What is there and is no page stays.
    let metrics = Path::new(one).join("metrics.jsonl");
    let before = std::fs::read(&metrics).unwrap();
    run(["report", one, "--out", metrics.to_str().unwrap()]).refused(&["metrics.jsonl", "not a page"]);
    run(["doctor", "--trace", metrics.to_str().unwrap()]).refused(&["metrics.jsonl", "not a trace"]);
    assert!(std::fs::read(&metrics).unwrap() == before);
    run(["report", one, "--out", page]).ok();
}

#[test]
fn every_metric_that_a_run_writes_has_an_entry_in_the_glossary() {
    let (dir, rows) = data_folder(&questions());
    let run_dir = dir.path().join("run");
    let small = ["--set", "data.min_image_side=1", "--set", "train.steps=1"];
    train(&recipe(&rows), &run_dir, &small).ok();
    let demonstrations: Vec<Value> =
        (0..4).map(|i| json!({"id": i, "image": "wide.png", "prompt": "?", "completion": "yes"})).collect();
    let path = dir.path().join("given.jsonl");
    std::fs::write(&path, demonstrations.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    let text = format!(
        "[model]\npath = {:?}\n[data]\npath = {path:?}\n[train]\nsteps = 1\nbatch = 2\nweights = \"adapter\"\n",
        model()
    );
    let supervised = dir.path().join("sft.toml");
    std::fs::write(&supervised, text).unwrap();
    let sft_dir = dir.path().join("sft");
    run(["sft", supervised.to_str().unwrap(), "--run-dir", sft_dir.to_str().unwrap()]).ok();

    let mut names = 0;
    for folder in [run_dir, sft_dir] {
        for line in lines(&folder.join("metrics.jsonl")) {
            for (name, value) in vigos_core::leaves::leaves(&line, '/') {
                if !value.is_object() {
                    names += 1;
                    assert!(glossary::entry(&name).is_some(), "docs/metrics.md has no entry for `{name}`");
                }
            }
        }
    }
    assert!(names > 30, "{names}");
}
