//! Images, prompts, settings, recipes and data sets with one thing wrong: refused with exit code 2, by file
//! and field, and nothing half-written.

use crate::support;

use serde_json::{Value, json};
use std::path::Path;
use support::{Ran, data_folder, generate, image, model, png_header, questions, recipe, run};

#[test]
fn an_image_that_cannot_be_taken_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        std::fs::write(dir.path().join(name), bytes).unwrap();
        dir.path().join(name)
    };
    let png = std::fs::read(image("wide.png")).unwrap();
    let thin = dir.path().join("thin.png");
    vigos_processor::RgbImage::new(1005, 5).save(&thin).unwrap();
    for (path, parts) in [
        (dir.path().join("none.png"), ["none.png", "no such file"]),
        (dir.path().to_owned(), ["--image", "no such file"]),
        (file("text.png", b"no image"), ["text.png", "PNG"]),
        (file("empty.png", b""), ["empty.png", "PNG"]),
        (file("cut.png", &png[..png.len() / 2]), ["cut.png", "damaged or cut off"]),
        // 900 million pixels: were they decoded first, the error would be another.
        (file("huge.png", &png_header(30_000, 30_000)), ["huge.png", "30000 by 30000"]),
        (thin, ["thin.png", "200"]),
    ] {
        run(generate(&model(), &path, "What?")).refused(&[&["--image"], &parts[..]].concat());
    }
}

#[test]
fn a_prompt_that_the_model_has_no_room_for_is_refused_and_not_cut() {
    let long = "word ".repeat(5000);
    run(generate(&model(), &image("wide.png"), &long)).refused(&["--prompt", "tokens", "at most 4096"]);
}

#[test]
fn a_sampling_setting_out_of_range_is_named_by_its_flag() {
    let args = generate(&model(), &image("wide.png"), "What?");
    for (flag, value) in
        [("--temperature", "-1"), ("--temperature", "nan"), ("--top-p", "1.5"), ("--min-p", "-0.5")]
    {
        run(args.iter().map(String::as_str).chain([flag, value])).refused(&[flag, "wanted"]);
    }
}

/// Trains into a folder that must not come to be.
#[track_caller]
fn train_refused(rows: &[Value], set: &[&str], parts: &[&str]) {
    let (dir, data) = data_folder(rows);
    let run_dir = dir.path().join("run");
    let ran = train(&recipe(&data), &run_dir, set);
    ran.refused(parts);
    assert!(!run_dir.exists(), "nothing is half-written: {}", ran.stderr);
}

fn train(recipe: &Path, run_dir: &Path, set: &[&str]) -> Ran {
    let fixed = ["train", recipe.to_str().unwrap(), "--run-dir", run_dir.to_str().unwrap()];
    run(fixed.into_iter().chain(set.iter().flat_map(|set| ["--set", set])))
}

#[test]
fn a_recipe_of_another_command_is_called_that() {
    let dir = tempfile::tempdir().unwrap();
    let (out, dials) = (dir.path().join("out"), dir.path().join("dials.toml"));
    std::fs::write(&dials, "splits.train = 5\nscene.columns = 3\n").unwrap();
    let out = out.to_str().unwrap();
    for (command, file, own) in [
        (&["train", "--run-dir", out][..], "configs/first-lessons.toml", "vigos sft"),
        (&["sft", "--run-dir", out], "configs/first-light.toml", "vigos train"),
        (&["eval", "--run-dir", out], "configs/first-lessons.toml", "vigos sft"),
        (&["experiment"], "configs/shapes.toml", "vigos train"),
        (&["prompts"], "configs/experiment.toml", "vigos experiment"),
        (&["data", "shapes", "--out", out, "--config"], "configs/shapes.toml", "vigos train"),
        (&["train", "--run-dir", out], dials.to_str().unwrap(), "vigos data shapes"),
    ] {
        run(command.iter().copied().chain([file])).refused(&[file, own]);
    }
}

