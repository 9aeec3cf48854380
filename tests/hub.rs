//! A model from a hub on this machine, through the command.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub)] // In helpers too; what is shared is not all used.

#[path = "../crates/hub/tests/hub/server.rs"]
mod server;
mod support;

use server::{Fault, Server};
use std::path::Path;
use support::{Ran, image, model, ran, vigos};

/// `generate` with the model `name`, from the hub at `endpoint`.
fn generate(name: &str, endpoint: &str, cache: &Path, offline: &str) -> Ran {
    let image = image("tiny.png");
    let args =
        ["generate", "--model", name, "--image", image.to_str().unwrap(), "--prompt", "What?", "--json"];
    let mut command = vigos();
    command.args(args).args(["--max-new-tokens", "4", "--temperature", "0"]);
    command.env("HF_ENDPOINT", endpoint).env("HF_HOME", cache).env("HF_HUB_OFFLINE", offline);
    ran(command.env_remove("HF_TOKEN").env_remove("HF_HUB_CACHE").output().unwrap())
}

#[test]
fn a_model_from_the_hub_is_the_local_one_and_stays_for_use_without_network() {
    let server = Server::start();
    let files: Vec<(String, Vec<u8>)> = std::fs::read_dir(model())
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
        .collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (name.as_str(), &bytes[..])).collect();
    server.add("models", "org/tiny", "main", &files);
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
