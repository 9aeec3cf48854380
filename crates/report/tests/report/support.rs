//! Runs for tests, and the data of a page.

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use vigos_core::jsonl::JsonLines;
use vigos_recording::{Column, Picture, Recording, Shown, Supervision, Tokens, Top, VERSION, Who};
use vigos_report::Limits;

/// A run's folder that is being filled.
pub struct Run {
    folder: TempDir,
}

impl Run {
    /// An empty one with a recipe.
    pub fn new() -> Self {
        let run = Self { folder: tempfile::tempdir().unwrap() };
        run.file(
            "config.toml",
            "[model]\npath = \"assets/m\"\n[data]\npath = \"d.jsonl\"\n[train]\nsteps = 4\n",
        );
        run
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    pub fn file(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub fn lines<T: serde::Serialize>(&self, name: &str, lines: impl IntoIterator<Item = T>) {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut file = JsonLines::append(&path).unwrap();
        lines.into_iter().for_each(|line| file.write(&line).unwrap());
    }

    /// Metrics of some steps.
    pub fn metrics(&self, steps: usize) {
        self.lines("metrics.jsonl", (1..=steps).map(metrics));
    }

    pub fn page(&self) -> String {
        vigos_report::page(&[self.path()], &Limits::default()).unwrap()
    }
}

/// A line of metrics as self-distillation writes it.
pub fn metrics(step: usize) -> Value {
    let loss = 1.0 / step as f64;
    json!({
        "step": step, "epoch": 0.1, "loss": loss,
        "terms": {"perception": {"loss": loss, "kl": 2.0 * loss, "tokens": 40, "clipped": 10}},
        "accuracy": 0.5, "fallback_rate": 0.25, "grad_norm": 1.5, "lr": 1e-3, "skipped": {},
        "lengths": {"mean": 30.5, "max": 40, "truncated": 0.0},
        "seconds": {"rollout": 2.0, "scoring": 1.0, "update": 1.0},
        "tokens_per_second": {"rollout": 100.0, "scoring": 400.0, "update": 300.0},
    })
}

/// A recorded rollout of these tokens, the first one taught.
pub fn recording(step: usize, row: usize, id: &str, pieces: &[&str]) -> Recording {
    let count = pieces.len();
    let top = Top { ids: vec![0, 9000], logprobs: Column(vec![-0.25, -1.75]) };
    Recording {
        version: VERSION,
        step,
        row,
        id: id.into(),
        problem: "What is it?".into(),
        answer: "a cup".into(),
        kind: Some("object\u{1b}".into()),
        finish_reason: "stop".into(),
        valid: true,
        predicted: Some("a cup".into()),
        correct: true,
        temperature: 1.0,
        prompts: vec![Shown { role: "student".into(), text: "Describe it.".into() }],
        images: vec![Picture { width: 1, height: 1, kind: "image/png".into(), data: "iVBORw0KGgo=".into() }],
        length: count,
        tokens: Tokens {
            ids: (0..count as u32).collect(),
            pieces: pieces.iter().map(|piece| (*piece).to_owned()).collect(),
            spans: "d".repeat(count),
            logprob: Column((0..count).map(|at| -0.123_45 - at as f64).collect()),
            entropy: Column(vec![0.75; count]),
            rank: (1..=count as u32).collect(),
            top: vec![top.clone(); count],
        },
        supervised: vec![Supervision {
            who: Who {
                teacher: "perception".into(),
                context: vec!["image".into()],
                of: vec!["description".into()],
                when: "valid".into(),
                divergence: "forward".into(),
                weight: 1.0,
            },
            positions: vec![0],
            kl: Column(vec![0.031_25]),
            clipped: "1".into(),
            logprob: Column(vec![-0.5]),
            entropy: Column(vec![0.625]),
            rank: vec![2],
            top: vec![top],
        }],
        texts: [(9000, " jug".to_owned())].into(),
        ..Recording::default()
    }
}

/// A line of a snapshot of a run without recordings.
pub fn rollout(id: &str, completion: &str) -> Value {
    json!({
        "id": id, "problem": "What is it?", "answer": "a cup", "completion": completion,
        "completion_token_ids": [1, 2, 3], "finish_reason": "stop", "valid": false, "reason": "no_box",
        "predicted": null, "correct": false, "spans": null,
    })
}

/// The data inside of a page, as a browser finds it.
pub fn data(page: &str) -> Value {
    let (_, rest) = page.split_once(r#"<script type="application/json" id="data">"#).unwrap();
    let (data, _) = rest.split_once("</script>").unwrap();
    serde_json::from_str(data).unwrap()
}

/// Writes an evaluation of items: whether each is right.
pub fn evaluation(run: &Run, name: &str, right: &[bool]) {
    let share = right.iter().filter(|right| **right).count() as f64 / right.len() as f64;
    let mean = json!({"value": share, "standard_error": 0.01, "n": right.len()});
    let overall = json!({
        "pass": mean, "average": mean, "valid": 1.0,
        "lengths": {"completion": 3.0, "description": 1.0, "reasoning_answer": 1.0, "longest": 4, "truncated": 0.0},
    });
    let report = json!({
        "settings": {"data": "d.jsonl", "samples": 1, "k": 1}, "asked": right.len(), "skipped": {},
        "overall": overall, "kinds": {}, "prior": {},
    });
    run.file(&format!("eval/{name}/report.json"), report.to_string());
    let line = |(item, right): (usize, &bool)| {
        json!({
            "item": item, "sample": 0, "id": format!("item-{item}"), "problem": "How many?", "answer": "2",
            "completion": "two", "predicted": if *right { "2" } else { "3" }, "valid": true, "correct": right,
        })
    };
    run.lines(&format!("eval/{name}/samples.jsonl"), right.iter().enumerate().map(line));
}

/// The bytes of all files of a folder.
pub fn size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.map(|e| if e.path().is_dir() { size(&e.path()) } else { e.metadata().unwrap().len() }).sum()
}
