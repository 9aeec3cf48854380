//! `vigos bench` through the command.

use crate::support;

use serde_json::{Value, json};
use std::path::Path;
use support::{data_folder, model, questions, recipe, run, train};

const SMALL: [&str; 10] =
    ["bench", "loss", "--rows", "6", "--vocab", "501", "--hidden", "16", "--device", "flex"];

#[test]
fn the_loss_is_measured_against_its_baselines_and_equals_them() {
    for direction in ["forward", "reverse"] {
        let more = ["--direction", direction, "--chunk", "2", "--repeats", "2", "--json"];
        let report = run(SMALL.into_iter().chain(more)).ok().json();
        assert_eq!((report["active"].as_u64(), report["chunk_rows"].as_u64()), (Some(3), Some(2)));
        for (from, baselines) in
            [("logits", ["composed", "bound"]), ("hidden_states", ["composed", "products"])]
        {
            let part = &report[from];
            for name in ["fused"].into_iter().chain(baselines) {
                assert!(part[name]["seconds"].as_f64().unwrap() > 0.0, "{from} {name}: {report}");
            }
            assert!(part["difference"].as_f64().unwrap() < 1e-4, "{from}: {report}");
        }
    }
    let text = run(SMALL.into_iter().chain(["--dtype", "bf16"])).ok().stdout;
    assert!(text.contains("from hidden states") && text.contains("bf16"), "{text}");
}

#[test]
fn every_operator_is_measured_both_ways_against_its_reference() {
    let small = "bench kernels --rows 40 --hidden 256 --inner 320 --vocab 500 --repeats 1 --device flex";
    let report = run(small.split(' ').chain(["--json"])).ok().json();
    let operators = report["operators"].as_array().unwrap();
    let has = |name: &str, pass: &str, dtype: &str, rows: Option<u64>| {
        operators.iter().any(|operator| {
            let is = |key: &str, value: &str| operator[key] == value;
            let fits = rows.is_none_or(|rows| operator["shape"][0] == rows);
            is("name", name) && is("pass", pass) && is("dtype", dtype) && fits
        })
    };
    for name in ["attention", "norm", "swiglu", "rotary", "lora"] {
        assert!(has(name, "forward", "f32", None) && has(name, "backward", "f32", None), "{name}: {report}");
    }
    for name in ["decode_attention", "sampler", "adamw"] {
        assert!(has(name, "forward", "f32", None), "{name}: {report}");
    }
    for name in ["loss_forward", "loss_reverse"] {
        assert!(has(name, "backward", "f32", None), "{name}: {report}");
    }
    for dtype in ["f32", "bf16", "int8", "int4"] {
        for rows in [1, 2, 4, 8, 16, 40] {
            assert!(has("product", "forward", dtype, Some(rows)), "{dtype} {rows}: {report}");
        }
        assert!(has("product", "backward", dtype, Some(40)), "{dtype}: {report}");
    }
    for operator in operators {
        for key in ["seconds", "reference_seconds", "share_of_peak"] {
            assert!(operator[key].as_f64().unwrap() > 0.0, "{key}: {operator}");
        }
    }
}

/// Runs a benchmark of the tiny model once and reads its object.
fn measured(args: &str) -> Value {
    let folder = model();
    let args = args.split(' ').chain(["--model", folder.to_str().unwrap(), "--device", "flex", "--json"]);
    run(["bench"].into_iter().chain(args)).ok().json()
}

