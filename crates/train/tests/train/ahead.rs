//! `rollout.ahead`: completions that are drawn before the update which they follow.

use crate::fake::{Fake, Trouble};
use crate::ranks::{At, all_finished, files, same_files, trained};
use crate::support::{FAMILIES, Silent, kit, questions};

use burn::tensor::Device;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use vigos_core::manifest::Manifest;
use vigos_recipe::Recipe;
use vigos_train::metrics::Metrics;
use vigos_train::{Observer, TrainOptions, train};

/// Every step has every row of the data once, and draws the most probable tokens: what a student completes of a row depends
/// on nothing but the student.
const CONFIG: &str = r#"
[model]
path = "{model}"
[data]
path = "{data}"
[method]
clip = 0
[rollout]
temperature = 0
max_new_tokens = 5
batch = 3
ahead = 1
[lora]
rank = 2
alpha = 4
[optim]
lr = 0.1
schedule = "constant"
[train]
steps = 4
batch = 2
accumulate = 2
seed = 7
[checkpoint]
every = 1
keep = 0
[log]
rollouts_every = 1
tensorboard = false
"#;

fn recipe(family: &str, folder: &Path, overrides: &[&str]) -> Recipe {
    questions(CONFIG, family, folder, 4, overrides)
}

/// The completions of a step's snapshot, by row.
fn drawn(run_dir: &Path, step: usize) -> BTreeMap<String, Value> {
    let text = fs::read_to_string(run_dir.join(format!("rollouts/step-{step:06}.jsonl"))).unwrap();
    let line = |line: &str| {
        let line: Value = serde_json::from_str(line).unwrap();
        (line["id"].as_str().unwrap().to_owned(), line["completion_token_ids"].clone())
    };
    text.lines().map(line).collect()
}

