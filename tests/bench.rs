//! `vigos bench` through the command.

use crate::support;

use serde_json::Value;
use support::{model, run};

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
    }
    // What is kept changes no number.
    assert_eq!(reports[0]["loss"], reports[1]["loss"]);
}

#[test]
fn decoding_is_measured_phase_by_phase() {
    let report = measured("decode --batch 3 --prompt 64 --image 8x8 --new 5 --repeat 2");
    says_all(&report, &["decode", "image", "prefill"]);
    assert_eq!(report["tokens_computed"].as_u64().unwrap(), 3 * (64 + 4));
}
