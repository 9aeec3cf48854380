//! What the end-to-end tests share: the command, its fixtures, and folders with one thing wrong.
#![allow(dead_code, unreachable_pub)] // Each test binary uses its own part.

use safetensors::SafeTensors;
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

pub fn fixtures() -> PathBuf {
    root().join("tests/fixtures")
}

pub fn image(name: &str) -> PathBuf {
    fixtures().join("images").join(name)
}

pub fn model() -> PathBuf {
    root().join("assets/tiny-qwen2_5-vl")
}

pub fn adapter() -> PathBuf {
    fixtures().join("method-qwen2_5-vl/adapter_init")
}

/// The command, to be run from the root of the repository on the CPU, without network.
pub fn vigos() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigos"));
    command.current_dir(root()).env_remove("RUST_LOG").env("HF_HUB_OFFLINE", "1");
    command
}

/// How a command ended.
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

pub fn run<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Ran {
    ran(vigos().args(args).output().unwrap())
}

pub fn ran(output: Output) -> Ran {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

impl Ran {
    /// The run, which must have succeeded.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.stderr);
        self
    }

    /// Checks that bad input was refused: exit code 2, nothing on stdout, a message with every one of `parts`.
    #[track_caller]
    pub fn refused(&self, parts: &[&str]) {
        assert_eq!(self.code, Some(2), "{}", self.stderr);
        assert_eq!(self.stdout, "");
        assert!(!self.stderr.contains("panicked"), "{}", self.stderr);
        for part in parts {
            assert!(self.stderr.contains(part), "no {part:?} in {}", self.stderr);
        }
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap()
    }
}

/// Arguments of `generate` with this image and prompt.
pub fn generate(model: &Path, image: &Path, prompt: &str) -> Vec<String> {
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    [
        "generate".into(),
        "--model".into(),
        text(model),
        "--image".into(),
        text(image),
        "--prompt".into(),
        prompt.into(),
        "--max-new-tokens".into(),
        "4".into(),
    ]
    .to_vec()
}

/// A copy of the tiny model that a test may spoil.
pub fn copied_model() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(model()).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), dir.path().join(entry.file_name())).unwrap();
    }
    dir
}

/// A tensor as the file has it: name, shape, bytes.
pub type Stored = (String, Vec<usize>, Vec<u8>);

/// A copy of the tiny model whose f32 tensors went through `change`.
pub fn model_with(change: impl FnOnce(&mut Vec<Stored>)) -> tempfile::TempDir {
    let dir = copied_model();
    let path = dir.path().join("model.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors: Vec<Stored> =
        file.iter().map(|(name, view)| (name.into(), view.shape().into(), view.data().into())).collect();
    change(&mut tensors);
    let views = tensors.iter().map(|(name, shape, data)| {
        let view = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape.clone(), data);
        (name.clone(), view.unwrap())
    });
    std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
    dir
}

/// A copy of the tiny model whose JSON file of that name went through `edit`.
pub fn edited(name: &str, edit: impl FnOnce(&mut Value)) -> tempfile::TempDir {
    let folder = copied_model();
    let path = folder.path().join(name);
    let mut value: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    edit(&mut value);
    std::fs::write(&path, value.to_string()).unwrap();
    folder
}

/// A JSON file with one key, at a JSON pointer, changed or added.
pub fn set_json(path: &Path, pointer: &str, value: Value) {
    let mut object: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    match pointer.rsplit_once('/') {
        Some((parent, key)) => object.pointer_mut(parent).unwrap()[key] = value,
        None => object = value,
    }
    std::fs::write(path, object.to_string()).unwrap();
}

/// A PNG file that claims to be of this size and has no pixels.
pub fn png_header(width: u32, height: u32) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    let size = [width.to_be_bytes(), height.to_be_bytes()].concat();
    for (kind, data) in
        [(b"IHDR", [&size[..], &[8, 2, 0, 0, 0]].concat()), (b"IDAT", vec![]), (b"IEND", vec![])]
    {
        bytes.extend((data.len() as u32).to_be_bytes());
        let body = [&kind[..], &data].concat();
        bytes.extend(&body);
        bytes.extend(crc32(&body).to_be_bytes());
    }
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |c, _| if c & 1 == 1 { c >> 1 ^ 0xedb8_8320 } else { c >> 1 })
    })
}

