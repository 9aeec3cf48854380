//! What a step comes to does not depend on how it is cut into micro-batches, unless the recipe says so.

use crate::support;

use burn::tensor::Device;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use support::{Recorded, host, kit, relative, root, run};
use vigos_models::peft;
use vigos_plan::micro_batches::MicroBatches;
use vigos_recipe::sft::SftRecipe;
use vigos_recipe::{Normalise, Recipe, RunRecipe};
use vigos_train::replay::replay;
use vigos_train::{Observer, SftOptions, sft};

/// Cuts of six samples.
const CUTS: [&[&str]; 5] = [
    &["train.batch=6", "train.accumulate=1"],
    &["train.batch=2", "train.accumulate=3"],
    &["train.batch=1", "train.accumulate=6"],
    // Filled by length, so that the parts are uneven.
    &["train.batch=6", "train.accumulate=1", "train.tokens_per_micro_batch=1600"],
    &["train.batch=3", "train.accumulate=2", "train.tokens_per_micro_batch=100000"],
];

struct Silent;
impl Observer for Silent {}

fn first_step(run_dir: &Path) -> Value {
    let text = std::fs::read_to_string(run_dir.join("metrics.jsonl")).unwrap();
    serde_json::from_str(text.lines().next().unwrap()).unwrap()
}

fn close(found: &Value, wanted: &Value, what: &str) {
    let [found, wanted] = [found, wanted].map(|value| value.as_f64().unwrap());
    assert!(wanted != 0.0 && relative(found, wanted) < 1e-6, "{what}: {found}, wanted {wanted}");
}

/// Distils one step of six samples.
fn distilled(folder: &Path, name: &str, overrides: &[&str]) -> (Value, Vec<(String, Vec<f64>)>) {
    // With so large an ε an update is as its gradient, and not the sign of it.
    let text = format!(
        "[model]\npath = \"{root}/assets/tiny-qwen2_5-vl\"\n[data]\npath = \"{root}/data/easy-vqa/train.jsonl\"\n\
         [method]\nclip = 0\n[rollout]\nmax_new_tokens = 6\n[lora]\nrank = 2\nalpha = 4\ndropout = 0.2\n\
         [optim]\nlr = 1.0\neps = 1.0\nmax_grad_norm = 0\n[train]\nsteps = 1\nseed = 7\n",
        root = root().display()
    );
    let overrides: Vec<String> = overrides.iter().map(|&o| o.to_owned()).collect();
    let recipe = Recipe::parse(&text, "test", &overrides).unwrap();
    let run_dir = folder.join(name);
    let finished = run(&recipe, &run_dir, false).unwrap();
    let config = vigos_qwen::families().read(&root().join("assets/tiny-qwen2_5-vl")).unwrap();
    let adapter = peft::load(&finished.output, config.architecture(), &Device::flex()).unwrap();
    (first_step(&run_dir), host(&adapter).into_iter().collect())
}

#[test]
fn a_distilled_step_is_the_same_however_it_is_cut() {
    let folder = tempfile::tempdir().unwrap();
    let mut cuts = CUTS.iter().enumerate().map(|(i, cut)| distilled(folder.path(), &i.to_string(), cut));
    let (whole, adapter) = cuts.next().unwrap();
    for (i, (found, other)) in cuts.enumerate() {
        for key in ["loss", "grad_norm"] {
            close(&found[key], &whole[key], &format!("cut {i}: {key}"));
        }
        assert_eq!(found["tokens"], whole["tokens"]);
        for ((name, found), (_, wanted)) in other.iter().zip(&adapter) {
            let worst = found.iter().zip(wanted).map(|(f, w)| (f - w).abs()).fold(0.0, f64::max);
            assert!(worst < 1e-6, "cut {i}: {name} differs by {worst:e}");
        }
    }
    assert!(
        adapter
            .iter()
            .any(|(name, values)| name.contains("lora_B") && values.iter().any(|&v| v.abs() > 1e-4))
    );
}

