//! Runs that several ranks share: whatever their number, the folder holds the same bytes, and what goes wrong on one of
//! them ends them all.

use crate::support;

use burn::tensor::Device;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use support::{FAMILIES, Silent, folder_of, kit, root};
use vigos_ranks::{Ranks, RanksError, Threads};
use vigos_recipe::Recipe;
use vigos_recipe::RunRecipe;
use vigos_recipe::sft::SftRecipe;
use vigos_rollout::RunError;
use vigos_train::metrics::Metrics;
use vigos_train::{Finished, Observer, SftOptions, TrainOptions, sft, train};

/// Five micro-batches of two completions of a sample; nothing that two or four ranks divide.
const CONFIG: &str = r#"
[model]
path = "{model}"
[data]
path = "{data}"
max_bad_share = 0.5
[method]
clip = 0
[rollout]
max_new_tokens = 6
batch = 3
per_sample = 2
[lora]
rank = 2
alpha = 4
dropout = 0.2
[optim]
lr = 1e-2
[train]
steps = 3
batch = 2
accumulate = 5
seed = 7
[checkpoint]
every = 1
keep = 0
[log]
rollouts_every = 2
tensorboard = false
"#;

/// Nine rows, of which one has no picture.
fn rows(folder: &Path) -> PathBuf {
    fs::copy(root().join("tests/fixtures/images/tiny.png"), folder.join("good.png")).unwrap();
    let line = |row: usize| {
        let image = if row == 4 { "gone.png" } else { "good.png" };
        let problem = format!("What is {}?", "this ".repeat(row * row % 7));
        json!({"id": format!("r{row}"), "image": image, "problem": problem, "answer": "one ".repeat(row + 1)})
            .to_string()
    };
    let path = folder.join("set.jsonl");
    fs::write(&path, (0..9).map(line).collect::<Vec<_>>().join("\n")).unwrap();
    path
}

fn recipe(family: &str, folder: &Path, overrides: &[&str]) -> Recipe {
    let text = CONFIG.replace("{model}", &folder_of(family).display().to_string());
    let text = text.replace("{data}", &rows(folder).display().to_string());
    let overrides: Vec<String> = overrides.iter().map(|o| (*o).to_owned()).collect();
    Recipe::parse(&text, "test", &overrides).unwrap()
}

/// What `work` comes to on each rank, which gets its rank and may panic.
fn each(count: usize, work: impl Fn(&dyn Ranks) -> Result<Finished, RunError> + Sync) -> Vec<Ended> {
    Threads::run(count, |ranks| catch_unwind(AssertUnwindSafe(|| work(ranks))).ok())
}

/// How a rank ended; nothing if it panicked.
pub type Ended = Option<Result<Finished, RunError>>;

pub fn trained(recipe: &Recipe, run_dir: &Path, count: usize, resume: bool) -> Vec<Ended> {
    each(count, |ranks| {
        let (kit, device) = (kit(), Device::flex());
        let options = TrainOptions::new(recipe, run_dir, &kit, &device).resumed(resume);
        train(&TrainOptions { ranks, ..options }, &mut Silent, &AtomicBool::new(false))
    })
}

pub fn all_finished(ended: &[Ended]) -> &Finished {
    let finished = |ended: &Ended| matches!(ended, Some(Ok(finished)) if !finished.interrupted);
    assert!(ended.iter().all(finished), "{ended:?}");
    ended[0].as_ref().unwrap().as_ref().unwrap()
}

/// Every file of a run by its name, the times taken out of its metrics.
pub fn files(run_dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    let mut open = vec![run_dir.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(run_dir).unwrap().display().to_string();
            if path.is_dir() {
                open.push(path);
            } else if name == "metrics.jsonl" {
                let text = fs::read_to_string(&path).unwrap();
                let untimed = text.lines().map(|line| {
                    let mut line: Value = serde_json::from_str(line).unwrap();
                    let fields = line.as_object_mut().unwrap();
                    for key in ["seconds", "tokens_per_second", "samples_per_second", "waited"] {
                        fields.remove(key);
                    }
                    line.to_string()
                });
                files.insert(name, untimed.collect::<Vec<_>>().join("\n").into_bytes());
            } else if name != ".lock" {
                files.insert(name, fs::read(path).unwrap());
            }
        }
    }
    files
}