fn metrics(run_dir: &Path) -> Vec<Value> {
    let text = fs::read_to_string(run_dir.join("metrics.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_step_learns_from_what_the_student_before_the_last_update_drew() {
    for family in FAMILIES {
        let folder = tempfile::tempdir().unwrap();
        let run_dir = folder.path().join("ahead");
        all_finished(&trained(&recipe(family, folder.path(), &[]), &run_dir, 1, false));
        // What the student of each checkpoint completes, as the first step of a run that starts from it says.
        let by_student = |step: usize| {
            let from =
                format!("model.adapter={}", run_dir.join(format!("checkpoints/step-{step:06}")).display());
            let run_dir = folder.path().join(format!("from-{step}"));
            let recipe = recipe(family, folder.path(), &[&from, "rollout.ahead=0", "train.steps=1"]);
            all_finished(&trained(&recipe, &run_dir, 1, false));
            drawn(&run_dir, 1)
        };
        let [first, second] = [1, 2].map(by_student);
        assert_ne!(first, second, "{family}: the update was to change what is drawn");
        assert_eq!(drawn(&run_dir, 3), first, "{family}");
        assert_eq!(drawn(&run_dir, 4), second, "{family}");
        let lines = metrics(&run_dir);
        assert_eq!(
            lines.iter().map(|line| line["stale"].as_u64()).collect::<Vec<_>>(),
            [0, 1, 1, 1].map(Some)
        );
        let unlike: Vec<_> = lines.iter().map(|line| line["mismatch"]["logprob"].as_f64()).collect();
        assert!(unlike[0].is_none() && unlike[1..].iter().all(|u| u.is_some_and(|u| u > 1e-3)), "{unlike:?}");
    }
}

#[test]
fn a_student_that_does_not_change_draws_the_same_ahead_and_learns_the_same() {
    let folder = tempfile::tempdir().unwrap();
    // Weights are f32: an update so small is none.
    let still = ["optim.lr=1e-30", "rollout.temperature=1", "rollout.per_sample=2", "train.steps=3"];
    let still_here = [&still[..], &["rollout.ahead=0"]].concat();
    let weighted = [&still[..], &["rollout.max_weight=2"]].concat();
    let [plain, ahead, corrected] = ["plain", "ahead", "corrected"].map(|name| folder.path().join(name));
    for (overrides, run_dir) in [(&still_here, &plain), (&still.to_vec(), &ahead), (&weighted, &corrected)] {
        all_finished(&trained(&recipe(FAMILIES[0], folder.path(), overrides), run_dir, 1, false));
    }
    assert!(metrics(&plain).iter().all(|line| line.get("stale").is_none() && line.get("mismatch").is_none()));
    for step in 1..=3 {
        let snapshot =
            |run_dir: &Path| fs::read(run_dir.join(format!("rollouts/step-{step:06}.jsonl"))).unwrap();
        assert_eq!(snapshot(&ahead), snapshot(&plain));
    }
    for ((ahead, corrected), plain) in metrics(&ahead).iter().zip(&metrics(&corrected)).zip(&metrics(&plain))
    {
        assert_eq!(ahead["loss"], plain["loss"]);
        // Read by decoding and by a forward of the whole: the difference is rounding.
        let (found, wanted) = (corrected["loss"].as_f64().unwrap(), plain["loss"].as_f64().unwrap());
        assert!((found - wanted).abs() <= 1e-4 * wanted.abs(), "{found} {wanted}");
        if let Some(mismatch) = ahead.get("mismatch") {
            assert!(mismatch["logprob"].as_f64().unwrap() < 1e-4, "{mismatch}");
        }
    }
}

/// Does something when a phase begins for the nth time.
struct When<F: FnMut()> {
    phase: &'static str,
    times: usize,
    act: F,
}
impl<F: FnMut()> Observer for When<F> {
    fn phase(&mut self, phase: &'static str) {
        self.times -= usize::from(phase == self.phase && self.times > 0);
        if phase == self.phase && self.times == 0 {
            (self.act)();
        }
    }
}

#[test]
fn a_run_that_draws_ahead_is_the_same_bytes_for_any_number_of_ranks_and_wherever_it_was_cut() {
    let folder = tempfile::tempdir().unwrap();
    let overrides = [
        "rollout.temperature=1",
        "rollout.per_sample=2",
        "rollout.max_weight=2",
        "lora.dropout=0.2",
        "train.batch=4",
    ];
    let recipe = recipe(FAMILIES[1], folder.path(), &overrides);
    let [alone, shared, cut] = ["alone", "shared", "cut"].map(|name| folder.path().join(name));
    all_finished(&trained(&recipe, &alone, 1, false));
    all_finished(&trained(&recipe, &shared, 3, false));
    same_files(&shared, &alone, "three ranks");
    let (kit, device) = (kit(), Device::flex());
    let after = |step: usize, resume: bool| {
        let stop = AtomicBool::new(false);
        let options = TrainOptions::new(&recipe, &cut, &kit, &device).resumed(resume);
        let mut at = At(step, || stop.store(true, Ordering::SeqCst));
        assert_eq!(train(&options, &mut at, &stop).unwrap().steps, step);
    };
    after(1, false);
    // In the midst of the third step, and of drawing for the fourth.
    let stop = AtomicBool::new(false);
    let options = TrainOptions::new(&recipe, &cut, &kit, &device).resumed(true);
    let mut within = When { phase: "update", times: 2, act: || stop.store(true, Ordering::SeqCst) };
    let finished = train(&options, &mut within, &stop).unwrap();
    assert!(finished.interrupted && finished.steps == 2, "{finished:?}");
    after(3, true);
    all_finished(&trained(&recipe, &cut, 2, true));
    same_files(&cut, &alone, "cut three times");
    assert!(files(&alone).contains_key("checkpoints/step-000003/ahead.json"));
    assert!(
        !files(&alone).contains_key("checkpoints/step-000004/ahead.json"),
        "nothing follows the last step"
    );
}

#[test]
fn a_lost_step_is_followed_by_one_that_is_drawn_when_it_is_its_turn() {
    let folder = tempfile::tempdir().unwrap();
    let wild = ["optim.lr=1e30", "train.max_lost_steps=9"];
    let recipe = recipe(FAMILIES[0], folder.path(), &wild);
    let [alone, shared, cut] = ["alone", "shared", "cut"].map(|name| folder.path().join(name));
    all_finished(&trained(&recipe, &alone, 1, false));
    assert!(
        files(&alone).keys().any(|name| name.starts_with("rollouts/lost")),
        "the recipe was to lose steps"
    );
    all_finished(&trained(&recipe, &shared, 2, false));
    same_files(&shared, &alone, "lost steps");
    for step in 1..=4 {
        let (kit, device) = (kit(), Device::flex());
        let options = TrainOptions::new(&recipe, &cut, &kit, &device).resumed(step > 1);
        let stop = AtomicBool::new(false);
        train(&options, &mut At(step, || stop.store(true, Ordering::SeqCst)), &stop).unwrap();
    }
    same_files(&cut, &alone, "lost steps, cut");
}

/// Makes the server so slow after the first step that it is still drawing when the second has nothing else to do; then the run
/// is stopped.
struct Slowed<'a> {
    server: &'a Fake,
    is_slow: bool,
    stop: &'a AtomicBool,
}
impl Observer for Slowed<'_> {
    fn step(&mut self, _: &Metrics) {
        self.server.lasting(Some(Trouble::Slow(Duration::from_secs(300))));
        self.is_slow = true;
    }
    fn phase(&mut self, phase: &'static str) {
        if self.is_slow && phase == "rollout" {
            self.stop.store(true, Ordering::SeqCst);
        }
    }
}

