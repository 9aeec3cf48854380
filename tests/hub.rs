//! A model from a hub on this machine, through the command.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub)] // In helpers too; what is shared is not all used.

#[path = "../crates/hub/tests/hub/server.rs"]
mod server;
mod support;

use arrow_array::{ArrayRef, BinaryArray, RecordBatch, StringArray, StructArray};
use arrow_schema::{DataType, Field};
use parquet::arrow::ArrowWriter;
use server::{Fault, Server};
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