pub fn same_files(found: &Path, wanted: &Path, what: &str) {
    let (found, wanted) = (files(found), files(wanted));
    let names = |files: &BTreeMap<String, Vec<u8>>| files.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&found), names(&wanted), "{what}");
    for (name, bytes) in &wanted {
        assert!(found[name] == *bytes, "{what}: {name} differs");
    }
}

#[test]
fn any_number_of_ranks_leaves_the_same_bytes() {
    for family in FAMILIES {
        let folder = tempfile::tempdir().unwrap();
        let recipe = recipe(family, folder.path(), &[]);
        let alone = folder.path().join("alone");
        all_finished(&trained(&recipe, &alone, 1, false));
        assert!(alone.join("quarantine.jsonl").is_file() && alone.join("recordings").is_dir());
        // More ranks than micro-batches too.
        for count in [2, 4, 6] {
            let shared = folder.path().join(count.to_string());
            let ended = trained(&recipe, &shared, count, false);
            assert_eq!(all_finished(&ended).steps, 3);
            same_files(&shared, &alone, &format!("{family}, {count} ranks"));
            let metrics = fs::read_to_string(shared.join("metrics.jsonl")).unwrap();
            let first: Value = serde_json::from_str(metrics.lines().next().unwrap()).unwrap();
            assert_eq!(first["waited"].as_array().unwrap().len(), count);
        }
    }
}

#[test]
fn micro_batches_by_length_and_means_of_micro_batches_are_shared_as_well() {
    for cut in ["train.tokens_per_micro_batch=900", "train.normalise=micro_batch"] {
        let folder = tempfile::tempdir().unwrap();
        let recipe = recipe(FAMILIES[0], folder.path(), &[cut, "train.steps=2"]);
        let [alone, shared] = ["alone", "shared"].map(|name| folder.path().join(name));
        all_finished(&trained(&recipe, &alone, 1, false));
        all_finished(&trained(&recipe, &shared, 3, false));
        same_files(&shared, &alone, cut);
    }
}

#[test]
fn supervised_training_is_shared_as_well() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "[model]\npath = \"{}\"\n[data]\npath = \"{}\"\nmax_bad_share = 0.5\n[data.fields]\nprompt = \"problem\"\n\
         completion = \"answer\"\n[train]\nsteps = 2\nbatch = 3\naccumulate = 3\nseed = 7\n[log]\ntensorboard = false\n",
        folder_of(FAMILIES[0]).display(),
        rows(folder.path()).display()
    );
    let recipe = SftRecipe::parse(&text, "test", &[]).unwrap();
    let shared = |count: usize| {
        let run_dir = folder.path().join(count.to_string());
        let ended = each(count, |ranks| {
            let (kit, device) = (kit(), Device::flex());
            let options = SftOptions::new(&recipe, &run_dir, &kit, &device);
            sft(&SftOptions { ranks, ..options }, &mut Silent, &AtomicBool::new(false))
        });
        all_finished(&ended);
        run_dir
    };
    let [alone, two, four] = [1, 2, 4].map(shared);
    same_files(&two, &alone, "two ranks");
    same_files(&four, &alone, "four ranks");
}

/// Does something when a step is done.
pub struct At<F: FnMut()>(pub usize, pub F);
impl<F: FnMut()> Observer for At<F> {
    fn step(&mut self, metrics: &Metrics) {
        if metrics.step == self.0 {
            (self.1)();
        }
    }
}

/// Trains with two ranks; `at` is what rank 1 does after step 1, with its switch that stops a run.
fn disturbed(recipe: &Recipe, run_dir: &Path, at: impl Fn(&AtomicBool) + Sync) -> Vec<Ended> {
    each(2, |ranks| {
        let (kit, device, stop) = (kit(), Device::flex(), AtomicBool::new(false));
        let options = TrainOptions { ranks, ..TrainOptions::new(recipe, run_dir, &kit, &device) };
        let mut observer = At(1, || {
            if ranks.rank() == 1 {
                at(&stop);
            }
        });
        train(&options, &mut observer, &stop)
    })
}

