//! VLind-Bench: its questions as its authors put them, its stages as they sum them up.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use burn::tensor::Device;
use serde_json::{Value, json};
use vigos_eval::lines::Line;
use vigos_eval::{Finished, Options, Report, Suites, evaluate_suites, is_right};
use vigos_recipe::Rule;
use vigos_rollout::RunError;

use crate::{folder, kit, recipe};

/// The images that enough people found good, of each instance, and the best of them.
const INSTANCES: [(&[u32], u32); 6] =
    [(&[0, 3, 7], 3), (&[1], 1), (&[0, 2], 0), (&[4, 5, 6, 9], 4), (&[2], 2), (&[0, 1, 11], 11)];

/// The benchmark's folder, with an instance more of which no image is good.
fn benchmark(root: &Path) -> PathBuf {
    let folder = root.join("VLind-Bench Dataset");
    let none: (&[u32], u32) = (&[], 0);
    let record = |(number, (good, best)): (usize, (&[u32], u32))| {
        let image = |group: &str, context: &str, image: u32| {
            let file = folder.join(format!("images/{group}/climate/{number}_{context}/{image}.jpg"));
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::copy(root.join("wide.png"), file).unwrap();
        };
        image("factual", "An igloo in the snow.", 0);
        let votes: serde_json::Map<String, Value> = (0..12)
            .map(|number| {
                (number.to_string(), json!(if good.contains(&number) { 2 + number % 2 } else { 1 }))
            })
            .collect();
        for number in good {
            image("counterfactual", "An igloo in the desert.", *number);
        }
        json!({
            "global_id": number, "context_id": number, "concept": "climate", "context": "An igloo in the desert.",
            "factual_context": "An igloo in the snow.", "true_statement": "The igloo is in a hot place.",
            "false_statement": "The igloo is in a cold place.", "existent_noun": "sand", "non-existent_noun": "a seal",
            "best_img_id": best, "aggregated_human_label_good_images": votes,
        })
    };
    let records: Vec<Value> = INSTANCES.into_iter().chain([none]).enumerate().map(record).collect();
    fs::write(folder.join("data.json"), json!(records).to_string()).unwrap();
    folder
}

fn ask(path: &Path, run_dir: &Path, more: &[&str]) -> Result<Finished<Suites>, RunError> {
    let root = path.parent().unwrap();
    let suites = format!("eval.suites=[{:?}]", format!("vlind-bench={}", path.display()));
    let recipe = recipe(root, &[&[suites.as_str()], more].concat());
    let (kit, device) = (kit(), Device::flex());
    evaluate_suites(&Options::new(&recipe, run_dir, &kit, &device), &mut (), &AtomicBool::new(false))
}

#[test]
fn questions_are_put_as_the_authors_put_them_and_asked_of_images_that_are_good() {
    let dir = folder(&[]);
    let path = benchmark(dir.path());
    let run_dir = dir.path().join("run");
    let report = ask(&path, &run_dir, &["eval.samples=1"]).unwrap().report.unwrap();
    // Six questions of each instance and two of each good image; none where no image is good.
    assert_eq!(report.0["vlind-bench"].asked, 6 * 6 + 2 * 14);
    let table = fs::read_to_string(run_dir.join("report.md")).unwrap();
    assert!(table.contains("vlind-bench: S_LP") && table.contains("vlind-bench: accuracy CB"), "{table}");
    let text = fs::read_to_string(run_dir.join("vlind-bench/samples.jsonl")).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let line = |id: &str| lines.iter().find(|line| line["id"] == id).unwrap();
    for (id, problem, answer) in [
        (
            "0:a1:0",
            "Statement: The igloo is in a cold place.\nBased on the common sense, is the given statement true or false? \
             Only respond in True or False.",
            "True",
        ),
        (
            "0:b2:3",
            "Statement: There is a seal in the given image.\nBased on the image, is the given statement true or false? \
             Only respond in True or False.",
            "False",
        ),
        (
            "0:c1:3",
            "Context: An igloo in the desert.\nStatement: The igloo is in a hot place.\nBased on the context, is the given \
             statement true or false? Forget real-world common sense and just follow the information provided in the \
             context. Only respond in True or False.",
            "True",
        ),
        (
            "5:d2:11",
            "Statement: The igloo is in a cold place.\nBased on the image, is the given statement true or false? Forget \
             real-world common sense and just follow the information provided in the image. Only respond in True or False.",
            "False",
        ),
    ] {
        let line = line(id);
        assert_eq!(
            (line["problem"].as_str().unwrap(), line["answer"].as_str().unwrap()),
            (problem, answer),
            "{id}"
        );
    }
    assert_eq!(line("0:d1:7")["kind"], "language prior");

    // The file does as well as the folder, and the first ten questions are ten.
    let ten = ask(&path.join("data.json"), &dir.path().join("ten"), &["eval.samples=1", "eval.limit=10"]);
    assert_eq!(ten.unwrap().report.unwrap().0["vlind-bench"].asked, 10);
}

