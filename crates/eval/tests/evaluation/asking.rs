//! Evaluating the tiny model: what is written, and that stopping changes nothing.

use burn::tensor::Device;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use vigos_eval::{Finished, Observer, Options, Report, evaluate};
use vigos_ranks::Threads;
use vigos_recipe::Recipe;
use vigos_rollout::RunError;

use crate::{bytes, folder, kit, questions, recipe};

const FILES: [&str; 3] = ["samples.jsonl", "report.json", "report.md"];

fn run(recipe: &Recipe, run_dir: &Path, resume: bool) -> Result<Finished<Report>, RunError> {
    let (kit, device) = (kit(), Device::flex());
    let options = Options::new(recipe, run_dir, &kit, &device).resumed(resume);
    evaluate(&options, &mut (), &AtomicBool::new(false))
}

fn lines(run_dir: &Path) -> Vec<Value> {
    let text = fs::read_to_string(run_dir.join("samples.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_item_is_asked_as_often_as_wanted_and_again_the_same() {
    let dir = folder(&questions());
    let recipe = recipe(dir.path(), &[]);
    let (a, b) = (dir.path().join("a"), dir.path().join("b"));
    let finished = run(&recipe, &a, false).unwrap();
    assert_eq!((finished.items, finished.total), (9, 9));
    let report = finished.report.unwrap();
    let lines = lines(&a);
    let order: Vec<_> =
        lines.iter().map(|l| (l["item"].as_u64().unwrap(), l["sample"].as_u64().unwrap())).collect();
    assert_eq!(order, (0..9).flat_map(|item| [(item, 0), (item, 1)]).collect::<Vec<_>>());
    assert_ne!(lines[0]["completion_token_ids"], lines[1]["completion_token_ids"], "two draws");
    assert_eq!((report.overall.average.n, report.settings.k), (9, 2));
    let written: Report = serde_json::from_slice(&fs::read(a.join("report.json")).unwrap()).unwrap();
    assert_eq!(written, report);

    run(&recipe, &b, false).unwrap();
    assert_eq!(bytes(&a, &FILES), bytes(&b, &FILES));
}

#[test]
fn another_seed_draws_other_answers_and_more_samples_keep_the_first() {
    let dir = folder(&questions()[..3]);
    let ids = |overrides: &[&str], name: &str| {
        let run_dir = dir.path().join(name);
        run(&recipe(dir.path(), overrides), &run_dir, false).unwrap();
        let lines = lines(&run_dir);
        let first = lines.into_iter().filter(|line| line["sample"].as_u64().unwrap() < 2);
        first.map(|line| line["completion_token_ids"].clone()).collect::<Vec<_>>()
    };
    let two = ids(&[], "two");
    assert_eq!(two, ids(&["eval.samples=3"], "three"));
    assert_ne!(two, ids(&["eval.seed=1"], "seed"));
}

#[test]
fn work_that_was_cut_off_anywhere_ends_with_the_same_bytes() {
    let dir = folder(&questions());
    let recipe = recipe(dir.path(), &[]);
    let whole = dir.path().join("whole");
    run(&recipe, &whole, false).unwrap();
    let samples = fs::read(whole.join("samples.jsonl")).unwrap();
    // In the first line, after it, in the second part of items, and just before the end.
    let first = samples.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    for (number, length) in
        [0, 10, first, samples.len() / 2, samples.len() - 1, samples.len()].into_iter().enumerate()
    {
        let cut = dir.path().join(format!("cut-{number}"));
        fs::create_dir(&cut).unwrap();
        fs::copy(whole.join("config.toml"), cut.join("config.toml")).unwrap();
        fs::write(cut.join("samples.jsonl"), &samples[..length]).unwrap();
        run(&recipe, &cut, true).unwrap();
        assert!(
            bytes(&whole, &FILES) == bytes(&cut, &FILES),
            "cut after {length} of {} bytes",
            samples.len()
        );
    }
}

/// Hears what a person should know.
#[derive(Default)]
struct Heard(String);

impl Observer for Heard {
    fn note(&mut self, text: &str) {
        self.0.push_str(text);
    }
}

#[test]
fn work_goes_on_with_other_data_and_says_so_but_with_no_other_adapter() {
    let dir = folder(&questions());
    let adapter = dir.path().join("adapter");
    fs::create_dir(&adapter).unwrap();
    let mut recipe = recipe(dir.path(), &[]);
    for file in fs::read_dir(recipe.model.adapter.as_ref().unwrap()).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), adapter.join(file.file_name())).unwrap();
    }
    recipe.model.adapter = Some(adapter.clone());
    let out = dir.path().join("run");
    run(&recipe, &out, false).unwrap();
    let (kit, device) = (kit(), Device::flex());
    let again = || {
        let (mut heard, stop) = (Heard::default(), AtomicBool::new(false));
        let options = Options::new(&recipe, &out, &kit, &device).resumed(true);
        evaluate(&options, &mut heard, &stop).map(|_| heard.0)
    };
    assert_eq!(again().unwrap(), "");
    let data = dir.path().join("data.jsonl");
    let text = fs::read_to_string(&data).unwrap();
    fs::write(&data, text.replacen("\"answer\"", " \"answer\"", 1)).unwrap();
    assert!(again().unwrap().contains("the data has changed since the run began"));
    let weights = adapter.join("adapter_model.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&weights, bytes).unwrap();
    let error = again().unwrap_err().to_string();
    assert!(error.contains("student's adapter has changed") && error.contains("adapter_model"), "{error}");
}

