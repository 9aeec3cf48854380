//! Things that are named as a model or as an adapter and are neither: one line says what they are, and what to name.

use crate::support;

use std::fs;
use std::path::{Path, PathBuf};
use support::{Ran, adapter, copied_model, generate, image, model, run};

fn with(base: &Path, adapter: Option<&Path>) -> Ran {
    let args = generate(base, &image("wide.png"), "What?");
    let adapter = adapter.map(|adapter| ["--adapter", adapter.to_str().unwrap()]);
    run(args.iter().map(String::as_str).chain(adapter.into_iter().flatten()))
}

/// Checks that a refusal has all `parts`, and says each thing once.
#[track_caller]
fn refused(ran: &Ran, parts: &[&str]) {
    ran.refused(parts);
    for part in parts {
        assert_eq!(ran.stderr.matches(part).count(), 1, "{part:?} in {}", ran.stderr);
    }
    assert_eq!(ran.stderr.trim().lines().count(), 1, "{}", ran.stderr);
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// A folder as training leaves it: checkpoints of these steps.
fn run_folder(steps: &[usize], content: &Path) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("config.toml"), "").unwrap();
    for step in steps {
        copy(content, &support::checkpoint(dir.path(), *step));
    }
    dir
}

#[test]
fn what_is_named_as_a_model_and_is_none_is_called_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str| -> PathBuf {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "GGUF").unwrap();
        path
    };
    let gguf = file("model-Q4_K_M.gguf");
    refused(&with(&gguf, None), &["model-Q4_K_M.gguf", "GGUF file", "made from", "safetensors"]);
    let only = file("only/model-Q8_0.gguf");
    let parts = ["model-Q8_0.gguf", "not read", "save_pretrained"];
    refused(&with(only.parent().unwrap(), None), &parts);
    let single = model().join("model.safetensors");
    refused(
        &with(&single, None),
        &["model.safetensors is a file", "the folder that it lies in", "config.json"],
    );
    let parts = ["adapter_model.safetensors is a file of an adapter", "base"];
    refused(&with(&adapter().join("adapter_model.safetensors"), None), &parts);

    let base: serde_json::Value =
        serde_json::from_slice(&fs::read(adapter().join("adapter_config.json")).unwrap()).unwrap();
    let base = base["base_model_name_or_path"].as_str().unwrap();
    let parts = ["is an adapter, not a model", "name it as the adapter", &format!("its base, {base}, as")];
    refused(&with(&adapter(), None), &parts);

    let run = run_folder(&[2, 10, 9], &adapter());
    let newest = support::checkpoint(run.path(), 10);
    let newest = newest.to_str().unwrap();
    let parts = ["is a folder of adapters, not a model", newest, "as the adapter", base];
    refused(&with(run.path(), None), &parts);
    refused(&with(&run.path().join("checkpoints"), None), &parts);
    refused(&with(Path::new(newest), None), &["is an adapter, not a model", base]);

    // A run that trains all weights has a model in it, which counts more than its checkpoints.
    let run = run_folder(&[2, 3], &model());
    let newest = support::checkpoint(run.path(), 3);
    refused(&with(run.path(), None), &["is no model folder itself", newest.to_str().unwrap(), "name that"]);
    with(&newest, None).ok();
    copy(&model(), &run.path().join("model"));
    let own = run.path().join("model");
    refused(&with(run.path(), None), &["is no model folder itself", own.to_str().unwrap()]);
    // A folder of the hub's cache.
    let snapshot = dir.path().join("models--org--name/snapshots/0123");
    copy(&model(), &snapshot);
    refused(&with(&dir.path().join("models--org--name"), None), &[snapshot.to_str().unwrap()]);
}