/// A folder with a data file of these lines, and with `wide.png`.
pub fn data_folder(lines: &[Value]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(image("wide.png"), dir.path().join("wide.png")).unwrap();
    let path = dir.path().join("rows.jsonl");
    std::fs::write(&path, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    (dir, path)
}

/// Four questions that any model can be trained on.
pub fn questions() -> Vec<Value> {
    (1..=4)
        .map(|i| json!({"id": i.to_string(), "image": "wide.png", "problem": format!("How many? {i}"), "answer": "3"}))
        .collect()
}

/// Writes a recipe for the tiny model beside the data file at `data`: two short steps.
pub fn recipe(data: &Path) -> PathBuf {
    let path = data.with_file_name("recipe.toml");
    let text = format!(
        "[model]\npath = {:?}\n[data]\npath = {:?}\n[rollout]\nmax_new_tokens = 8\n[lora]\nrank = 4\nalpha = 8\n\
         [optim]\nlr = 1e-3\n[train]\nsteps = 2\nbatch = 2\naccumulate = 1\nprecision = \"f32\"\n\
         [checkpoint]\nevery = 1\n[log]\nrollouts_every = 1\n",
        model(),
        data
    );
    std::fs::write(&path, text).unwrap();
    path
}

/// Trains by a recipe.
pub fn train(recipe: &Path, run_dir: &Path, more: &[&str]) -> Ran {
    let fixed = ["train", recipe.to_str().unwrap(), "--run-dir", run_dir.to_str().unwrap()];
    run(fixed.iter().chain(more))
}

/// The checkpoint of a step of a run.
pub fn checkpoint(run_dir: &Path, step: usize) -> PathBuf {
    run_dir.join(format!("checkpoints/step-{step:06}"))
}

/// The tensors of its adapter, as the file has them.
pub fn adapter_bytes(run_dir: &Path, step: usize) -> Vec<u8> {
    std::fs::read(checkpoint(run_dir, step).join("adapter_model.safetensors")).unwrap()
}

/// The lines of `metrics.jsonl` without what a clock says.
pub fn metrics(run_dir: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(run_dir.join("metrics.jsonl")).unwrap();
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    for line in &mut lines {
        let line = line.as_object_mut().unwrap();
        line.remove("seconds").unwrap();
        line.remove("tokens_per_second").unwrap();
    }
    lines
}

/// A recipe and a file of rollouts for the recorded step.
pub fn recorded(dir: &Path, result: &Value) -> (PathBuf, PathBuf) {
    std::fs::create_dir(dir.join("images")).unwrap();
    let rows = result["rows"].as_array().unwrap().iter().map(|row| {
        let name = row["image"].as_str().unwrap();
        std::fs::copy(image(name), dir.join("images").join(name)).unwrap();
        let line = json!({
            "id": row["name"], "image": format!("images/{name}"), "problem": row["problem"], "answer": row["answer"],
            "completion_token_ids": row["completion_ids"], "prompts": row["prompts"],
        });
        format!("{line}\n")
    });
    let rollouts = dir.join("rollouts.jsonl");
    std::fs::write(&rollouts, rows.collect::<String>()).unwrap();
    let recipe = dir.join("recipe.toml");
    let text = format!(
        "[model]\npath = {:?}\nadapter = {:?}\n[data]\npath = \"unused.jsonl\"\n[lora]\nrank = 4\nalpha = 8\n\
         dropout = 0.0\n[optim]\nlr = 1e-3\nschedule = \"constant\"\n[train]\nsteps = 1\nprecision = \"f32\"\n",
        model(),
        adapter()
    );
    std::fs::write(&recipe, text).unwrap();
    (recipe, rollouts)
}
