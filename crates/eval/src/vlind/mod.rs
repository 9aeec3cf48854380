//! VLind-Bench: how far a model goes by what it knows instead of by the image (hub id `klee972/VLind-Bench`).
//!
//! Each of its instances is asked in four stages, each of a statement that is true and one that is false: what is usual
//! (shown an image of it), what is in an unusual image, what follows from a text that describes that image, and what follows
//! from the image itself, of every unusual image that at least two of three people found good.

mod asked;
mod instance;
mod stages;

use std::path::{Path, PathBuf};

use serde_json::Value;
use vigos_core::files::{folder_of, read_limited};
use vigos_data::{BadRow, Dataset, Labels, Row, Rule};
use vigos_rollout::RunError;

use instance::Instance;
pub(crate) use stages::Stages;
pub use stages::VlindReport;

/// The file of rows in the folder of the benchmark.
const FILE: &str = "data.json";
/// Most bytes of it.
const LARGEST: u64 = 64 << 20;

/// Opens the benchmark's questions, the first `limit` of them if given. `path` is its folder, or the file of its rows there.
///
/// # Errors
/// If there is no such file, or it has other rows.
pub(crate) fn open(path: &Path, limit: Option<usize>) -> Result<Dataset, RunError> {
    let file = if path.is_dir() { path.join(FILE) } else { path.to_owned() };
    let fault = |found: String, wanted: String| {
        let found = format!("{}: {found}", file.display());
        RunError::Setting { key: "eval.suites".into(), found, wanted }
    };
    let bytes = read_limited(&file, LARGEST)?;
    let records: Vec<Value> = serde_json::from_slice(&bytes).map_err(|error| {
        fault(error.to_string(), "VLind-Bench's data.json, a JSON list of instances".into())
    })?;
    let mut instances = Vec::new();
    let mut asked = Vec::new();
    for (number, record) in records.iter().enumerate() {
        let instance = Instance::of(record)
            .map_err(|wanted| fault(format!("instance {number}, counted from 0, without it"), wanted))?;
        asked.extend(instance.questions(number));
        instances.push(instance);
    }
    let count = asked.len().min(limit.unwrap_or(usize::MAX));
    let root: PathBuf = folder_of(&file).to_owned();
    Ok(Dataset::generated(path, count, move |index| {
        let nothing = || BadRow::new(file.display().to_string(), "", "no such question");
        let asked = asked.get(index).ok_or_else(nothing)?;
        let instance = instances.get(asked.instance).ok_or_else(nothing)?;
        let origin = format!("{}: instance {}", file.display(), asked.instance);
        let image = instance.image(&root, asked.stage, &asked.image);
        let image = image.map_err(|reason| BadRow::new(origin.clone(), &asked.to_string(), &reason))?;
        Ok(Row {
            id: asked.to_string(),
            problem: instance.question(asked.stage, asked.is_true),
            answer: if asked.is_true { "True" } else { "False" }.to_owned(),
            before: Vec::new(),
            images: vec![image],
            origin,
            labels: Labels {
                kind: Some(asked.stage.words().to_owned()),
                rule: Rule::Truth,
                ..Labels::default()
            },
            demonstration: None,
        })
    })?)
}
