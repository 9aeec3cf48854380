//! A model from a hub on this machine, through the command.

use crate::support;

#[allow(dead_code)] // What is shared is not all used.
#[path = "../crates/hub/tests/hub/server.rs"]
mod server;

#[allow(dead_code)] // What is shared is not all used.
#[path = "../crates/hub/tests/hub/receiver.rs"]
mod receiver;

use arrow_array::{ArrayRef, BinaryArray, RecordBatch, StringArray, StructArray};
use arrow_schema::{DataType, Field};
use parquet::arrow::ArrowWriter;
use receiver::{Receiver, TOKEN};
use server::{COMMIT, Fault, Server};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use support::{Ran, adapter, image, model, ran, root, vigos};

/// `generate` with the model `name`, from the hub at `endpoint`.
fn generate(name: &str, endpoint: &str, cache: &Path, offline: &str) -> Ran {
    let image = image("tiny.png");
    let args =
        ["generate", "--model", name, "--image", image.to_str().unwrap(), "--prompt", "What?", "--json"];
    let mut command = at(endpoint, cache, offline);
    command.args(args).args(["--max-new-tokens", "4", "--temperature", "0"]);
    ran(command.output().unwrap())
}

/// The command with this hub and cache.
fn at(endpoint: &str, cache: &Path, offline: &str) -> Command {
    let mut command = vigos();
    command.env("HF_ENDPOINT", endpoint).env("HF_HOME", cache).env("HF_HUB_OFFLINE", offline);
    command.env_remove("HF_TOKEN").env_remove("HF_HUB_CACHE");
    command
}

/// Gives the tiny model as `org/tiny`.
fn add_model(server: &Server) {
    let files: Vec<(String, Vec<u8>)> = std::fs::read_dir(model())
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
        .collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect();
    server.add("models", "org/tiny", "main", &files);
}

/// A Parquet file of so many questions about one image.
fn questions(rows: usize) -> Vec<u8> {
    let bytes: ArrayRef =
        Arc::new(BinaryArray::from(vec![&std::fs::read(image("tiny.png")).unwrap()[..]; rows]));
    let images = StructArray::from(vec![(Arc::new(Field::new("bytes", DataType::Binary, false)), bytes)]);
    let text = |text: &str| -> ArrayRef { Arc::new(StringArray::from(vec![text; rows])) };
    let columns: [(&str, ArrayRef); 3] =
        [("images", Arc::new(images)), ("problem", text("What is it?")), ("answer", text("yes"))];
    let table = RecordBatch::try_from_iter(columns).unwrap();
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, table.schema(), None).unwrap();
    writer.write(&table).unwrap();
    writer.close().unwrap();
    file
}

#[test]
fn a_model_from_the_hub_is_the_local_one_and_stays_for_use_without_network() {
    let server = Server::start();
    add_model(&server);
    let cache = tempfile::tempdir().unwrap();

    let local = generate(model().to_str().unwrap(), &server.endpoint, cache.path(), "1").ok();
    let fetched = generate("hf:org/tiny", &server.endpoint, cache.path(), "0").ok();
    assert_eq!(fetched.stdout, local.stdout);
    assert!(fetched.stderr.contains("fetching"), "{}", fetched.stderr);
    server.requests();
    let cached = generate("hf:org/tiny", &server.endpoint, cache.path(), "1").ok();
    assert_eq!(cached.stdout, local.stdout);
    assert!(server.requests().is_empty());
}

#[test]
fn an_adapter_is_merged_into_a_base_from_the_hub() {
    let server = Server::start();
    add_model(&server);
    let folder = tempfile::tempdir().unwrap();
    let merge = |base: &str, adapter: &Path, out: &str| {
        let mut command = at(&server.endpoint, folder.path(), "0");
        command.args(["merge", "--model", base, "--check", "--adapter"]).arg(adapter);
        ran(command.arg("--out").arg(folder.path().join(out)).output().unwrap())
    };
    let weights = |out: &str| std::fs::read(folder.path().join(out).join("model.safetensors")).unwrap();
    merge(model().to_str().unwrap(), &adapter(), "local").ok();
    let fetched = merge("hf:org/tiny", &adapter(), "fetched").ok();
    assert!(fetched.stderr.contains("fetching"), "{}", fetched.stderr);
    assert!(fetched.stderr.contains("check: log-probabilities of"), "{}", fetched.stderr);
    assert!(weights("fetched") == weights("local"));
    let missing = folder.path().join("no/adapter");
    merge("hf:org/tiny", &missing, "never").refused(&["--adapter", "no such folder"]);
    merge("hf:org/absent", &adapter(), "never").refused(&["hf:org/absent", "check the name"]);
    assert!(!folder.path().join("never").exists());
}