#[test]
fn a_server_can_draw_ahead_too() {
    let folder = tempfile::tempdir().unwrap();
    let server = Fake::of(FAMILIES[0]);
    let [own, served] = ["own", "served"].map(|name| folder.path().join(name));
    all_finished(&trained(&recipe(FAMILIES[0], folder.path(), &[]), &own, 1, false));
    let by_server = ["rollout.engine=vllm".to_owned(), format!("rollout.url={}", server.url)];
    let by_server: Vec<&str> = by_server.iter().map(String::as_str).collect();
    all_finished(&trained(&recipe(FAMILIES[0], folder.path(), &by_server), &served, 2, false));
    for step in 1..=4 {
        assert_eq!(drawn(&served, step), drawn(&own, step), "step {step}");
    }
    let mut names = server.loaded();
    names.retain(|name| !name.contains("probe"));
    let digests: Vec<&str> = names.iter().map(|name| &name[13..]).collect();
    assert_eq!(names.len(), 4, "{names:?}");
    assert!(
        digests[0] == digests[1] && digests[1] != digests[2],
        "the second step is drawn by the first student"
    );

    // Stopped when all of a step is done but its update, and the server is still drawing for the next.
    let recipe = recipe(FAMILIES[0], folder.path(), &by_server);
    let cut = folder.path().join("cut");
    let (kit, device, stop) = (kit(), Device::flex(), AtomicBool::new(false));
    let options = TrainOptions::new(&recipe, &cut, &kit, &device);
    let mut within = Slowed { server: &server, is_slow: false, stop: &stop };
    let finished = train(&options, &mut within, &stop).unwrap();
    assert!(finished.interrupted && finished.steps == 1, "{finished:?}");
    server.lasting(None);
    all_finished(&trained(&recipe, &cut, 1, true));
    for step in 1..=4 {
        assert_eq!(drawn(&cut, step), drawn(&own, step), "step {step}");
    }
}

#[test]
fn completions_in_a_checkpoint_that_are_not_its_own_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = recipe(FAMILIES[0], folder.path(), &["train.steps=2"]);
    let run_dir = folder.path().join("run");
    let (kit, device, stop) = (kit(), Device::flex(), AtomicBool::new(false));
    let options = TrainOptions::new(&recipe, &run_dir, &kit, &device);
    train(&options, &mut At(1, || stop.store(true, Ordering::SeqCst)), &stop).unwrap();
    let checkpoint = run_dir.join("checkpoints/step-000001");
    let path = checkpoint.join("ahead.json");
    let whole: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for (change, said) in [
        ("/samples/0", "samples"),
        ("/completions/1/tokens/0", "completions[1]"),
        ("/completions/0/logprobs", "completions[0]"),
        ("/completions", "completions"),
    ] {
        let mut other = whole.clone();
        let value = other.pointer_mut(change).unwrap();
        *value = if value.is_array() { json!([]) } else { json!(4_000_000_000u32) };
        fs::write(&path, other.to_string()).unwrap();
        Manifest::write(&checkpoint).unwrap();
        let options = TrainOptions::new(&recipe, &run_dir, &kit, &device).resumed(true);
        let refused = train(&options, &mut Silent, &AtomicBool::new(false)).unwrap_err().to_string();
        assert!(refused.contains("ahead.json") && refused.contains(said), "{change}: {refused}");
    }
    // Of a student with more updates behind it than the run has.
    let mut other = whole.clone();
    other["updates"] = json!(u64::MAX);
    fs::write(&path, other.to_string()).unwrap();
    Manifest::write(&checkpoint).unwrap();
    let options = TrainOptions::new(&recipe, &run_dir, &kit, &device).resumed(true);
    assert_eq!(train(&options, &mut Silent, &AtomicBool::new(false)).unwrap().steps, 2);
}
