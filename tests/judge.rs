//! `eval.judge` through the command, with the model that comes along and a server that grades by words.

use crate::support;

#[path = "../crates/judge/tests/judge/server.rs"]
mod server;

use serde_json::{Value, json};
use server::{Fake, Fault};
use std::fs;
use std::path::{Path, PathBuf};
use support::{Ran, root, vigos};

/// Questions about drawn pictures, each line changed; and their number.
fn questions(dir: &Path, name: &str, change: impl Fn(Value) -> Value) -> PathBuf {
    let world = dir.join("world");
    if !world.exists() {
        let small = ["splits.test=12", "splits.train=1", "splits.prior=1", "splits.warmup=1"];
        let small = small.iter().flat_map(|dial| ["--set", *dial]);
        let made = vigos().args(["data", "shapes", "--out"]).arg(&world).args(small).output().unwrap();
        support::ran(made).ok();
    }
    let path = world.join(name);
    let rows = fs::read_to_string(world.join("test.jsonl")).unwrap();
    let rows = rows.lines().map(|line| change(serde_json::from_str(line).unwrap()).to_string() + "\n");
    fs::write(&path, rows.collect::<String>()).unwrap();
    path
}

fn eval(run_dir: &Path, server: &Fake, set: &[&str]) -> Ran {
    let recipe = root().join("configs/shapes.toml");
    let url = format!("eval.judge.url={}", server.address);
    let fixed =
        ["eval.samples=1", "eval.max_new_tokens=80", "eval.judge.model=judge", "eval.judge.key=VIGOS_KEY"];
    let mut command = vigos();
    command.env("VIGOS_KEY", "secret").arg("eval").arg(recipe).arg("--run-dir").arg(run_dir);
    for set in fixed.iter().copied().chain([url.as_str()]) {
        command.args(["--set", set]);
    }
    support::ran(command.args(set).output().unwrap())
}

fn report(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("report.json")).unwrap()).unwrap()
}

#[test]
fn answers_that_the_grader_cannot_decide_count_for_what_the_judge_says() {
    let dir = tempfile::tempdir().unwrap();
    let server = Fake::start(&[]);
    let plain = questions(dir.path(), "plain.jsonl", |row| row);
    let data = |path: &Path| ["--data".to_owned(), path.display().to_string()];
    let asked = data(&plain);
    let all = ["--set", "eval.judge.checked=1", &asked[0], &asked[1]];
    let run_dir = dir.path().join("plain");
    eval(&run_dir, &server, &all).ok();
    let graded = report(&run_dir);
    let judge = &graded["judge"];
    let right = (graded["overall"]["average"]["value"].as_f64().unwrap() * 12.0).round() as u64;
    assert!((7..12).contains(&right), "the model is right and wrong: {right}");
    // The judge is asked about the wrong ones, which it calls wrong too, and by `checked` about the others.
    assert_eq!(judge["decided"], 12 - right, "{judge}");
    let counts = ["right", "checked", "agreed"].map(|count| judge[count].as_u64().unwrap());
    assert_eq!(counts, [0, right, right], "{judge}");

    // Of the same answers put in other words the grader knows nothing.
    let worded = |row: Value| {
        let answer = row["answer"].as_str().unwrap().to_owned();
        let mut row = row;
        row["answer"] = json!(format!("{answer} <AND> {answer}"));
        row
    };
    let asked = data(&questions(dir.path(), "worded.jsonl", worded));
    let run_dir = dir.path().join("worded");
    let ran = eval(&run_dir, &server, &[&asked[0], &asked[1]]).ok();
    let judged = report(&run_dir);
    assert_eq!(judged["overall"]["average"], graded["overall"]["average"]);
    assert_eq!((&judged["judge"]["decided"], &judged["judge"]["right"]), (&json!(12), &json!(right)));
    assert!(ran.stdout.contains("Judge `judge`: 12 answers count for what it says"), "{}", ran.stdout);
    assert!(ran.stderr.contains("judge: ") && ran.stderr.contains("tokens read"), "{}", ran.stderr);
    assert!(
        !ran.stderr.contains("secret")
            && !fs::read_to_string(run_dir.join("config.toml")).unwrap().contains("secret")
    );
}

#[test]
fn mm_vet_is_graded_in_part_and_goes_on_after_the_server_was_away() {
    let dir = tempfile::tempdir().unwrap();
    let vet = |row: Value| {
        let answer = format!("{}<AND>zebra", row["answer"].as_str().unwrap());
        json!({
            "question_id": row["id"], "image": row["image"], "question": row["problem"], "answer": answer,
            "image_source": "made", "capability": "rec,spat",
        })
    };
    let path = questions(dir.path(), "vet.jsonl", vet);
    let suites = format!("eval.suites=[{:?}]", format!("mm-vet={}", path.display()));
    let (whole, cut) = (dir.path().join("whole"), dir.path().join("cut"));
    let ran = eval(&whole, &Fake::start(&[]), &["--set", &suites]).ok();
    assert!(ran.stdout.contains("| mm-vet "), "{}", ran.stdout);
    let suite = report(&whole.join("mm-vet"));
    let mean = suite["overall"]["average"]["value"].as_f64().unwrap();
    // Half of what is wanted, of those that are right.
    assert!(mean > 0.25 && mean < 0.5, "{mean}");
    assert_eq!(suite["judge"]["right"].as_f64().unwrap(), mean * 2.0 * 12.0);
    assert!(suite["kinds"]["rec,spat"].is_object());

    let faults = [Fault::Slow, Fault::Status(500), Fault::Gone, Fault::Status(400)];
    let faulty = Fake::start(&faults);
    let ran = eval(&cut, &faulty, &["--set", &suites]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    assert!(ran.stderr.contains("400: not now"), "{}", ran.stderr);
    eval(&cut, &faulty, &["--set", &suites, "--resume"]).ok();
    for name in ["report.md", "report.json", "mm-vet/samples.jsonl", "mm-vet/report.json"] {
        assert!(fs::read(whole.join(name)).unwrap() == fs::read(cut.join(name)).unwrap(), "{name} differs");
    }
}

#[test]
fn a_suite_that_needs_a_judge_is_refused_without_one() {
    let dir = tempfile::tempdir().unwrap();
    let recipe = root().join("configs/shapes.toml");
    let ask = |set: &[&str]| {
        let mut command = vigos();
        command.arg("eval").arg(&recipe).arg("--run-dir").arg(dir.path().join("run"));
        support::ran(command.args(set.iter().flat_map(|set| ["--set", *set])).output().unwrap())
    };
    ask(&["eval.suites=[\"mm-vet\"]"]).refused(&["eval.judge.url", "mm-vet", "language model"]);
    ask(&["eval.judge.url=localhost"]).refused(&["eval.judge.url", "http://"]);
    ask(&["eval.judge.url=http://127.0.0.1:1/v1"]).refused(&["eval.judge.model"]);
    let prompt = dir.path().join("prompt.txt");
    fs::write(&prompt, "{problem} {answer}").unwrap();
    let prompt = format!("eval.judge.prompt={}", prompt.display());
    ask(&["eval.judge.url=http://127.0.0.1:1/v1", "eval.judge.model=x", &prompt]).refused(&["{reference}"]);
}
