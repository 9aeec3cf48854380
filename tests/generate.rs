//! `vigos generate` through the command.

use crate::support;

use safetensors::SafeTensors;
use serde_json::Value;
use std::process::Stdio;
use support::{adapter, fixtures, generate, image, model, run, vigos};

/// A recorded prompt: images, text, and the reference's greedy tokens with their log-probabilities.
struct Case {
    images: Vec<String>,
    text: String,
    ids: Vec<u64>,
    logprobs: Vec<f64>,
    prompt: Vec<u64>,
}

fn cases() -> Vec<Case> {
    let folder = fixtures().join("forward-qwen2_5-vl");
    let meta: Value = serde_json::from_slice(&std::fs::read(folder.join("meta.json")).unwrap()).unwrap();
    let rows = meta["rows"].as_array().unwrap().iter().enumerate().map(|(i, row)| (format!("row{i}"), row));
    rows.chain([("two_images".to_owned(), &meta["two_images"])])
        .map(|(name, entry)| {
            let bytes = std::fs::read(folder.join(format!("{name}.safetensors"))).unwrap();
            let file = SafeTensors::deserialize(&bytes).unwrap();
            let integers = |name: &str| -> Vec<u64> {
                let (chunks, _) = file.tensor(name).unwrap().data().as_chunks::<8>();
                chunks.iter().map(|c| u64::from_le_bytes(*c)).collect()
            };
            let logprobs = file.tensor("greedy_logprobs").unwrap();
            let names = entry.get("images").cloned().unwrap_or_else(|| vec![entry["image"].clone()].into());
            Case {
                images: serde_json::from_value(names).unwrap(),
                text: entry["text"].as_str().unwrap().to_owned(),
                ids: integers("greedy_ids"),
                prompt: integers("input_ids"),
                logprobs: logprobs
                    .data()
                    .as_chunks::<4>()
                    .0
                    .iter()
                    .map(|c| f64::from(f32::from_le_bytes(*c)))
                    .collect(),
            }
        })
        .collect()
}

fn integers(value: &Value) -> Vec<u64> {
    value.as_array().unwrap().iter().map(|v| v.as_u64().unwrap()).collect()
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

#[test]
fn greedy_tokens_and_log_probabilities_are_those_of_the_reference() {
    for case in cases() {
        let mut command = vigos();
        command.args([
            "generate",
            "--device",
            "flex",
            "--json",
            "--max-new-tokens",
            "24",
            "--prompt",
            &case.text,
        ]);
        command.arg("--model").arg(model()).arg("--image");
        case.images.iter().for_each(|name| _ = command.arg(image(name)));
        let found = support::ran(command.output().unwrap()).ok().json();
        assert_eq!(integers(&found["prompt_token_ids"]), case.prompt, "{}", case.text);
        assert_eq!(integers(&found["token_ids"]), case.ids, "{}", case.text);
        assert_eq!(found["finish_reason"], "length");
        assert!(found["text"].is_string());
        for (found, wanted) in floats(&found["logprobs"]).iter().zip(&case.logprobs) {
            assert!((found - wanted).abs() < 1e-4, "{found} {wanted}");
        }
    }
}

#[test]
fn stdout_has_the_text_alone_and_the_text_is_that_of_the_json() {
    let args = generate(&model(), &image("wide.png"), "What?");
    let text = run(&args).ok();
    let json = run(args.iter().map(String::as_str).chain(["--json"])).ok().json();
    assert_eq!(text.stdout, format!("{}\n", json["text"].as_str().unwrap()));
}

#[test]
fn draws_depend_on_the_seed_alone() {
    let sample = |seed: &str| {
        let args = generate(&model(), &image("wide.png"), "What?");
        let more = ["--json", "--temperature", "1.5", "--top-k", "50", "--top-p", "0.99", "--seed", seed];
        run(args.iter().map(String::as_str).chain(more)).ok().json()["token_ids"].clone()
    };
    assert_eq!(sample("1"), sample("1"));
    assert_ne!(sample("1"), sample("2"));
}

#[test]
fn a_prefill_ends_the_prompt_and_is_no_part_of_the_completion() {
    let args = generate(&model(), &image("wide.png"), "What?");
    let with = |more: &[&str]| run(args.iter().map(String::as_str).chain(more.iter().copied())).ok().json();
    let (plain, filled) = (with(&["--json"]), with(&["--json", "--prefill", "<description>"]));
    let (plain, longer) = (integers(&plain["prompt_token_ids"]), integers(&filled["prompt_token_ids"]));
    assert!(longer.starts_with(&plain) && longer.len() > plain.len());
    assert_eq!(integers(&filled["token_ids"]).len(), 4);
}

#[test]
fn an_adapter_changes_what_is_generated() {
    let args = generate(&model(), &image("wide.png"), "What?");
    let (plain, adapter) = (args.clone(), adapter());
    let adapted = args.iter().map(String::as_str).chain(["--adapter", adapter.to_str().unwrap(), "--json"]);
    let (adapted, plain) =
        (run(adapted).ok().json(), run(plain.iter().map(String::as_str).chain(["--json"])).ok().json());
    assert_ne!(floats(&adapted["logprobs"]), floats(&plain["logprobs"]));
}

#[test]
fn an_image_of_one_pixel_is_enlarged_and_taken() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("one.png");
    vigos_processor::RgbImage::new(1, 1).save(&path).unwrap();
    run(generate(&model(), &path, "What?")).ok();
}

#[test]
fn zero_new_tokens_are_an_empty_completion() {
    let args = generate(&model(), &image("wide.png"), "What?");
    let args = args.iter().map(String::as_str).filter(|a| *a != "4").chain(["0", "--json"]);
    let found = run(args).ok().json();
    assert_eq!((found["token_ids"].to_string(), found["text"].as_str()), ("[]".into(), Some("")));
}

#[test]
fn a_reader_that_has_gone_away_is_no_failure() {
    let mut child = vigos()
        .args(generate(&model(), &image("wide.png"), "What?"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let ran = support::ran(child.wait_with_output().unwrap());
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
}
