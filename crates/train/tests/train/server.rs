//! Runs whose completions a server draws.

use crate::fake::{Fake, Trouble};
use crate::support;

use burn::tensor::Device;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use support::{FAMILIES, kit, questions};
use vigos_ranks::Threads;
use vigos_recipe::Recipe;
use vigos_rollout::RunError;
use vigos_train::metrics::Metrics;
use vigos_train::{Finished, Observer, TrainOptions, train};

/// Completions of the most probable tokens: whoever draws them draws the same.
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
per_sample = 2
patience = 30
[lora]
rank = 2
alpha = 4
dropout = 0.2
[optim]
lr = 1e-2
[train]
steps = 3
batch = 2
accumulate = 3
seed = 7
[checkpoint]
every = 0
[log]
rollouts_every = 1
tensorboard = false
"#;

fn recipe(family: &str, folder: &Path, overrides: &[&str]) -> Recipe {
    questions(CONFIG, family, folder, 7, overrides)
}

/// The same, by a server.
fn served(family: &str, folder: &Path, server: &Fake, overrides: &[&str]) -> Recipe {
    let url = format!("rollout.url={}", server.url);
    let more = ["rollout.engine=vllm", &url];
    recipe(family, folder, &more.into_iter().chain(overrides.iter().copied()).collect::<Vec<_>>())
}

/// Does something when a step is done, and keeps what is said.
struct Seen<'a> {
    at: &'a dyn Fn(usize),
    notes: Vec<String>,
}

impl Observer for Seen<'_> {
    fn step(&mut self, metrics: &Metrics) {
        (self.at)(metrics.step);
    }
    fn note(&mut self, text: &str) {
        self.notes.push(text.to_owned());
    }
}

fn run(
    recipe: &Recipe,
    run_dir: &Path,
    resume: bool,
    at: &dyn Fn(usize),
) -> (Result<Finished, RunError>, Vec<String>) {
    let (kit, device) = (kit(), Device::flex());
    let options = TrainOptions::new(recipe, run_dir, &kit, &device).resumed(resume);
    let mut observer = Seen { at, notes: Vec::new() };
    let ended = train(&options, &mut observer, &AtomicBool::new(false));
    (ended, observer.notes)
}

fn finished(recipe: &Recipe, run_dir: &Path) -> Vec<String> {
    let (ended, notes) = run(recipe, run_dir, false, &|_| ());
    assert_eq!(ended.unwrap().steps, 3);
    notes
}

