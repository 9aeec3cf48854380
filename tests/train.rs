//! `vigos train` and `vigos replay` through the command.

use crate::support;

use serde_json::Value;
use std::path::Path;
use support::{
    adapter_bytes, data_folder, fixtures, generate, image, metrics, model, questions, recipe, recorded, root,
    run, train,
};

#[test]
fn a_run_fills_its_folder_and_its_adapter_generates() {
    let (dir, data) = data_folder(&questions());
    let run_dir = dir.path().join("run");
    let ran = train(&recipe(&data), &run_dir, &[]).ok();
    assert_eq!(ran.stdout, "");
    let checkpoint = run_dir.join("checkpoints/step-000002");
    let saved = format!("adapter saved to {}", checkpoint.display());
    assert!(ran.stderr.lines().any(|line| line == saved), "{}", ran.stderr);
    assert!(ran.stderr.contains("step 2/2"), "{}", ran.stderr);

    let lines = metrics(&run_dir);
    assert_eq!(lines.iter().map(|l| l["step"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2]);
    for name in ["config.toml", "rollouts/step-000001.jsonl", "rollouts/step-000002.jsonl"] {
        assert!(run_dir.join(name).is_file(), "{name}");
    }
    for name in ["adapter_config.json", "adapter_model.safetensors", "manifest.json"] {
        assert!(checkpoint.join(name).is_file(), "{name}");
    }
    let args = generate(&model(), &image("wide.png"), "What?");
    let path = checkpoint.to_str().unwrap().to_owned();
    run(args.into_iter().chain(["--adapter".into(), path])).ok();
}

#[test]
fn a_run_goes_on_with_an_adapter_of_pefts_and_keeps_its_patterns() {
    let (dir, data) = data_folder(&questions());
    let recipe = recipe(&data);
    for (name, keys) in [
        (
            "patterns",
            ["lora.rank=3", "lora.alpha=5", r#"lora.targets=["q_proj","v_proj","gate_proj","down_proj"]"#],
        ),
        ("rslora", ["lora.rank=4", "lora.alpha=2", r#"lora.targets=["k_proj","o_proj","up_proj"]"#]),
    ] {
        let start = root().join("models/qwen/tests/fixtures/peft/qwen2_5-vl").join(name);
        let from = format!("model.adapter={}", start.display());
        let keys = [from.as_str(), "method.clip=0", "optim.schedule=constant"].into_iter().chain(keys);
        let sets: Vec<&str> = keys.flat_map(|set| ["--set", set]).collect();
        train(&recipe, &dir.path().join("other"), &sets[..2]).refused(&["lora", "rank", "alpha"]);

        let run_dir = dir.path().join(name);
        train(&recipe, &run_dir, &sets).ok();
        let config = |folder: &Path| -> Value {
            serde_json::from_slice(&std::fs::read(folder.join("adapter_config.json")).unwrap()).unwrap()
        };
        let (began, ended) = (config(&start), config(&run_dir.join("checkpoints/step-000002")));
        for key in ["target_modules", "rank_pattern", "use_rslora"] {
            assert_eq!(ended[key], began[key], "{name} {key}");
        }
        let names =
            |config: &Value| config["alpha_pattern"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(names(&ended), names(&began), "{name}");
        let trained = adapter_bytes(&run_dir, 2);
        assert_ne!(trained, std::fs::read(start.join("adapter_model.safetensors")).unwrap(), "{name}");

        // Stopped behind its first step and resumed, it comes to the same.
        let resumed = dir.path().join(format!("{name}-resumed"));
        train(&recipe, &resumed, &[&sets[..], &["--set", "train.steps=1"]].concat()).ok();
        train(&recipe, &resumed, &["--resume", "--set", "train.steps=2"]).ok();
        assert!(adapter_bytes(&resumed, 2) == trained, "{name}");
    }
}

#[test]
fn a_resumed_run_writes_what_an_uninterrupted_one_does() {
    let (dir, data) = data_folder(&questions());
    let (recipe, whole, parts) = (recipe(&data), dir.path().join("whole"), dir.path().join("parts"));
    train(&recipe, &whole, &["--set", "train.steps=3", "--set", "optim.schedule=constant"]).ok();
    train(&recipe, &parts, &["--set", "train.steps=1", "--set", "optim.schedule=constant"]).ok();
    let more = ["--set", "train.steps=3", "--set", "optim.schedule=constant", "--resume"];
    let ran = train(&recipe, &parts, &more).ok();
    assert!(ran.stderr.contains("going on after step 1 of 3"), "{}", ran.stderr);
    assert_eq!(metrics(&whole), metrics(&parts));
    assert!(adapter_bytes(&whole, 3) == adapter_bytes(&parts, 3), "the adapters differ");
}

#[test]
fn beside_a_quantised_base_a_run_goes_on_as_any_other_and_its_adapter_is_of_the_same_kind() {
    let (dir, data) = data_folder(&questions());
    let (recipe, of) = (recipe(&data), |name: &str| dir.path().join(name));
    // Without a clip: what is clipped teaches nothing, whatever the base.
    let plain =
        |steps: &'static str| ["--set", steps, "--set", "optim.schedule=constant", "--set", "method.clip=0"];
    let set = |steps| [&plain(steps)[..], &["--set", "model.quantize=int4"]].concat();
    train(&recipe, &of("whole"), &set("train.steps=2")).ok();
    train(&recipe, &of("parts"), &set("train.steps=1")).ok();
    train(&recipe, &of("parts"), &[&set("train.steps=2")[..], &["--resume"]].concat()).ok();
    assert_eq!(metrics(&of("whole")), metrics(&of("parts")));
    let whole = adapter_bytes(&of("whole"), 2);
    assert!(whole == adapter_bytes(&of("parts"), 2), "the adapters differ");
    train(&recipe, &of("plain"), &plain("train.steps=2")).ok();
    let plain = adapter_bytes(&of("plain"), 2);
    assert!(plain.len() == whole.len() && plain != whole, "the same tensors with other values");
}

#[test]
fn a_run_folder_belongs_to_one_run() {
    let (dir, data) = data_folder(&questions());
    let (recipe, run_dir) = (recipe(&data), dir.path().join("run"));
    train(&recipe, &run_dir, &["--resume"]).refused(&["run", "no run to resume"]);
    assert!(!run_dir.exists());
    train(&recipe, &run_dir, &["--set", "train.steps=1"]).ok();
    let before = std::fs::read(run_dir.join("metrics.jsonl")).unwrap();
    train(&recipe, &run_dir, &[]).refused(&[run_dir.to_str().unwrap(), "already", "--resume"]);
    let other = ["--resume", "--set", "optim.lr=0.5"];
    train(&recipe, &run_dir, &other).refused(&[run_dir.to_str().unwrap(), "optim.lr", "0.5"]);
    assert_eq!(std::fs::read(run_dir.join("metrics.jsonl")).unwrap(), before);
}

#[test]
fn the_effective_recipe_is_printed_and_reads_back_as_itself() {
    let (dir, data) = data_folder(&questions());
    let print = |path: &Path, more: &[&str]| {
        let fixed = ["train", path.to_str().unwrap(), "--print-config"];
        run(fixed.iter().chain(more)).ok().stdout
    };
    let first = print(&recipe(&data), &["--set", "optim.lr=0.25"]);
    assert!(first.contains("lr = 0.25"), "{first}");
    let path = dir.path().join("printed.toml");
    std::fs::write(&path, &first).unwrap();
    assert_eq!(print(&path, &[]), first);
}

#[test]
fn a_replay_gives_the_recorded_losses_spans_and_gradient_norm() {
    let path = fixtures().join("method-qwen2_5-vl/result.json");
    let result: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (recipe, rollouts) = recorded(dir.path(), &result);
    for fidelity in ["paper", "released"] {
        let out = dir.path().join(fidelity);
        let fixed = ["replay", recipe.to_str().unwrap(), "--rollouts", rollouts.to_str().unwrap()];
        let set = format!("method.fidelity={fidelity}");
        let more = ["--out", out.to_str().unwrap(), "--set", &set, "--set", "method.clip=0.5"];
        let args: Vec<&str> = fixed.into_iter().chain(more).collect();
        run(&args).ok();
        let step: Value = serde_json::from_slice(&std::fs::read(out.join("step.json")).unwrap()).unwrap();
        let wanted = &result["fidelity"][fidelity]["configs"]["clip0.5"];
        let close = |found: &Value, wanted: &Value| {
            let (found, wanted) = (found.as_f64().unwrap(), wanted.as_f64().unwrap());
            assert!((found - wanted).abs() <= 1e-4 * wanted.abs().max(1e-3), "{fidelity}: {found} {wanted}");
        };
        close(&step["loss"], &wanted["total"]);
        close(&step["grad_norm"], &wanted["grad_norm"]);
        for term in ["perception", "reasoning", "reference"] {
            close(&step["terms"][term]["loss"], &wanted[term]["loss"]);
        }
        for (row, spans) in step["rows"]
            .as_array()
            .unwrap()
            .iter()
            .zip(result["fidelity"][fidelity]["spans"].as_array().unwrap())
        {
            assert_eq!((&row["spans"], row["valid"].as_bool()), (spans, Some(spans.is_object())));
        }
        for name in ["grads.safetensors", "adapter/adapter_config.json", "adapter/adapter_model.safetensors"]
        {
            assert!(out.join(name).is_file(), "{name}");
        }
        run(&args).refused(&[fidelity, "already"]);
    }
}

#[test]
fn rows_whose_prompts_are_all_too_long_end_the_run() {
    let (dir, data) = data_folder(&questions());
    let set = ["--set", "train.max_prompt_tokens=8"];
    let ran = train(&recipe(&data), &dir.path().join("run"), &set);
    ran.refused(&["rows.jsonl", "none of the 4 rows", "tokens"]);
}

#[test]
fn a_server_that_is_not_there_ends_a_run_that_can_be_gone_on_with_without_it() {
    let (dir, data) = data_folder(&questions());
    let run_dir = dir.path().join("run");
    // Nobody listens where someone did a moment ago.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("rollout.url=\"http://{closed}\"");
    let by_server = ["--set", "rollout.engine=\"vllm\"", "--set", &url, "--set", "rollout.patience=0.3"];
    let ran = train(&recipe(&data), &run_dir, &by_server);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    for part in [&closed.to_string(), "rollout.patience = 0.3 is over"] {
        assert!(ran.stderr.contains(part), "no {part:?} in {}", ran.stderr);
    }
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
}