#[test]
fn what_is_named_as_an_adapter_and_is_none_is_called_what_it_is() {
    let named = |adapter: &Path| with(&model(), Some(adapter));
    let run = run_folder(&[2, 10, 9], &adapter());
    let newest = support::checkpoint(run.path(), 10);
    let parts = ["is a folder of adapters, not an adapter itself", newest.to_str().unwrap(), "name that"];
    refused(&named(run.path()), &parts);
    refused(&named(&run.path().join("checkpoints")), &parts);
    named(&newest).ok();
    // What was put aside when the run went back is not the newest.
    copy(&adapter(), &run.path().join("checkpoints/aside-000050"));
    refused(&named(run.path()), &parts);
    // The result of a supervised run, and checkpoints as others call them.
    copy(&adapter(), &run.path().join("adapter"));
    refused(&named(run.path()), &[run.path().join("adapter").to_str().unwrap()]);
    let others = tempfile::tempdir().unwrap();
    for name in ["checkpoint-500", "checkpoint-1000"] {
        copy(&adapter(), &others.path().join(name));
    }
    refused(&named(others.path()), &[others.path().join("checkpoint-1000").to_str().unwrap()]);

    let file = adapter().join("adapter_model.safetensors");
    refused(&named(&file), &["is a file", "the folder that it lies in", "adapter_config.json"]);
    refused(&named(&model()), &["is a model, not an adapter", "name it as the model"]);
    let whole = run_folder(&[4], &model());
    let newest = support::checkpoint(whole.path(), 4);
    refused(&named(whole.path()), &["is a folder of models", newest.to_str().unwrap()]);
}

#[test]
fn an_adapter_that_is_not_what_its_manifest_names_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    copy(&adapter(), dir.path());
    vigos_core::manifest::Manifest::write(dir.path()).unwrap();
    with(&model(), Some(dir.path())).ok();
    let weights = dir.path().join("adapter_model.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&weights, bytes).unwrap();
    let parts = ["not what its manifest.json names", "adapter_model.safetensors", "remove manifest.json if"];
    with(&model(), Some(dir.path())).refused(&parts);
    fs::remove_file(dir.path().join("manifest.json")).unwrap();
    with(&model(), Some(dir.path())).ok();
}

#[test]
fn a_run_s_recipe_is_told_the_same() {
    let (dir, data) = support::data_folder(&support::questions());
    let recipe = support::recipe(&data);
    let run_dir = dir.path().join("run");
    let run = run_folder(&[1], &adapter());
    for key in ["model.path", "model.adapter"] {
        let set = format!("{key}={}", run.path().display());
        let ran = support::train(&recipe, &run_dir, &["--set", &set]);
        assert_eq!(ran.code, Some(2), "{}", ran.stderr);
        assert!(ran.stderr.contains("is a folder of adapters"), "{}", ran.stderr);
        assert!(ran.stderr.contains("step-000001"), "{}", ran.stderr);
        assert!(!run_dir.exists());
    }
}

#[test]
fn shards_without_an_index_are_read_where_all_are_there_and_else_the_missing_ones_are_named() {
    let folder = copied_model();
    let single = folder.path().join("model.safetensors");
    let shard = |number: usize| folder.path().join(format!("model-{number:05}-of-00003.safetensors"));
    let bytes = fs::read(&single).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    for number in 0..3 {
        let part = file.iter().enumerate().filter(|(i, _)| i % 3 == number).map(|(_, tensor)| tensor);
        safetensors::serialize_to_file(part, None, &shard(number + 1)).unwrap();
    }
    fs::remove_file(&single).unwrap();
    let wanted = with(&model(), None).ok().stdout;
    assert_eq!(with(folder.path(), None).ok().stdout, wanted);
    fs::remove_file(shard(2)).unwrap();
    let parts = ["model.safetensors.index.json", "2 of 3 shards", "model-00002-of-00003.safetensors missing"];
    refused(&with(folder.path(), None), &parts);
    fs::write(folder.path().join("model-00001-of-00009.safetensors"), "").unwrap();
    refused(&with(folder.path(), None), &["shards of several rows"]);
    for number in [1, 3] {
        fs::remove_file(shard(number)).unwrap();
    }
    let parts =
        ["1 of 9 shards", "model-00002-of-00009", "model-00005-of-00009.safetensors and 4 more missing"];
    refused(&with(folder.path(), None), &parts);
    // Under a name that nobody looks for.
    fs::remove_file(folder.path().join("model-00001-of-00009.safetensors")).unwrap();
    fs::write(folder.path().join("weights.safetensors"), &bytes).unwrap();
    refused(&with(folder.path(), None), &["weights.safetensors", "call the file"]);
}