fn metrics(run_dir: &Path) -> Vec<Value> {
    let text = fs::read_to_string(run_dir.join("metrics.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What a run comes to: the trained adapter, the optimiser, and all completions.
fn outcome(run_dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let last = run_dir.join("checkpoints/step-000003");
    let mut files = vec![last.join("adapter_model.safetensors"), last.join("optimizer.safetensors")];
    files.extend((1..=3).map(|step| run_dir.join(format!("rollouts/step-{step:06}.jsonl"))));
    let read = |path: PathBuf| (path.strip_prefix(run_dir).unwrap().to_owned(), fs::read(&path).unwrap());
    files.into_iter().map(read).collect()
}

#[track_caller]
fn same_outcome(found: &Path, wanted: &Path) {
    for ((name, found), (_, wanted)) in outcome(found).into_iter().zip(outcome(wanted)) {
        assert!(found == wanted, "{} differs", name.display());
    }
}

#[test]
fn a_server_that_draws_what_the_student_would_changes_nothing_for_any_number_of_ranks() {
    for family in FAMILIES {
        let folder = tempfile::tempdir().unwrap();
        let server = Fake::of(family);
        let [own, by_one, by_two] = ["own", "one", "two"].map(|name| folder.path().join(name));
        finished(&recipe(family, folder.path(), &[]), &own);
        let recipe = served(family, folder.path(), &server, &[]);
        let notes = finished(&recipe, &by_one);
        assert!(!notes.iter().any(|note| note.contains("mismatch")), "{notes:?}");
        same_outcome(&by_one, &own);
        for line in metrics(&by_one) {
            let of = |key: &str| line["mismatch"][key].as_f64().unwrap();
            assert!(of("logprob") < 1e-4 && of("beyond") == 0.0 && of("effective") > 0.999, "{line}");
        }
        assert!(metrics(&own).iter().all(|line| line.get("mismatch").is_none()));
        // Every step had the adapter as it was then, and nothing of it is left.
        let mut names: Vec<String> = server.loaded();
        names.retain(|name| !name.contains("probe"));
        let steps: Vec<&str> = names.iter().filter_map(|name| name.get(..12)).collect();
        assert_eq!(steps, ["vigos-000000", "vigos-000001", "vigos-000002"]);
        assert!(server.adapters().is_empty() && !by_one.join("serving").exists());

        let ended = Threads::run(2, |ranks| {
            let (kit, device) = (kit(), Device::flex());
            let options = TrainOptions { ranks, ..TrainOptions::new(&recipe, &by_two, &kit, &device) };
            train(&options, &mut support::Silent, &AtomicBool::new(false)).unwrap().steps
        });
        assert_eq!(ended, [3, 3]);
        same_outcome(&by_two, &own);
    }
}

#[test]
fn trouble_that_passes_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let server = Fake::of(FAMILIES[0]);
    let [own, troubled] = ["own", "troubled"].map(|name| folder.path().join(name));
    finished(&recipe(FAMILIES[0], folder.path(), &[]), &own);
    let recipe = served(FAMILIES[0], folder.path(), &server, &["rollout.patience=4"]);
    let probes = [Trouble::Gone, Trouble::Failed];
    server.troubles(probes);
    let (ended, _) = run(&recipe, &troubled, false, &|step| {
        server.troubles(match step {
            1 => vec![
                Trouble::Slow(Duration::from_millis(4500)),
                Trouble::Restarted,
                Trouble::Garbled,
                Trouble::Huge,
                Trouble::OtherModel,
            ],
            _ => vec![Trouble::OtherPrompt, Trouble::NoToken, Trouble::Gone],
        });
    });
    assert_eq!(ended.unwrap().steps, 3);
    // Those after the last step meet nobody.
    assert_eq!(server.left(), 3);
    same_outcome(&troubled, &own);
}

#[test]
fn trouble_that_lasts_ends_the_run_with_all_steps_saved_and_it_goes_on_when_the_server_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("own");
    finished(&recipe(FAMILIES[0], folder.path(), &[]), &own);
    for (trouble, words) in [
        (Trouble::Failed, "EngineCore died"),
        (Trouble::NoToken, "token 1000000"),
        (Trouble::OtherPrompt, "token 0 of the prompt"),
        (Trouble::OtherModel, "`base` answered"),
        (Trouble::Gone, "127.0.0.1"),
    ] {
        let server = Fake::of(FAMILIES[0]);
        let recipe = served(FAMILIES[0], folder.path(), &server, &["rollout.patience=0.5"]);
        let cut = folder.path().join(format!("{trouble:?}"));
        let (ended, _) = run(&recipe, &cut, false, &|step| {
            if step == 2 {
                server.lasting(Some(trouble));
            }
        });
        let error = ended.unwrap_err();
        assert!(matches!(&error, RunError::Server { url, .. } if *url == server.url) && !error.is_input());
        let told = error.to_string();
        assert!(told.contains(words) && told.contains("rollout.patience"), "{told}");
        assert!(cut.join("checkpoints/step-000002/manifest.json").is_file());
        server.lasting(None);
        let (ended, _) = run(&recipe, &cut, true, &|_| ());
        assert_eq!(ended.unwrap().steps, 3);
        same_outcome(&cut, &own);
    }
}

#[test]
fn updates_of_the_vision_tower_are_refused_where_the_server_leaves_them_out() {
    let folder = tempfile::tempdir().unwrap();
    let server = Fake::with(FAMILIES[0], false, 0.0);
    let whole = served(FAMILIES[0], folder.path(), &server, &[]);
    let (ended, _) = run(&whole, &folder.path().join("whole"), false, &|_| ());
    let error = ended.unwrap_err();
    assert!(error.is_input(), "{error}");
    let told = error.to_string();
    assert!(told.contains("lora.targets") && told.contains("--enable-tower-connector-lora"), "{told}");
    assert!(server.adapters().is_empty());
    let decoder = ["lora.targets=[\"q_proj\", \"v_proj\"]"];
    let [own, decoders] = ["own", "decoder"].map(|name| folder.path().join(name));
    finished(&recipe(FAMILIES[0], folder.path(), &decoder), &own);
    finished(&served(FAMILIES[0], folder.path(), &server, &decoder), &decoders);
    same_outcome(&decoders, &own);
}

#[test]
fn a_server_of_other_probabilities_is_told_of_and_its_tokens_count_for_what_they_are_here() {
    let folder = tempfile::tempdir().unwrap();
    // Every token is twice as probable here as the server says.
    let skew = 2f64.ln();
    let first = |name: &str, overrides: &[&str]| {
        let server = Fake::with(FAMILIES[0], true, skew);
        let run_dir = folder.path().join(name);
        let notes = finished(&served(FAMILIES[0], folder.path(), &server, overrides), &run_dir);
        (metrics(&run_dir).remove(0), notes)
    };
    let (plain, notes) = first("plain", &[]);
    let of = |line: &Value, key: &str| line.pointer(key).and_then(Value::as_f64).unwrap();
    assert!((of(&plain, "/mismatch/logprob") - skew).abs() < 1e-3, "{plain}");
    assert!(of(&plain, "/mismatch/beyond") == 1.0 && of(&plain, "/mismatch/effective") > 0.999, "{plain}");
    let told = notes.iter().filter(|note| note.contains("mismatch/logprob")).count();
    assert_eq!(told, 1, "{notes:?}");
    for (most, weight) in [("4", 2.0), ("1.5", 1.5)] {
        let (weighted, _) = first(most, &[&format!("rollout.max_weight={most}")]);
        for key in ["/loss", "/grad_norm"] {
            let (found, wanted) = (of(&weighted, key), weight * of(&plain, key));
            assert!((found / wanted - 1.0).abs() < 1e-3, "{most}: {key} is {found}, wanted {wanted}");
        }
    }
}
