//! Data sets that could fill a memory: photos of fifty megapixels, texts of ten megabytes, rows that are all broken, a file
//! of a million rows. The tiny model is trained and evaluated on each, and the most resident memory that it took is told.

mod data;
mod peak;

use crate::shell::{built_command, emptied, line, root};
use anyhow::{Context, Result, ensure};
use data::{CASES, Case};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The command to try; built here unless given.
    command: Option<PathBuf>,
    /// The cases, by their names; all of them unless given.
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
}

/// What every run has: short steps of small batches, pictures scaled down, bad rows allowed.
const SETTINGS: [&str; 12] = [
    "train.steps=2",
    "train.batch=2",
    "train.accumulate=2",
    "rollout.max_new_tokens=8",
    "data.max_pixels=12544",
    "data.max_bad_share=0.9999",
    "checkpoint.every=0",
    "log.tensorboard=false",
    "eval.samples=1",
    "eval.limit=8",
    "eval.max_new_tokens=4",
    "eval.around=false",
];

pub(crate) fn run(args: &Args) -> Result<()> {
    let command = args.command.clone().map_or_else(built_command, Ok)?;
    let command = command.canonicalize().with_context(|| command.display().to_string())?;
    let out = emptied("hostile")?;
    println!("| data | bytes | `vigos train`, peak | `vigos eval`, peak |\n| --- | --- | --- | --- |");
    for case in
        CASES.iter().filter(|case| args.only.is_empty() || args.only.iter().any(|name| name == case.name))
    {
        let folder = out.join(case.name);
        let rows = make(case, &folder)?;
        let [train, eval] = ["train", "eval"].map(|word| measured(&command, word, &folder, &rows));
        println!(
            "| {} | {} | {} | {} |",
            case.what,
            megabytes(size(&folder)?),
            megabytes(train?),
            megabytes(eval?)
        );
        fs::remove_dir_all(&folder)?;
    }
    Ok(())
}

/// Writes the case's files; its rows.
fn make(case: &Case, folder: &Path) -> Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let rows = folder.join("rows.jsonl");
    (case.make)(folder, &rows).with_context(|| case.name)?;
    Ok(rows)
}

/// The most resident memory of a command on some rows, in bytes.
fn measured(command: &Path, word: &str, folder: &Path, rows: &Path) -> Result<u64> {
    let mut child = Command::new(command);
    child.args([word, "configs/first-light.toml", "--device", "flex", "--run-dir"]).arg(folder.join(word));
    child.args(["--set", &format!("data.path={}", rows.display())]);
    child.args(SETTINGS.iter().flat_map(|key| ["--set", key]));
    child.current_dir(root()).env("HF_HUB_OFFLINE", "1");
    let ended = peak::of(&mut child)?;
    ensure!(ended.code == Some(0), "{} ended with {:?}: {}", line(&child), ended.code, ended.stderr);
    Ok(ended.peak)
}

/// Bytes of the files in a folder.
fn size(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}

fn megabytes(bytes: u64) -> String {
    format!("{:.0} MB", bytes as f64 / 1e6)
}
