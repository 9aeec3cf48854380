//! `vigos score` through the command.

use crate::support;

use serde_json::{Value, json};
use std::path::Path;
use support::{Ran, adapter, data_folder, image, model, run};

const PROMPT: &str = "How many red squares are in the image?";

fn score(input: &Path, output: &Path, more: &[&str]) -> Ran {
    let model = model();
    let args = ["score", "--model", model.to_str().unwrap(), "--input", input.to_str().unwrap()];
    let output = ["--output", output.to_str().unwrap()];
    run(args.iter().chain(&output).chain(more))
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.ends_with('\n'), "the last line is whole");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn generated(more: &[&str]) -> Value {
    let (model, image) = (model(), image("wide.png"));
    let args = ["generate", "--model", model.to_str().unwrap(), "--image", image.to_str().unwrap()];
    let rest = ["--prompt", PROMPT, "--max-new-tokens", "24", "--json"];
    run(args.iter().chain(&rest).chain(more)).ok().json()
}

#[track_caller]
fn assert_close(found: &Value, wanted: &Value) {
    let (found, wanted) = (floats(found), floats(wanted));
    assert_eq!(found.len(), wanted.len());
    for (f, w) in found.iter().zip(&wanted) {
        assert!((f - w).abs() < 1e-4, "{f} {w}");
    }
}

#[test]
fn generated_tokens_score_as_they_were_drawn_with_and_without_an_adapter() {
    let adapter = adapter();
    for more in [&[][..], &["--adapter", adapter.to_str().unwrap()]] {
        let drawn = generated(more);
        let row = json!({"id": "a", "image": "wide.png", "prompt": PROMPT, "prefill": "", "completion_token_ids": drawn["token_ids"]});
        let (dir, input) = data_folder(&[row]);
        let output = dir.path().join("scores.jsonl");
        score(&input, &output, more).ok();
        let [line] = &lines(&output)[..] else { panic!("one line") };
        assert_eq!((&line["id"], &line["token_ids"]), (&json!("a"), &drawn["token_ids"]));
        assert_close(&line["logprobs"], &drawn["logprobs"]);
        // Greedy tokens are the most probable ones.
        assert_eq!(line["top1"], drawn["token_ids"]);
        let limit = 1056f64.ln();
        assert!(floats(&line["entropy"]).iter().all(|e| (0.0..=limit).contains(e)), "{}", line["entropy"]);
    }
}

#[test]
fn a_text_scores_as_its_token_ids_and_its_special_tokens_count() {
    let text =
        json!({"id": 7, "image": "wide.png", "prompt": PROMPT, "completion": "a red square<|im_end|>"});
    let (dir, input) = data_folder(std::slice::from_ref(&text));
    let output = dir.path().join("scores.jsonl");
    score(&input, &output, &[]).ok();
    let by_text = lines(&output).remove(0);
    let ids = by_text["token_ids"].as_array().unwrap();
    assert_eq!(ids.last(), Some(&json!(1026)));
    assert_eq!(by_text["id"], 7);

    let row = json!({"id": 7, "images": ["wide.png"], "prompt": PROMPT, "completion_token_ids": ids});
    let (dir, input) = data_folder(&[row]);
    let output = dir.path().join("scores.jsonl");
    score(&input, &output, &[]).ok();
    assert_eq!(lines(&output), [by_text]);
}

#[test]
fn rows_keep_their_order_and_an_older_output_is_replaced() {
    let row = |id: &str, prompt: &str, prefill: &str| json!({"id": id, "images": ["wide.png", "wide.png"], "prompt": prompt, "prefill": prefill, "completion_token_ids": [5, 6]});
    let (dir, input) =
        data_folder(&[row("b", "", ""), row("a", PROMPT, "<description>"), row("c", PROMPT, "")]);
    let output = dir.path().join("scores.jsonl");
    std::fs::write(&output, "{\"id\": \"old\"}\nhalf a line").unwrap();
    score(&input, &output, &[]).ok();
    let found = lines(&output);
    assert_eq!(found.iter().map(|l| l["id"].as_str().unwrap()).collect::<Vec<_>>(), ["b", "a", "c"]);
    assert_ne!(found[1]["logprobs"], found[2]["logprobs"], "the prefill counts");
}

#[test]
fn an_output_that_is_another_name_of_the_input_costs_no_row() {
    let row =
        json!({"id": "a", "image": "wide.png", "prompt": PROMPT, "prefill": "", "completion_token_ids": [5]});
    let (dir, input) = data_folder(&[row]);
    let (twin, before) = (dir.path().join("twin.jsonl"), std::fs::read(&input).unwrap());
    std::fs::hard_link(&input, &twin).unwrap();
    score(&input, &twin, &[]).ok();
    assert_eq!(std::fs::read(&input).unwrap(), before);
    assert_eq!(lines(&twin)[0]["id"], json!("a"));
}

#[test]
fn a_last_line_needs_no_line_break_and_scores_go_to_stdout_if_asked_to() {
    let row = json!({"id": 1, "image": "wide.png", "prompt": "", "completion": "y"});
    let (dir, input) = data_folder(&[]);
    std::fs::write(&input, row.to_string()).unwrap();
    let output = dir.path().join("scores.jsonl");
    score(&input, &output, &[]).ok();
    let wanted = std::fs::read_to_string(&output).unwrap();
    assert_eq!(score(&input, Path::new("-"), &[]).ok().stdout, wanted);
    assert!(!support::root().join("-").exists());
    // A pipe can be neither cut nor synced.
    if cfg!(unix) {
        assert_eq!(score(&input, Path::new("/dev/stdout"), &[]).ok().stdout, wanted);
    }
}