#[test]
fn a_run_takes_model_and_data_from_the_hub_and_its_adapter_names_the_base() {
    let server = Server::start();
    add_model(&server);
    let file = questions(6);
    server.add("datasets", "org/set", "main", &[("data/train-00000-of-00001.parquet", &file)]);
    let folder = tempfile::tempdir().unwrap();
    let run_dir = folder.path().join("run");
    let mut command = at(&server.endpoint, folder.path(), "0");
    command.arg("train").arg(root().join("configs/first-light.toml")).arg("--run-dir").arg(&run_dir);
    for set in
        ["model.path=hf:org/tiny", "data.path=hf:org/set@train", "train.steps=1", "rollout.max_new_tokens=2"]
    {
        command.args(["--set", set]);
    }
    let run = ran(command.output().unwrap()).ok();
    assert!(run.stderr.contains("fetching data/train-00000-of-00001.parquet"), "{}", run.stderr);
    let adapter = std::fs::read(run_dir.join("checkpoints/step-000001/adapter_config.json")).unwrap();
    let adapter: serde_json::Value = serde_json::from_slice(&adapter).unwrap();
    assert_eq!(adapter["base_model_name_or_path"], "org/tiny");
}

#[test]
fn every_command_takes_names_of_the_hub_for_model_and_adapter() {
    let server = Server::start();
    add_model(&server);
    let read = |name: &str| std::fs::read(adapter().join(name)).unwrap();
    let files = ["adapter_config.json", "adapter_model.safetensors"].map(|name| (name, read(name)));
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (*name, &bytes[..])).collect();
    server.add("models", "org/lora", "main", &files);
    let folder = tempfile::tempdir().unwrap();
    let names = ["--model", "hf:org/tiny", "--adapter", "hf:org/lora"];
    let command = |args: &[&str]| {
        let mut command = at(&server.endpoint, folder.path(), "0");
        command.args(args);
        command
    };
    let out = folder.path().join("merged");
    let merged = ran(command(&["merge", "--out", out.to_str().unwrap()]).args(names).output().unwrap()).ok();
    assert!(merged.stderr.contains("30 of 80 tensors updated"), "{}", merged.stderr);

    std::fs::copy(image("tiny.png"), folder.path().join("tiny.png")).unwrap();
    let rows = folder.path().join("rows.jsonl");
    std::fs::write(&rows, r#"{"id": "1", "image": "tiny.png", "prompt": "What?", "completion": "A cat."}"#)
        .unwrap();
    let scores = folder.path().join("scores.jsonl");
    let files = ["--input", rows.to_str().unwrap(), "--output", scores.to_str().unwrap()];
    ran(command(&["score"]).args(names).args(files).output().unwrap()).ok();
    assert!(std::fs::read_to_string(&scores).unwrap().contains("logprobs"));

    let recipe = root().join("configs/first-light.toml");
    let set = ["--set", "model.path=hf:org/tiny"];
    let shown =
        ran(command(&["prompts", recipe.to_str().unwrap(), "--json"]).args(set).output().unwrap()).ok();
    assert_eq!(shown.json()["prompts"].as_array().unwrap().len(), 4);
    let planned = command(&["doctor", "--json", "--config", recipe.to_str().unwrap()]).args(set).output();
    assert!(ran(planned.unwrap()).ok().json()["peak_bytes"].as_u64().unwrap() > 0);
}

#[test]
fn the_estimate_of_an_adapter_from_the_hub_has_its_own_ranks_and_fetches_no_tensor() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let own = folder.path().join("adapter_config.json");
    std::fs::copy(adapter().join("adapter_config.json"), &own).unwrap();
    support::set_json(&own, "/rank_pattern", serde_json::json!({"q_proj": 8}));
    let config = std::fs::read(&own).unwrap();
    let files: [(&str, &[u8]); 2] = [("adapter_config.json", &config), ("adapter_model.safetensors", b"")];
    server.add("models", "org/lora", "main", &files);
    let recipe = root().join("configs/first-light.toml");
    let bytes = |adapter: &str| {
        let mut command = at(&server.endpoint, folder.path(), "0");
        command.args(["doctor", "--json", "--set", &format!("model.adapter={adapter}"), "--config"]);
        let report = ran(command.arg(&recipe).output().unwrap()).ok().json();
        let parts = report["parts"].as_array().unwrap().clone();
        parts.into_iter().find(|part| part["name"] == "adapter").unwrap()["bytes"].as_u64().unwrap()
    };
    let local = bytes(folder.path().to_str().unwrap());
    assert_eq!(bytes("hf:org/lora"), local);
    assert_ne!(bytes(adapter().to_str().unwrap()), local);
    let fetched = |request: &server::Request| request.path.contains("adapter_model");
    assert!(!server.requests().iter().any(fetched));
}

