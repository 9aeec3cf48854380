//! Parts of a model, adapters, and a slow server.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use super::server::Fault;
use super::{FILES, Fixture, MODEL, WEIGHTS, gets, model};
use vigos_hub::{Hub, adapter_folder};

#[test]
fn a_slow_server_is_waited_for_as_long_as_something_comes() {
    let fixture = Fixture::new();
    // 42 bytes take longer than the timeout of the next one.
    fixture.server.fault(WEIGHTS, Fault::Slow(Duration::from_millis(15)));
    let mut seen = Vec::new();
    let begin = Instant::now();
    let progress = &mut |file: &str, bytes, size| {
        if file.starts_with("model.safetensors") {
            seen.push((bytes, size));
        }
    };
    let folder = fixture.hub().model(MODEL.as_ref(), progress).unwrap();
    assert!(begin.elapsed() > fixture.settings().timeout, "{:?}", begin.elapsed());
    assert_eq!(fs::read(folder.join("model.safetensors")).unwrap(), FILES[2].1);
    assert!(seen.len() > 10, "progress is told of as it is made: {seen:?}");
    assert!(seen.is_sorted() && seen.last() == Some(&(42, 42)), "{seen:?}");
}

#[test]
fn without_weights_a_model_is_its_small_files_and_the_weights_can_follow() {
    let fixture = Fixture::new();
    let small = |hub: &Hub| hub.side_files(MODEL.as_ref(), &mut |_, _, _| {});
    let folder = small(&fixture.hub()).unwrap();
    assert!(folder.join("config.json").is_file() && !folder.join("model.safetensors").exists());
    assert_eq!(gets(&fixture.server.requests()), ["main", "config.json", "tokenizer.json"]);
    assert_eq!(small(&fixture.offline()).unwrap(), folder);
    let message = model(&fixture.offline(), MODEL).unwrap_err().to_string();
    assert!(message.contains("model.safetensors is not in the cache"), "{message}");
    assert_eq!(fixture.model().unwrap(), folder);
    assert_eq!(gets(&fixture.server.requests()), ["main", "model.safetensors"]);
}

#[test]
fn an_adapter_is_its_two_files() {
    let fixture = Fixture::new();
    let mut files: Vec<(&str, &[u8])> = vec![
        ("adapter_config.json", b"{}"),
        ("README.md", b"about"),
        ("adapter_model.safetensors", b"low-rank"),
        ("optimizer.safetensors", b"not needed"),
    ];
    fixture.server.add("models", "org/lora", "main", &files);
    let adapter = |hub: &Hub| hub.adapter("hf:org/lora".as_ref(), &mut |_, _, _| {});
    let folder = adapter(&fixture.hub()).unwrap();
    let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["adapter_config.json", "adapter_model.safetensors"]);
    assert_eq!(adapter(&fixture.offline()).unwrap(), folder);
    fixture.server.add("models", "org/other", "main", &files);
    fixture.server.requests();
    let config = |hub: &Hub| hub.adapter_config("hf:org/other".as_ref(), &mut |_, _, _| {});
    assert_eq!(fs::read(config(&fixture.hub()).unwrap().join("adapter_config.json")).unwrap(), b"{}");
    assert_eq!(
        gets(&fixture.server.requests()),
        ["main", "adapter_config.json"],
        "no tensors for what it is"
    );
    assert!(config(&fixture.offline()).is_ok());
    files.remove(2);
    fixture.server.add("models", "org/half", "main", &files);
    let half = fixture.hub().adapter("hf:org/half".as_ref(), &mut |_, _, _| {});
    let message = half.unwrap_err().to_string();
    assert!(message.contains("no adapter_model.safetensors") && message.contains("PEFT"), "{message}");
    let path = Path::new("./some/folder");
    assert_eq!(adapter_folder(path, &mut |_, _, _| {}).unwrap(), path);
}