/// One supervised step over rows whose completions are of these many words.
fn supervised(folder: &Path, name: &str, words: &[usize], overrides: &[&str]) -> Value {
    let data = folder.join(format!("{name}.jsonl"));
    let line = |(i, &n): (usize, &usize)| {
        let completion = vec!["red"; n].join(" ");
        json!({"image": "a.png", "problem": format!("say {i}"), "answer": completion}).to_string()
    };
    std::fs::write(&data, words.iter().enumerate().map(line).collect::<Vec<_>>().join("\n")).unwrap();
    let text = format!(
        "[model]\npath = \"{root}/assets/tiny-qwen2_5-vl\"\n[data]\npath = \"{}\"\n[data.fields]\n\
         prompt = \"problem\"\ncompletion = \"answer\"\n[optim]\nmax_grad_norm = 0\n[train]\nsteps = 1\nseed = 7\n",
        data.display(),
        root = root().display()
    );
    let overrides: Vec<String> = overrides.iter().map(|&o| o.to_owned()).collect();
    let recipe = SftRecipe::parse(&text, "test", &overrides).unwrap();
    let run_dir: PathBuf = folder.join(name);
    let (kit, device) = (kit(), Device::flex());
    sft(&SftOptions::new(&recipe, &run_dir, &kit, &device), &mut Silent, &AtomicBool::new(false)).unwrap();
    first_step(&run_dir)
}

fn with_image() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let image = root().join("tests/fixtures/images/tiny.png");
    std::fs::copy(image, folder.path().join("a.png")).unwrap();
    folder
}

#[test]
fn a_supervised_step_is_the_same_however_it_is_cut() {
    let folder = with_image();
    let words = [1, 9, 2, 30, 4, 6];
    let mut cuts =
        CUTS.iter().enumerate().map(|(i, cut)| supervised(folder.path(), &i.to_string(), &words, cut));
    let whole = cuts.next().unwrap();
    for (i, found) in cuts.enumerate() {
        assert_eq!(found["tokens"], whole["tokens"]);
        for key in ["loss", "grad_norm"] {
            close(&found[key], &whole[key], &format!("cut {i}: {key}"));
        }
    }
}

#[test]
fn the_published_way_averages_the_means_of_micro_batches_and_the_other_is_the_mean_over_the_step() {
    let folder = with_image();
    let step = |name: &str, words: &[usize], set: &[&str]| {
        let step = supervised(folder.path(), name, words, set);
        (step["loss"].as_f64().unwrap(), step["tokens"].as_f64().unwrap())
    };
    let one = ["train.batch=1"];
    // The rows of a data set come in an order of their own, which changes nothing here.
    let (short, few) = step("short", &[1], &one);
    let pair = ["train.batch=1", "train.accumulate=2"];
    let averaged = [&pair[..], &["train.normalise=micro_batch"]].concat();
    let (mean, tokens) = step("mean", &[1, 40], &averaged);
    let (whole, all) = step("whole", &[1, 40], &pair);
    assert_eq!(tokens, all);
    // Both follow from the loss of the long one, which each tells.
    let long = 2.0 * mean - short;
    let wanted = (short * few + long * (all - few)) / all;
    assert!(relative(whole, wanted) < 1e-6, "{whole}, wanted {wanted}");
    assert!(relative(whole, mean) > 1e-3, "the two ways agree here, so that nothing is shown");
}

