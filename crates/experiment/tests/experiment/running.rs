//! Running an experiment on the tiny model, whole and in pieces.

use crate::{folder, kit, text};
use burn::tensor::Device;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use vigos_experiment::{Plan, Results, Run, State, Watch, report, run};
use vigos_ranks::{Alone, Threads};
use vigos_recipe::RunRecipe;
use vigos_recipe::experiment::Experiment;

/// Counts what is done, and stops when so much was begun.
struct Counter<'a> {
    stop: &'a AtomicBool,
    left: usize,
    kept: usize,
    trained: usize,
    asked: usize,
    seen: Seen,
}

struct Seen;

impl vigos_train::Observer for Seen {}
impl vigos_eval::Observer for Seen {}

impl<'a> Counter<'a> {
    fn new(stop: &'a AtomicBool, left: usize) -> Self {
        Self { stop, left, kept: 0, trained: 0, asked: 0, seen: Seen }
    }

    fn begin(&mut self) {
        self.stop.store(self.left == 0, Ordering::SeqCst);
        self.left = self.left.saturating_sub(1);
    }
}

impl Watch for Counter<'_> {
    fn kept(&mut self, done: usize, _: usize) {
        self.kept = done;
    }
    fn begins(&mut self, _: &Run, _: usize, _: usize) {}
    fn done(&mut self, _: &Run, _: usize, _: usize, _: Duration) {}
    fn training(&mut self) -> &mut dyn vigos_train::Observer {
        self.begin();
        self.trained += 1;
        &mut self.seen
    }
    fn asking(&mut self, _: &str) -> &mut dyn vigos_eval::Observer {
        self.begin();
        self.asked += 1;
        &mut self.seen
    }
    fn ended(&mut self) {}
}

/// Runs until `left` trainings and evaluations have been begun; whether all is done, and runs kept, trained, asked.
fn go(config: &Experiment, left: usize) -> (bool, [usize; 3]) {
    let stop = AtomicBool::new(false);
    let mut watch = Counter::new(&stop, left);
    let plan = Plan::new(config).unwrap();
    let whole = run(config, &plan, &kit(), &Device::flex(), &Alone, &mut watch, &stop).unwrap();
    (whole, [watch.kept, watch.trained, watch.asked])
}

/// The report's files.
fn written(config: &Experiment) -> BTreeMap<String, Vec<u8>> {
    let results = Results::gather(config, &Plan::new(config).unwrap()).unwrap();
    report(&results, &config.results).unwrap();
    let files = fs::read_dir(&config.results).unwrap().map(Result::unwrap);
    files.map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap())).collect()
}

fn config(folder: &Path) -> Experiment {
    Experiment::parse(&text(folder), "e.toml", &[]).unwrap()
}

#[test]
fn an_experiment_runs_once_and_goes_on_to_the_same_bytes_wherever_it_was_stopped() {
    let dir = folder();
    let whole = config(dir.path());
    // Six trainings; two starts, two checkpoints of four runs and one of two; four diagnoses.
    assert_eq!(go(&whole, usize::MAX), (true, [0, 6, 2 + 8 + 2 + 4]));
    let files = written(&whole);
    for name in
        ["results.json", "results.md", "score.svg", "score.png", "losses.svg", "clipped.png", "sweep.png"]
    {
        assert!(files.contains_key(name), "{name}");
    }

    assert_eq!(go(&whole, usize::MAX), (true, [7, 0, 0]), "nothing is done twice");
    assert!(written(&whole) == files);

    let mut pieces = whole.clone();
    (pieces.runs, pieces.results) = (dir.path().join("pieces"), dir.path().join("of-pieces"));
    let mut starts = 1;
    // Each time it is stopped at the third thing that it begins.
    while !go(&pieces, 2).0 {
        starts += 1;
        assert!(starts < 30, "it gets nowhere");
    }
    assert!(starts > 5, "{starts}");
    let resumed = written(&pieces);
    for (name, bytes) in &files {
        assert!(resumed.get(name) == Some(bytes), "{name} differs");
    }
}

/// The same by several ranks, each of which stops after `left`: whether all is done, and what all of them did.
fn go_together(config: &Experiment, count: usize, left: usize) -> (bool, [usize; 2]) {
    let ended = Threads::run(count, |ranks| {
        let (stop, plan) = (AtomicBool::new(false), Plan::new(config).unwrap());
        let mut watch = Counter::new(&stop, left);
        let whole = run(config, &plan, &kit(), &Device::flex(), ranks, &mut watch, &stop).unwrap();
        (whole, [watch.trained, watch.asked])
    });
    assert!(ended.iter().all(|(whole, _)| *whole == ended[0].0));
    (ended[0].0, [0, 1].map(|which| ended.iter().map(|(_, done)| done[which]).sum()))
}

#[test]
fn ranks_do_the_runs_side_by_side_and_any_number_goes_on_to_the_same_bytes() {
    let dir = folder();
    let whole = config(dir.path());
    assert!(go(&whole, usize::MAX).0);
    let files = written(&whole);
    for (count, name) in [(2, "two"), (4, "four")] {
        let mut shared = whole.clone();
        (shared.runs, shared.results) = (dir.path().join(name), dir.path().join(format!("of-{name}")));
        assert_eq!(
            go_together(&shared, count, usize::MAX),
            (true, [6, 2 + 8 + 2 + 4]),
            "nothing is done twice"
        );
        assert!(written(&shared) == files, "{count} ranks");
    }
    let mut pieces = whole.clone();
    (pieces.runs, pieces.results) = (dir.path().join("pieces"), dir.path().join("of-pieces"));
    assert!(!go_together(&pieces, 3, 3).0);
    assert!(!go_together(&pieces, 2, 4).0);
    assert!(go_together(&pieces, 4, usize::MAX).0);
    assert!(written(&pieces) == files);
}

#[test]
fn what_is_done_can_be_reported_and_a_folder_of_another_recipe_is_refused() {
    let dir = folder();
    let config = config(dir.path());
    // Base, and the first run with its start, its two checkpoints and its diagnosis.
    assert!(!go(&config, 6).0);
    let plan = Plan::new(&config).unwrap();
    let states: Vec<State> = plan.runs.iter().map(|run| plan.state(run).unwrap()).collect();
    assert!(matches!(&states[1], State::Done(done) if done.steps == [1, 2] && done.palr));
    assert_eq!(states[3], State::New);
    let results = Results::gather(&config, &plan).unwrap();
    assert_eq!((results.done, results.total), (2, 7));
    assert!(report(&results, &config.results).unwrap().contains("2 of 7 runs done"));

    let mut other = config.clone();
    other.set = vec!["optim.lr=0.5".into()];
    let plan = Plan::new(&other).unwrap();
    let error = Results::gather(&other, &plan).unwrap_err();
    let message = error.to_string();
    for part in ["opsd/seed-1", "optim.lr", "0.5", "remove the folder", "`runs`"] {
        assert!(message.contains(part), "{message}");
    }
    assert!(error.is_input());
    let stop = AtomicBool::new(false);
    let mut watch = Counter::new(&stop, usize::MAX);
    run(&other, &plan, &kit(), &Device::flex(), &Alone, &mut watch, &stop).unwrap_err();
    assert_eq!(watch.trained + watch.asked, 0, "nothing is begun");
}