#[test]
fn the_first_word_that_is_true_or_false_is_the_answer() {
    for (answer, reference, wanted) in [
        ("True", "True", true),
        ("false.", "False", true),
        ("The statement is\nTRUE, not false", "True", true),
        ("False", "True", false),
        ("untrue", "True", false),
        ("", "False", false),
        ("\"True\"", "True", false),
    ] {
        assert_eq!(is_right(&Rule::Truth, "?", answer, reference), wanted, "{answer:?}");
    }
}

/// Whether a made answer is right.
fn made(instance: usize, stage: usize, number: usize, image: u32) -> bool {
    (instance * 7 + stage * 3 + number * 5 + image as usize * 2) % 10 != 3
}

fn answers(sample: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    for (instance, (good, best)) in INSTANCES.into_iter().enumerate() {
        let fixed = [(0, 0), (1, best), (2, best)];
        for (stage, image) in fixed.into_iter().chain(good.iter().map(|image| (3, *image))) {
            for number in [1, 2] {
                let letter = ["a", "b", "c", "d"][stage];
                let line = json!({
                    "item": lines.len(), "sample": sample, "id": format!("{instance}:{letter}{number}:{image}"),
                    "problem": "?", "answer": "True", "completion": "", "completion_token_ids": [1],
                    "finish_reason": "stop", "valid": false, "reason": "no_box", "predicted": null,
                    "correct": made(instance, stage, number, image), "spans": null,
                });
                lines.push(serde_json::from_value(line).unwrap());
            }
        }
    }
    lines
}

fn report(lines: Vec<Line>) -> Report {
    let recipe = recipe(Path::new("."), &["eval.suites=[\"vlind-bench=none\"]", "eval.samples=1"]);
    Report::new(&recipe, lines.into_iter().map(Ok::<Line, RunError>)).unwrap()
}

#[test]
fn stages_are_summed_up_as_by_the_authors_script() {
    let vlind = report(answers(0)).vlind.unwrap();
    // What score_pipeline.py's sums come to for these answers.
    let wanted = [5.0 / 6.0, 1.0, 0.8, 5.0 / 12.0, 2.0 / 3.0, 11.0 / 18.0];
    for ((name, mean), wanted) in vlind.measures().into_iter().zip(wanted) {
        assert!((mean.value - wanted).abs() < 1e-12, "{name}: {}, wanted {wanted}", mean.value);
    }
    let counts: Vec<usize> = vlind.measures().iter().map(|(_, mean)| mean.n).collect();
    assert_eq!((counts, vlind.left_out), (vec![6, 6, 5, 4, 6, 6], 0));

    // An instance that lacks an answer counts nowhere.
    let vlind = report(answers(0).split_off(1)).vlind.unwrap();
    assert_eq!((vlind.commonsense_knowledge.n, vlind.left_out), (5, 1));
}

#[test]
fn a_folder_that_is_not_the_benchmark_is_refused() {
    let dir = folder(&[]);
    let run_dir = dir.path().join("run");
    let file = dir.path().join("data.json");
    for (text, wanted) in [
        ("{}", "a JSON list of instances"),
        ("[{\"concept\": \"x\"}]", "the column \"context_id\""),
        ("[]", "no rows"),
    ] {
        fs::write(&file, text).unwrap();
        let error = ask(&file, &run_dir, &[]).unwrap_err();
        assert!(error.is_input() && error.to_string().contains(wanted), "{error}");
    }
    // A path that leaves the folder makes a bad row.
    let path = benchmark(dir.path());
    let text = fs::read_to_string(path.join("data.json")).unwrap().replace("\"climate\"", "\"../../..\"");
    fs::write(path.join("data.json"), text).unwrap();
    let error = ask(&path, &dir.path().join("bad"), &[]).unwrap_err().to_string();
    assert!(error.contains("0:a1:0") && error.contains(".."), "{error}");
    let alone = recipe(dir.path(), &["eval.suites=[\"vlind-bench\"]"]);
    let (kit, device) = (kit(), Device::flex());
    let options = Options::new(&alone, &run_dir, &kit, &device);
    let error = evaluate_suites(&options, &mut (), &AtomicBool::new(false)).unwrap_err().to_string();
    assert!(error.contains("klee972/VLind-Bench"), "{error}");
}