#[test]
fn a_signal_on_one_rank_stops_all_and_any_number_of_ranks_goes_on_from_there() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = recipe(FAMILIES[0], folder.path(), &[]);
    let [alone, cut] = ["alone", "cut"].map(|name| folder.path().join(name));
    all_finished(&trained(&recipe, &alone, 1, false));
    for ended in disturbed(&recipe, &cut, |stop| stop.store(true, Ordering::SeqCst)) {
        let finished = ended.unwrap().unwrap();
        assert!(finished.interrupted && finished.steps == 1, "{finished:?}");
    }
    all_finished(&trained(&recipe, &cut, 3, true));
    same_files(&cut, &alone, "cut and gone on with");
}

#[test]
fn a_rank_that_panics_ends_the_others_and_what_was_saved_can_be_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let recipe = recipe(FAMILIES[0], folder.path(), &[]);
    let [alone, lost] = ["alone", "lost"].map(|name| folder.path().join(name));
    all_finished(&trained(&recipe, &alone, 1, false));
    let ended = disturbed(&recipe, &lost, |_| panic!("planted"));
    let gone =
        |ended: &Ended| matches!(ended, Some(Err(RunError::Ranks(RanksError::Gone { rank: 1, count: 2 }))));
    assert!(gone(&ended[0]) && ended[1].is_none(), "{ended:?}");
    all_finished(&trained(&recipe, &lost, 1, true));
    same_files(&lost, &alone, "a rank lost");
}

#[test]
fn what_fails_on_one_rank_fails_on_all_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let ours = recipe(FAMILIES[0], folder.path(), &[]);
    // The first rank cannot save.
    let run_dir = folder.path().join("full");
    fs::create_dir(&run_dir).unwrap();
    let ended = each(2, |ranks| {
        let (kit, device) = (kit(), Device::flex());
        let options = TrainOptions { ranks, ..TrainOptions::new(&ours, &run_dir, &kit, &device) };
        let block = || fs::write(run_dir.join("checkpoints/.writing-step-000002"), "in the way").unwrap();
        let mut observer = At(1, || {
            if ranks.is_first() {
                fs::create_dir_all(run_dir.join("checkpoints")).unwrap();
                block();
            }
        });
        train(&options, &mut observer, &AtomicBool::new(false))
    });
    assert!(matches!(&ended[0], Some(Err(RunError::File(_)))), "{ended:?}");
    assert!(matches!(&ended[1], Some(Err(RunError::Ranks(RanksError::Gone { rank: 0, .. })))), "{ended:?}");
    // A rank has another recipe.
    let other = recipe(FAMILIES[0], folder.path(), &["train.seed=8"]);
    let run_dir = folder.path().join("mixed");
    let ended = each(3, |ranks| {
        let (kit, device) = (kit(), Device::flex());
        let recipe = if ranks.rank() == 2 { &other } else { &ours };
        let options = TrainOptions { ranks, ..TrainOptions::new(recipe, &run_dir, &kit, &device) };
        train(&options, &mut Silent, &AtomicBool::new(false))
    });
    let told = |ended: &Ended| matches!(ended, Some(Err(RunError::OtherRank { rank: 2, reason })) if reason.contains("recipe"));
    assert!(ended.iter().all(told), "{ended:?}");
    assert!(!run_dir.exists());
}

#[test]
fn a_number_that_is_not_finite_loses_the_step_for_all() {
    let folder = tempfile::tempdir().unwrap();
    let wild = ["optim.lr=1e30", "optim.schedule=constant", "train.max_lost_steps=5"];
    let recipe = recipe(FAMILIES[0], folder.path(), &wild);
    let [alone, shared] = ["alone", "shared"].map(|name| folder.path().join(name));
    all_finished(&trained(&recipe, &alone, 1, false));
    all_finished(&trained(&recipe, &shared, 3, false));
    let lost = fs::read_dir(alone.join("rollouts")).unwrap();
    let lost = lost.filter(|f| f.as_ref().unwrap().file_name().to_string_lossy().starts_with("lost"));
    assert!(lost.count() > 0, "the recipe was to lose steps");
    same_files(&shared, &alone, "lost steps");
}