#[test]
fn what_the_hub_has_in_another_format_or_as_something_else_is_called_by_its_name() {
    let server = Server::start();
    let read = |folder: &Path, name: &str| std::fs::read(folder.join(name)).unwrap();
    let config = read(&model(), "config.json");
    let own = read(&adapter(), "adapter_config.json");
    let add = |name: &str, files: &[(&str, &[u8])]| server.add("models", name, "main", files);
    add("org/old", &[("config.json", &config), ("tokenizer.json", b"{}"), ("pytorch_model.bin", b"PK")]);
    add("org/quants", &[("README.md", b""), ("tiny-Q4_K_M.gguf", b"GGUF")]);
    add("org/lora", &[("adapter_config.json", &own), ("adapter_model.safetensors", b"")]);
    add("org/old-lora", &[("adapter_config.json", &own), ("adapter_model.bin", b"PK")]);
    let cache = tempfile::tempdir().unwrap();
    let with = |base: &str, adapter: &str| {
        let mut command = at(&server.endpoint, cache.path(), "0");
        command.args(["generate", "--prompt", "What?", "--model", base, "--image"]).arg(image("tiny.png"));
        ran(command.args(["--adapter", adapter]).output().unwrap())
    };
    let local = model();
    let local = local.to_str().unwrap();
    with("hf:org/old", "none").refused(&["hf:org/old: pytorch_model.bin", "safetensors", "save_pretrained"]);
    with("hf:org/quants", "none").refused(&["hf:org/quants: tiny-Q4_K_M.gguf", "safetensors"]);
    with("hf:org/lora", "none").refused(&["hf:org/lora is an adapter, not a model", "its base as the model"]);
    with(local, "hf:org/old-lora").refused(&[
        "adapter_model.bin",
        "adapter_model.safetensors",
        "save_pretrained",
    ]);
    with(local, "hf:org/old").refused(&["hf:org/old is a model, not an adapter", "without an adapter"]);
    // Nothing was fetched for it.
    let fetched = |request: &server::Request| request.path.contains("/resolve/");
    assert!(!server.requests().iter().any(fetched));
}

#[test]
fn a_file_that_ends_early_or_never_comes_is_a_failure_that_says_so() {
    let server = Server::start();
    add_model(&server);
    let weights = format!("/org/tiny/resolve/{COMMIT}/model.safetensors");
    let cache = tempfile::tempdir().unwrap();
    let args = ["generate", "--model", "hf:org/tiny", "--prompt", "What?", "--image"];
    let attempt = || {
        let mut command = at(&server.endpoint, cache.path(), "0");
        command.args(args).arg(image("tiny.png")).env("HF_HUB_DOWNLOAD_TIMEOUT", "1");
        let failed = ran(command.output().unwrap());
        assert_eq!(failed.code, Some(1), "{}", failed.stderr);
        failed.stderr
    };
    server.fault(&weights, Fault::CutAfter(0));
    let said = attempt();
    assert!(said.contains("model.safetensors"), "{said}");
    assert!(said.contains("ends after 0 of") || said.contains("check the network"), "{said}");
    server.fault(&weights, Fault::Stall);
    let said = attempt();
    assert!(said.contains("nothing came for 1 seconds"), "{said}");
}

#[test]
fn wrong_names_are_the_user_s_fault_and_a_failing_hub_is_not() {
    let server = Server::start();
    let cache = tempfile::tempdir().unwrap();
    generate("hf:org/absent", &server.endpoint, cache.path(), "0")
        .refused(&["hf:org/absent", "check the name"]);
    server.fault("/api/models/org/shut/revision/main", Fault::Status(401));
    generate("hf:org/shut", &server.endpoint, cache.path(), "0").refused(&["hf:org/shut", "HF_TOKEN"]);
    server.fault("/api/models/org/ill/revision/main", Fault::Status(500));
    let failed = generate("hf:org/ill", &server.endpoint, cache.path(), "0");
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    assert!(failed.stderr.contains("the hub answers 500"), "{}", failed.stderr);
}

