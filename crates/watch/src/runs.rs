//! The runs of a folder, found again and again; each keeps the number that it was first given.

use crate::error::WatchError;
use crate::tail::last_line;
use serde::Serialize;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};
use vigos_report::is_run;

/// Most runs of a list.
const MOST: usize = 500;
/// Most folders that are looked into for them.
const MOST_FOLDERS: usize = 5000;
/// How deep runs may lie below the folder.
const DEPTH: usize = 3;
/// Least time between two looks for new runs.
const INTERVAL: Duration = Duration::from_secs(2);

/// Runs by number.
#[derive(Debug)]
pub(crate) struct Runs {
    root: PathBuf,
    known: Vec<PathBuf>,
    looked: Instant,
}

/// A line of the list.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    number: usize,
    name: String,
    step: String,
    loss: String,
    valid: String,
    accuracy: String,
    changed: String,
    #[serde(skip)]
    age: Option<Duration>,
}

impl Runs {
    /// Those of a folder: itself, or those below it.
    ///
    /// # Errors
    /// If there is none.
    pub(crate) fn of(root: &Path) -> Result<Self, WatchError> {
        let nothing = |message| WatchError::NoRun { path: root.to_owned(), message };
        if !root.is_dir() {
            return Err(nothing("there is no such folder"));
        }
        let known = if is_run(root) { vec![root.to_owned()] } else { found(root) };
        if known.is_empty() {
            return Err(nothing("found no run in it, nor in its folders"));
        }
        Ok(Self { root: root.to_owned(), known, looked: Instant::now() })
    }

    /// Whether the folder is a run itself.
    pub(crate) fn is_single(&self) -> bool {
        self.known.first() == Some(&self.root)
    }

    /// The folder of a number.
    pub(crate) fn folder(&self, number: usize) -> Option<&Path> {
        self.known.get(number.checked_sub(1)?).map(PathBuf::as_path)
    }

    /// A line for each run, the one that changed last first.
    pub(crate) fn lines(&mut self) -> Vec<Line> {
        if !self.is_single() && self.looked.elapsed() >= INTERVAL {
            self.looked = Instant::now();
            for run in found(&self.root) {
                if !self.known.contains(&run) && self.known.len() < MOST {
                    self.known.push(run);
                }
            }
        }
        let there = self.known.iter().enumerate().filter(|(_, run)| is_run(run));
        let mut lines: Vec<Line> = there.map(|(at, run)| line(&self.root, run, at + 1)).collect();
        lines.sort_by_key(|line| line.age.unwrap_or(Duration::MAX));
        lines
    }
}

/// The runs below a folder; none is looked for in a run.
fn found(root: &Path) -> Vec<PathBuf> {
    let (mut runs, mut open, mut looked) = (Vec::new(), vec![(root.to_owned(), 0)], 0);
    while let Some((folder, depth)) = open.pop() {
        looked += 1;
        if looked > MOST_FOLDERS || runs.len() >= MOST {
            break;
        }
        if is_run(&folder) {
            runs.push(folder);
        } else if depth < DEPTH {
            let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten().take(MOST_FOLDERS);
            open.extend(
                entries.map(|entry| entry.path()).filter(|path| path.is_dir()).map(|path| (path, depth + 1)),
            );
        }
    }
    runs.sort();
    runs
}

fn line(root: &Path, run: &Path, number: usize) -> Line {
    let metrics = run.join("metrics.jsonl");
    let last = last_line(&metrics).unwrap_or_default();
    let value = |key: &str| last.get(key).and_then(Value::as_f64);
    let percent =
        |share: Option<f64>| share.map_or_else(String::new, |share| format!("{:.1} %", 100.0 * share));
    let file = if metrics.exists() { metrics } else { run.join("config.toml") };
    let age = std::fs::metadata(file).and_then(|found| found.modified()).ok();
    let age = age.map(|at| SystemTime::now().duration_since(at).unwrap_or_default());
    let below = run.strip_prefix(root).ok().filter(|path| !path.as_os_str().is_empty());
    Line {
        number,
        name: vigos_report::visible(&below.unwrap_or(run).display().to_string(), 200),
        step: value("step").map_or_else(String::new, |step| step.to_string()),
        loss: value("loss").map_or_else(String::new, |loss| format!("{loss:.4}")),
        valid: percent(value("fallback_rate").map(|rate| 1.0 - rate)),
        accuracy: percent(value("accuracy").or_else(|| value("token_accuracy"))),
        changed: age.map_or_else(String::new, ago),
        age,
    }
}

fn ago(age: Duration) -> String {
    match age.as_secs() {
        seconds @ 0..60 => format!("{seconds} s ago"),
        seconds @ 60..3600 => format!("{} min ago", seconds / 60),
        seconds @ 3600..86_400 => format!("{} h ago", seconds / 3600),
        seconds => format!("{} days ago", seconds / 86_400),
    }
}