/// How many ranks end an evaluation, which is begun or gone on with; the items that are done, the same for all.
fn shared(count: usize, recipe: &Recipe, run_dir: &Path, resume: bool, stops: Option<usize>) -> usize {
    let ended = Threads::run(count, |ranks| {
        let (kit, device) = (kit(), Device::flex());
        let options = Options::new(recipe, run_dir, &kit, &device).resumed(resume);
        let stop = AtomicBool::new(false);
        let finished = match stops {
            Some(rank) if rank == ranks.rank() => {
                evaluate(&Options { ranks, ..options }, &mut StopAtOnce(&stop), &stop)
            }
            _ => evaluate(&Options { ranks, ..options }, &mut (), &stop),
        };
        finished.unwrap()
    });
    assert!(ended.iter().all(|finished| *finished == ended[0]), "{ended:?}");
    ended[0].items
}

#[test]
fn any_number_of_ranks_leaves_the_same_bytes_and_any_other_goes_on() {
    let mut rows = questions();
    rows[4]["image"] = json!("gone.png");
    let dir = folder(&rows);
    let recipe = recipe(dir.path(), &["data.max_bad_share=0.5"]);
    let alone = dir.path().join("alone");
    run(&recipe, &alone, false).unwrap();
    for count in [1, 2, 4] {
        let together = dir.path().join(count.to_string());
        assert_eq!(shared(count, &recipe, &together, false, None), 9);
        assert!(bytes(&together, &FILES) == bytes(&alone, &FILES), "{count} ranks");
    }
    // A stop on any rank is one for all; parts have two items.
    let cut = dir.path().join("cut");
    assert_eq!(shared(2, &recipe, &cut, false, Some(1)), 4);
    assert!(!cut.join("report.md").exists());
    assert_eq!(shared(3, &recipe, &cut, true, None), 9);
    assert!(bytes(&cut, &FILES) == bytes(&alone, &FILES));
}

#[test]
fn a_row_that_one_rank_cannot_ask_ends_the_work_of_all() {
    let mut rows = questions();
    rows[3]["image"] = json!("gone.png");
    let dir = folder(&rows);
    let (recipe, run_dir) = (recipe(dir.path(), &[]), dir.path().join("run"));
    let ended = Threads::run(2, |ranks| {
        let (kit, device) = (kit(), Device::flex());
        let options = Options { ranks, ..Options::new(&recipe, &run_dir, &kit, &device) };
        evaluate(&options, &mut (), &AtomicBool::new(false)).unwrap_err()
    });
    assert!(matches!(&ended[0], RunError::OtherRank { rank: 1, reason } if reason.contains("gone.png")));
    assert!(matches!(&ended[1], RunError::BadRows { .. }), "{ended:?}");
}

/// Asks for a stop as soon as a part is done.
struct StopAtOnce<'a>(&'a AtomicBool);
impl Observer for StopAtOnce<'_> {
    fn items(&mut self, _done: usize) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_stop_leaves_whole_parts_and_no_report() {
    let dir = folder(&questions());
    let recipe = recipe(dir.path(), &[]);
    let (run_dir, stop) = (dir.path().join("run"), AtomicBool::new(false));
    let (kit, device) = (kit(), Device::flex());
    let options = Options::new(&recipe, &run_dir, &kit, &device);
    let finished = evaluate(&options, &mut StopAtOnce(&stop), &stop).unwrap();
    // Parts hold four decoded together, of two samples an item.
    assert_eq!((finished.items, finished.total, finished.report), (2, 9, None));
    assert_eq!(lines(&run_dir).len(), 4);
    assert!(!run_dir.join("report.json").exists());
    assert!(run(&recipe, &run_dir, false).is_err(), "the folder is taken");
    assert_eq!(run(&recipe, &run_dir, true).unwrap().items, 9);
}

