//! Whether a run's folder has changed since its page was made.

use crate::leakage::diagnosis;
use std::collections::hash_map::DefaultHasher;
use std::fs::Metadata;
use std::hash::{Hash, Hasher};
use std::path::Path;
use std::time::SystemTime;

/// Files of a run that a page is made from.
const FILES: [&str; 6] =
    ["config.toml", "environment.json", "metrics.jsonl", "samples.jsonl", "tokens.jsonl", "report.json"];
/// Folders of such files.
const FOLDERS: [&str; 2] = ["rollouts", "recordings"];
/// Most entries of a folder that are looked at.
const MOST: usize = 100_000;

/// A number that is another one when a file has changed that a page of the run is made from. The files are not opened.
pub fn stamp(run: &Path) -> u64 {
    let mut seen = DefaultHasher::new();
    FILES.iter().for_each(|name| one(&run.join(name), &mut seen));
    FOLDERS.iter().for_each(|name| all(&run.join(name), &mut seen));
    if let Some(folder) = diagnosis(run) {
        ["report.json", "tokens.jsonl"].iter().for_each(|name| one(&folder.join(name), &mut seen));
    }
    // A student's answers have a folder each.
    for entry in std::fs::read_dir(run.join("eval")).into_iter().flatten().flatten().take(MOST) {
        all(&entry.path(), &mut seen);
    }
    seen.finish()
}

fn one(file: &Path, seen: &mut DefaultHasher) {
    std::fs::metadata(file).ok().map(|found| looks(&found)).hash(seen);
}

/// What a folder has, in whichever order the system lists it.
fn all(folder: &Path, seen: &mut DefaultHasher) {
    let mut sum: u64 = 0;
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten().take(MOST) {
        let mut own = DefaultHasher::new();
        entry.file_name().hash(&mut own);
        entry.metadata().ok().map(|found| looks(&found)).hash(&mut own);
        sum = sum.wrapping_add(own.finish());
    }
    sum.hash(seen);
}

fn looks(found: &Metadata) -> (u64, Option<SystemTime>) {
    (found.len(), found.modified().ok())
}