#[test]
fn a_micro_batch_is_filled_up_to_its_tokens_and_what_is_longer_is_alone() {
    let rollouts = Recorded::load().step("paper", "noclip").rollouts;
    let lengths: Vec<usize> = rollouts.iter().map(|r| r.sample.student.ids.len() + r.tokens.len()).collect();
    let cut = |tokens: usize| {
        let cut = MicroBatches { batch: 1, accumulate: 1, tokens: Some(tokens), normalise: Normalise::Step };
        let mut rest = rollouts.clone().into_iter().peekable();
        let sizes: Vec<usize> = std::iter::from_fn(|| cut.next(&mut rest)).map(|batch| batch.len()).collect();
        sizes
    };
    assert!(lengths.len() > 3);
    assert_eq!(cut(1), vec![1; lengths.len()]);
    assert_eq!(cut(lengths.iter().sum()), [lengths.len()]);
    for tokens in [lengths[0] + lengths[1], lengths[0] + lengths[1] + lengths[2] - 1] {
        assert_eq!(cut(tokens)[0], 2, "{lengths:?} in {tokens}");
    }
    // Whatever the limit, nothing is lost and no micro-batch of several is over it.
    for tokens in (1..lengths.iter().sum()).step_by(37) {
        let mut first = 0;
        for size in cut(tokens) {
            let sum: usize = lengths[first..first + size].iter().sum();
            assert!(size == 1 || sum <= tokens);
            first += size;
        }
        assert_eq!(first, lengths.len());
    }
}

#[test]
fn several_completions_of_a_sample_share_its_prompt_and_teach_as_separate_ones() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "[model]\npath = \"{root}/assets/tiny-qwen2_5-vl\"\n[data]\npath = \"{root}/data/easy-vqa/train.jsonl\"\n\
         limit = 4\n[method]\nclip = 0\n[rollout]\nmax_new_tokens = 6\nper_sample = 2\n[lora]\nrank = 2\nalpha = 4\n\
         dropout = 0\n[train]\nepochs = 1\nbatch = 4\naccumulate = 1\nseed = 7\n[log]\nrollouts_every = 1\n",
        root = root().display()
    );
    let recipe = Recipe::parse(&text, "test", &[]).unwrap();
    let run_dir = folder.path().join("run");
    // Four samples of two completions each, four completions a step.
    assert_eq!(run(&recipe, &run_dir, false).unwrap().steps, 2);
    let snapshot = run_dir.join("rollouts/step-000001.jsonl");
    let rows = std::fs::read_to_string(&snapshot).unwrap();
    let rows: Vec<Value> = rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 4);
    for pair in rows.chunks(2) {
        assert_eq!(pair[0]["id"], pair[1]["id"]);
        assert_ne!(
            pair[0]["completion_token_ids"], pair[1]["completion_token_ids"],
            "each has draws of its own"
        );
    }
    assert_ne!(rows[0]["id"], rows[2]["id"]);
    // A replay reads every row as a sample of its own.
    let out = folder.path().join("replay");
    replay(&recipe, &snapshot, &out, &kit(), &Device::flex(), &mut |_, _, _| {}).unwrap();
    let step: Value = serde_json::from_slice(&std::fs::read(out.join("step.json")).unwrap()).unwrap();
    for key in ["loss", "grad_norm"] {
        let (found, wanted) = (first_step(&run_dir)[key].clone(), step[key].clone());
        let [found, wanted] = [found, wanted].map(|value| value.as_f64().unwrap());
        assert!(relative(found, wanted) < 1e-5, "{key}: {found}, wanted {wanted}");
    }
}

#[test]
fn completions_that_do_not_fill_a_step_are_refused_by_their_key() {
    let text =
        "[model]\npath = \"m\"\n[data]\npath = \"d.jsonl\"\n[train]\nsteps = 1\nbatch = 2\naccumulate = 3\n";
    let refused = |set: &[&str]| {
        let set: Vec<String> = set.iter().map(|&set| set.to_owned()).collect();
        Recipe::parse(text, "test", &set).err().map(|error| error.to_string())
    };
    assert_eq!(refused(&["rollout.per_sample=3"]), None);
    let error = refused(&["rollout.per_sample=4"]).unwrap();
    assert!(error.contains("rollout.per_sample") && error.contains("6 completions"), "{error}");
    let error = refused(&["train.tokens_per_micro_batch=512", "train.normalise=micro_batch"]).unwrap();
    assert!(error.contains("train.tokens_per_micro_batch"), "{error}");
}