#[test]
fn a_folder_of_other_settings_or_lines_is_refused() {
    let dir = folder(&questions()[..2]);
    let run_dir = dir.path().join("run");
    run(&recipe(dir.path(), &[]), &run_dir, false).unwrap();
    let error = run(&recipe(dir.path(), &["eval.seed=7"]), &run_dir, true).unwrap_err();
    assert!(error.is_input() && error.to_string().contains("eval.seed"), "{error}");
    // What is not drawn by may change.
    run(&recipe(dir.path(), &["optim.lr=1", "eval.k=1"]), &run_dir, true).unwrap();

    let path = run_dir.join("samples.jsonl");
    let text = fs::read_to_string(&path).unwrap().replace("\"item\":1", "\"item\":5");
    fs::write(&path, text).unwrap();
    let error = run(&recipe(dir.path(), &[]), &run_dir, true).unwrap_err();
    assert!(error.to_string().contains("line 3: found item 5, wanted 1 of 2"), "{error}");
}

#[test]
fn rows_that_cannot_be_asked_end_the_work_or_are_counted() {
    let mut rows = questions()[..4].to_vec();
    rows[1]["image"] = json!("absent.png");
    let dir = folder(&rows);
    let error = run(&recipe(dir.path(), &[]), &dir.path().join("strict"), false).unwrap_err();
    assert!(error.is_input() && error.to_string().contains("absent.png"), "{error}");

    let finished =
        run(&recipe(dir.path(), &["data.max_bad_share=0.5"]), &dir.path().join("loose"), false).unwrap();
    let report = finished.report.unwrap();
    assert_eq!((report.overall.average.n, report.skipped["bad_row"]), (3, 1));

    let error =
        run(&recipe(dir.path(), &["data.max_bad_share=0.2"]), &dir.path().join("share"), false).unwrap_err();
    assert!(error.to_string().contains("1 of the data's 4 rows"), "{error}");
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let dir = folder(&questions()[..1]);
    let error = run(&recipe(dir.path(), &["eval.k=3"]), &dir.path().join("k"), false).unwrap_err();
    assert!(error.is_input() && error.to_string().contains("eval.k: found 3"), "{error}");
    assert!(!dir.path().join("k").exists(), "nothing is written before all is known to be right");
}

#[test]
fn a_prior_suite_is_asked_after_the_data_set() {
    let dir = folder(&questions()[..2]);
    let rows: Vec<String> = ["prior", "score", "score"]
        .iter()
        .zip(["wide.png", "tall.png", "gray.png"])
        .map(|(role, image)| {
            let row = json!({"image": image, "problem": "?", "answer": "x", "triple": 4, "role": role, "wording": "fact"});
            format!("{row}\n")
        })
        .collect();
    let prior = dir.path().join("prior.jsonl");
    fs::write(&prior, rows.concat()).unwrap();
    let overrides = format!("eval.prior={}", prior.display());
    let report =
        run(&recipe(dir.path(), &[&overrides]), &dir.path().join("run"), false).unwrap().report.unwrap();
    assert_eq!(
        (report.overall.average.n, report.prior["fact"].score.n, report.prior["fact"].prior.n),
        (2, 1, 1)
    );
}

#[test]
fn vilp_s_layout_makes_a_triple_of_each_row() {
    let row = json!({
        "question": "A fact. What is it?", "image1": "wide.png", "image2": "tall.png", "image3": "gray.png",
        "answer1": "a", "answer2": "b", "answer3": "c",
    });
    let dir = folder(&[row]);
    let run_dir = dir.path().join("run");
    let report = run(&recipe(dir.path(), &["eval.layout=vilp-p"]), &run_dir, false).unwrap().report.unwrap();
    assert_eq!((report.prior["plain"].score.n, report.overall.average.n), (1, 3));
    let first = &lines(&run_dir)[0];
    assert_eq!(
        (&first["problem"], &first["id"]),
        (&json!("Answer with one word. What is it?"), &json!("1-1"))
    );
}