#[test]
fn no_escape_codes_are_written_where_there_is_no_terminal() {
    let args = generate(&model(), &image("wide.png"), "What?");
    let ran = run(args.iter().map(String::as_str).chain(["-vv"]));
    assert!(ran.stderr.contains("device") && !ran.stderr.contains('\u{1b}'), "{}", ran.stderr);
    let refused = run(["train", "none.toml"]);
    assert!(!refused.stderr.contains('\u{1b}'), "{}", refused.stderr);
}

#[test]
fn a_recipe_with_a_wrong_key_or_value_is_refused_with_the_nearest_right_one() {
    for (set, parts) in [
        ("optim.lrr=1", &["--set", "`optim.lrr`", "optim.lr"][..]),
        ("optim.lr=fast", &["--set", "`optim.lr`", "wanted"]),
        ("optim.lr=-1", &["--set", "`optim.lr`", "-1", "wanted"]),
        ("method.preset=vigoss", &["--set", "`method.preset`", "vigoss", "vigos"]),
        ("optim.lr", &["--set", "key=value"]),
        ("model.path=no/such/model", &["no/such/model"]),
        ("data.path=none.jsonl", &["none.jsonl"]),
        ("data.path=hf:a/b@train", &["hf:a/b@train", "not in the cache", "HF_HUB_OFFLINE"]),
        ("data.path=hf:a/../b@train", &["hf:a/../b@train", "hf:ORG/NAME@SPLIT"]),
        ("model.path=hf:a/b", &["hf:a/b", "not in the cache"]),
        ("lora.targets=[\"q_prj\"]", &["q_prj"]),
    ] {
        train_refused(&questions(), &[set], parts);
    }
    let (dir, data) = data_folder(&questions());
    let path = recipe(&data);
    let text = std::fs::read_to_string(&path).unwrap();
    let teacher = "[[method.teacher]]\nname = \"spy\"\ncontext = [\"image\", \"answer_key\"]\nprompt = \"plain\"\n\
                   spans = [\"all\"]\nwhen = \"always\"\ndivergence = \"forward\"\nweight = 1\n";
    std::fs::write(&path, format!("{text}{teacher}")).unwrap();
    let run_dir = dir.path().join("run");
    train(&path, &run_dir, &[]).refused(&["recipe.toml", "context", "answer_key", "image"]);
    std::fs::write(&path, format!("{text}\n[trian]\n")).unwrap();
    train(&path, &run_dir, &[]).refused(&["recipe.toml", "trian", "train"]);
    std::fs::write(&path, format!("{text}\nx = = 1\n")).unwrap();
    train(&path, &run_dir, &[]).refused(&["recipe.toml:"]);
    train(&dir.path().join("none.toml"), &run_dir, &[]).refused(&["none.toml"]);
    assert!(!run_dir.exists());
}

#[test]
fn a_data_row_that_is_wrong_is_refused_before_training_begins() {
    let with = |key: &str, value: Value| {
        let mut rows = questions();
        rows[1][key] = value;
        rows
    };
    for (rows, parts) in [
        (with("problem", Value::Null), ["rows.jsonl:2", "problem"]),
        (with("answer", Value::Null), ["rows.jsonl:2", "answer"]),
        (with("image", Value::Null), ["rows.jsonl:2", "image"]),
        (with("image", json!("../wide.png")), ["rows.jsonl:2", "../wide.png"]),
        (with("image", json!("/etc/hostname")), ["rows.jsonl:2", "absolute"]),
        (vec![], ["rows.jsonl", "no rows"]),
    ] {
        train_refused(&rows, &[], &parts);
    }
}

#[test]
fn rows_whose_prompts_are_all_too_long_end_the_run() {
    let (dir, data) = data_folder(&questions());
    let ran = train(&recipe(&data), &dir.path().join("run"), &["train.max_prompt_tokens=8"]);
    ran.refused(&["rows.jsonl", "none of the 4 rows", "tokens"]);
}