#[test]
fn a_push_says_what_would_go_and_sends_it_when_told_to_with_a_card_of_the_run() {
    let hub = Receiver::start();
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("run");
    let checkpoint = run.join("checkpoints/step-000002");
    std::fs::create_dir_all(&checkpoint).unwrap();
    for name in ["adapter_config.json", "adapter_model.safetensors"] {
        std::fs::copy(adapter().join(name), checkpoint.join(name)).unwrap();
    }
    std::fs::write(checkpoint.join("optimizer.safetensors"), "moments").unwrap();
    let recipe = "[model]\npath = \"hf:org/tiny\"\n\n[data]\npath = \"/home/someone/mine.jsonl\"\n";
    std::fs::write(run.join("config.toml"), recipe).unwrap();
    std::fs::write(run.join("metrics.jsonl"), "{\"step\":1,\"loss\":0.5}\n{\"step\":2,\"loss\":0.25}\n")
        .unwrap();
    let eval = run.join("eval/before");
    std::fs::create_dir_all(&eval).unwrap();
    let mean = serde_json::json!({ "value": 0.5, "standard_error": 0.05, "n": 10 });
    let report = serde_json::json!({ "settings": { "data": "test.jsonl" }, "overall": { "average": mean } });
    std::fs::write(eval.join("report.json"), report.to_string()).unwrap();

    let push = |token: &str, args: &[&str]| {
        let mut command = at(&hub.endpoint, folder.path(), "0");
        command.env("HF_TOKEN", token).args(["hub", "push"]).arg(&run).arg("me/looks").args(args);
        ran(command.output().unwrap())
    };
    let dry = push(TOKEN, &[]).ok();
    for part in ["adapter_model.safetensors", "README.md", &format!("{}/me/looks", hub.endpoint)] {
        assert!(dry.stdout.contains(part), "no {part} in {}", dry.stdout);
    }
    assert!(
        dry.stdout.contains("not optimizer.safetensors") && dry.stderr.contains("--yes"),
        "{}",
        dry.stdout
    );
    let told = push(TOKEN, &["--json"]).ok().json();
    assert!(told["card"].as_str().unwrap().starts_with("---\nlibrary_name: peft\n"), "{told}");
    assert!(hub.requests().is_empty(), "nothing is asked before --yes");

    let sent = push(TOKEN, &["--yes"]).ok();
    assert!(sent.stderr.contains("3 files sent to") && !sent.stderr.contains(TOKEN), "{}", sent.stderr);
    let tensors = std::fs::read(checkpoint.join("adapter_model.safetensors")).unwrap();
    assert!(hub.file("adapter_model.safetensors").unwrap() == tensors);
    assert!(!checkpoint.join("README.md").exists() && !run.join("README.md").exists());
    let card = String::from_utf8(hub.file("README.md").unwrap()).unwrap();
    for part in [
        "base_model: org/tiny\n",
        "library_name: peft\n",
        "# No licence is stated",
        "| Data | mine.jsonl |",
        "| Accuracy (Avg@1) | 50.0 ± 5.0 % |",
        "PeftModel.from_pretrained(base, \"me/looks\")",
        "--model 'hf:org/tiny' --adapter hf:me/looks",
        "path = \"mine.jsonl\"",
    ] {
        assert!(card.contains(part), "no {part:?} in {card}");
    }
    assert!(!card.contains("/home/someone"), "{card}");

    let own = folder.path().join("card.md");
    std::fs::write(&own, "# Mine\n").unwrap();
    let again = push(TOKEN, &["--yes", "--json", "--card", own.to_str().unwrap()]).ok().json();
    assert_eq!((&again["committed"], &again["kept"]), (&serde_json::json!(["README.md"]), &2.into()));
    assert_eq!(hub.file("README.md").unwrap(), b"# Mine\n");

    push("hf_wrong", &["--yes"]).refused(&["401", "may write"]);
    push("", &["--yes"]).refused(&["HF_TOKEN", "me/looks"]);
    let mut nothing = at(&hub.endpoint, folder.path(), "0");
    nothing.args(["hub", "push"]).arg(folder.path()).arg("me/looks");
    ran(nothing.output().unwrap()).refused(&["no model and no adapter"]);
    let mut absent = at(&hub.endpoint, folder.path(), "0");
    absent.args(["hub", "push", "no/such/run", "me/looks"]);
    ran(absent.output().unwrap()).refused(&["no/such/run"]);
}
