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
fn a_bad_row_is_named_with_its_field_and_nothing_is_written() {
    let good = json!({"id": "a", "image": "wide.png", "prompt": "x", "completion": "y"});
    let with = |key: &str, value: Value| {
        let mut row = good.clone();
        row[key] = value;
        row
    };
    for (row, parts) in [
        (with("id", Value::Null), ["field `id`", "found nothing", "a string or a number"]),
        (with("prompt", Value::Null), ["field `prompt`", "found nothing", "a string"]),
        (with("prompt", json!(3)), ["field `prompt`", "found 3", "a string"]),
        (with("prefill", json!([])), ["field `prefill`", "found a list", "a string"]),
        (with("image", Value::Null), ["field `image`", "found nothing", "a path"]),
        (with("images", json!(["wide.png"])), ["field `images`", "found a list", "not both"]),
        (with("image", json!("none.png")), ["field `image`", "none.png", "no such file"]),
        (with("image", json!("../wide.png")), ["field `image`", "../wide.png", "below"]),
        (with("image", json!("/etc/hostname")), ["field `image`", "/etc/hostname", "absolute"]),
        (with("image", json!("rows.jsonl")), ["field `image`", "rows.jsonl", "PNG"]),
        (with("completion", Value::Null), ["field `completion`", "found nothing", "completion_token_ids"]),
        (with("completion_token_ids", json!([1])), ["field `completion_token_ids`", "a list", "not both"]),
        (with("prompt", json!("long ".repeat(5000))), ["field `prompt`", "tokens", "4096"]),
    ] {
        let (dir, input) = data_folder(&[good.clone(), row]);
        let output = dir.path().join("scores.jsonl");
        score(&input, &output, &[]).refused(&[&["rows.jsonl:2"], &parts[..]].concat());
        assert!(!output.exists(), "nothing is half-written");
    }
    for (ids, found) in
        [(json!([1056]), "1056"), (json!([-1]), "-1"), (json!("5"), "a string"), (json!([1.5]), "1.5")]
    {
        let row = json!({"id": "a", "image": "wide.png", "prompt": "x", "completion_token_ids": ids});
        let (dir, input) = data_folder(&[good.clone(), row]);
        let output = dir.path().join("scores.jsonl");
        score(&input, &output, &[]).refused(&[
            "rows.jsonl:2",
            "field `completion_token_ids`",
            found,
            "wanted",
        ]);
        assert!(!output.exists());
    }
}

#[test]
fn a_file_that_is_no_json_lines_is_refused() {
    let (dir, input) = data_folder(&[]);
    let output = dir.path().join("scores.jsonl");
    score(&input, &output, &[]).refused(&["rows.jsonl", "no row"]);
    std::fs::write(&input, "{\"id\": 1,\n").unwrap();
    score(&input, &output, &[]).refused(&["rows.jsonl:1"]);
    score(&dir.path().join("none.jsonl"), &output, &[]).refused(&["none.jsonl"]);
    std::fs::write(&input, "{\"id\": 1, \"image\": \"wide.png\", \"prompt\": \"\", \"completion\": \"y\"}")
        .unwrap();
    score(&input, &input, &[]).refused(&["--output", "input file"]);
    score(&input, &dir.path().join("no folder/scores.jsonl"), &[]).refused(&["no folder"]);
    assert!(!output.exists());
    // Its last line needs no line break.
    score(&input, &output, &[]).ok();
}