#[track_caller]
fn says_all(report: &Value, phases: &[&str]) {
    let found: Vec<&str> = report["phases"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(found, phases, "{report}");
    let sum: f64 = report["phases"].as_object().unwrap().values().map(|v| v.as_f64().unwrap()).sum();
    assert!(sum > 0.0 && report["seconds"].as_f64().unwrap() > 0.0, "{report}");
    for key in ["tokens_per_second", "matmul_share"] {
        assert!(report[key].as_f64().unwrap() > 0.0, "{key}: {report}");
    }
    assert!(report["model_bytes"].as_u64().unwrap() > 0, "{report}");
}

#[test]
fn a_step_is_measured_phase_by_phase() {
    let reports = ["none", "block"].map(|recompute| {
        measured(&format!(
            "step --batch 2 --prompt 300 --image 8x8 --completion 20 --repeat 1 --recompute {recompute}"
        ))
    });
    for report in &reports {
        says_all(report, &["backward", "image", "loss", "optimiser", "student", "teachers"]);
        let prompts =
            ["student", "perception", "reasoning", "reference"].map(|role| &report["prompts"][role]);
        assert_eq!(prompts.map(|p| p.as_u64().unwrap()), [303, 45, 257, 336]);
        // Both teachers' prompts begin with the same 11 tokens and the image's 16.
        let teachers = 45 + 7 + 257 + 19 - 27;
        assert_eq!(report["tokens_computed"].as_u64().unwrap(), 2 * (teachers + 303 + 20), "{report}");
        assert_eq!(report["tokens_computed"], report["tokens_needed"]);
        // More than the published clip of both teachers: were it clipped, nothing would go back.
        assert!(report["loss"].as_f64().unwrap() > 0.1, "{report}");
    }
    // What is kept changes no number.
    assert_eq!(reports[0]["loss"], reports[1]["loss"]);
}

#[test]
fn sizes_that_no_machine_has_are_refused_before_anything_is_measured() {
    let model = model();
    let of_a_model = |case, flag, size| {
        run(["bench", case, "--model", model.to_str().unwrap(), "--device", "flex", flag, size])
    };
    for case in ["step", "decode"] {
        of_a_model(case, "--batch", "1000000").refused(&["--batch", "1000000", "at most 4096"]);
        of_a_model(case, "--prompt", "18446744073709551615").refused(&["--prompt"]);
    }
    for flag in ["--rows", "--hidden", "--inner", "--vocab"] {
        run(["bench", "kernels", "--device", "flex", flag, "1000000000000"]).refused(&[flag, "at most"]);
    }
}

#[test]
fn decoding_is_measured_phase_by_phase() {
    let report = measured("decode --batch 3 --prompt 64 --image 8x8 --new 5 --repeat 2");
    says_all(&report, &["decode", "image", "prefill"]);
    assert_eq!(report["tokens_computed"].as_u64().unwrap(), 3 * (64 + 4));
}

/// The names of the phases that a trace file has, in the order in which they first begin.
fn traced(path: &Path) -> Vec<String> {
    let events: Vec<Value> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut names: Vec<String> = Vec::new();
    for event in &events {
        let name = event["name"].as_str().unwrap();
        if event["ph"] == "B" && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    let count = |kind: &str| events.iter().filter(|event| event["ph"] == kind).count();
    assert_eq!(count("B"), count("E"), "a phase that does not end");
    names
}

#[test]
fn a_trace_has_the_phases_of_a_step_and_of_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bench.json");
    let small = "step --batch 1 --prompt 300 --image 8x8 --completion 20 --repeat 1 --trace";
    measured(&format!("{small} {}", file.display()));
    assert_eq!(traced(&file), ["teachers", "image", "student", "loss", "backward", "optimiser"]);

    let file = folder.path().join("train.json");
    let (_data, rows) = data_folder(&questions());
    let more = ["--set", "train.steps=1", "--trace", file.to_str().unwrap()];
    train(&recipe(&rows), &folder.path().join("run"), &more).ok();
    let names = traced(&file);
    for phase in
        ["data", "prefill", "image", "decode", "teachers", "student", "loss", "backward", "optimiser"]
    {
        assert!(names.iter().any(|name| name == phase), "{phase}: {names:?}");
    }

    let nowhere = folder.path().join("none/trace.json");
    run(["doctor", "--trace", nowhere.to_str().unwrap()]).refused(&["--trace", "cannot be written"]);
}

#[test]
fn a_measurement_is_set_beside_one_of_the_same_work_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("baseline.json");
    let small =
        format!("decode --batch 1 --prompt 64 --image 8x8 --new 2 --repeat 1 --against {}", file.display());
    let write = |new: usize, seconds: f64| {
        let work = json!({"case": "decode", "batch": 1, "prompt": 64, "image": [8, 8], "completion": new});
        let mut baseline = work.as_object().unwrap().clone();
        baseline.insert("seconds".into(), json!(seconds));
        baseline.insert("peak_bytes".into(), json!(1_000_000));
        std::fs::write(&file, Value::from(baseline).to_string()).unwrap();
    };
    write(2, 2.0);
    let report = measured(&small);
    let number = |pointer: &str| report.pointer(pointer).unwrap().as_f64().unwrap();
    assert_eq!(number("/against/seconds"), number("/seconds") / 2.0);
    assert_eq!(number("/against/peak_bytes"), number("/peak_bytes") / 1e6);

    let refused = |parts: &[&str]| {
        let folder = model();
        let args = small.split(' ').chain(["--model", folder.to_str().unwrap()]);
        run(["bench"].into_iter().chain(args)).refused(&[&["--against", "baseline.json"], parts].concat());
    };
    write(3, 2.0);
    refused(&["completions of 3", "completions of 2"]);
    write(2, 0.0);
    refused(&["0 seconds"]);
    std::fs::write(&file, "{}").unwrap();
    refused(&["missing field", "tools/bench_torch.py"]);
}
