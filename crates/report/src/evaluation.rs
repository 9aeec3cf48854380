//! Evaluations of a run, side by side: their tables, and what became of each item.

use crate::limits::Limits;
use crate::visible::visible;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use vigos_core::files::read_limited;
use vigos_core::jsonl::{LastLine, ReadOptions, read_lines};

/// No report is larger.
const LARGEST: u64 = 4 << 20;
/// Most items of a file that are looked at.
const MOST_ITEMS: usize = 20_000;
/// Most evaluations of a run: the first, and the last ones.
const MOST: usize = 6;

/// The evaluations of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Evaluations {
    /// What each is called.
    pub(crate) names: Vec<String>,
    /// What was asked.
    pub(crate) data: String,
    /// Measures, a value of each evaluation.
    pub(crate) rows: Vec<Measure>,
    /// What became of the items.
    pub(crate) items: Vec<Item>,
    /// Items that there are.
    pub(crate) of: usize,
}

/// A line of the table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Measure {
    /// What is measured.
    pub(crate) name: String,
    /// Whether it is a share, to be shown in percent.
    pub(crate) share: bool,
    /// Of each evaluation.
    pub(crate) values: Vec<Option<Estimate>>,
}

/// A value with its standard error.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Estimate {
    pub(crate) value: f64,
    pub(crate) error: Option<f64>,
}

/// An item and its answers.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Item {
    id: String,
    kind: String,
    problem: String,
    answer: String,
    /// By evaluation.
    answers: Vec<Option<Answer>>,
}

/// An answer to an item; of several the first, and how many are right.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Answer {
    predicted: Option<String>,
    right: usize,
    of: usize,
    valid: bool,
    completion: String,
}

/// A line of `samples.jsonl`, as far as it matters here.
#[derive(Deserialize)]
struct Line {
    item: usize,
    #[serde(default)]
    sample: usize,
    #[serde(default)]
    id: String,
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    problem: String,
    #[serde(default)]
    answer: String,
    #[serde(default)]
    completion: String,
    #[serde(default)]
    predicted: Option<String>,
    #[serde(default)]
    valid: bool,
    #[serde(default)]
    correct: bool,
    #[serde(default)]
    skipped: Option<String>,
}

impl Evaluations {
    /// Those of a run's folder, or the one that the folder itself is; nothing where there is none.
    pub(crate) fn of(folder: &Path, limits: &Limits, bytes: usize, notes: &mut Vec<String>) -> Option<Self> {
        let folders = folders(folder);
        let mut reports = Vec::new();
        for (name, folder) in &folders {
            match report(folder) {
                Ok(report) => reports.push((name.clone(), folder.clone(), report)),
                Err(error) => {
                    notes.push(visible(&format!("the evaluation `{name}` is left out: {error}"), 300))
                }
            }
        }
        let (_, _, last) = reports.last()?;
        let data = text(last, &["settings", "data"]).unwrap_or_default();
        let rows = measures(&reports.iter().map(|(_, _, report)| report).collect::<Vec<_>>());
        let items: Vec<BTreeMap<usize, Item>> =
            reports.iter().map(|(_, folder, _)| items(folder, notes)).collect();
        let names = reports.iter().map(|(name, ..)| visible(name, 80)).collect();
        let (items, of) = joined(items, limits.items, bytes);
        Some(Self { names, data, rows, items, of })
    }

    /// The measure of a name that begins so, in the first and the last evaluation.
    pub(crate) fn change(&self, begins: &str) -> Option<(&Measure, Estimate, Estimate)> {
        let measure = self.rows.iter().find(|row| row.name.starts_with(begins))?;
        let [first, .., last] = measure.values.as_slice() else { return None };
        Some((measure, (*first)?, (*last)?))
    }
}

/// The folders of evaluations: `before` first, the others in order of their steps.
fn folders(run: &Path) -> Vec<(String, PathBuf)> {
    if run.join("samples.jsonl").exists() {
        return vec![("answers".into(), run.to_owned())];
    }
    let entries = std::fs::read_dir(run.join("eval")).into_iter().flatten().flatten();
    let with_report = entries.map(|entry| entry.path()).filter(|path| path.join("report.json").exists());
    let named = |path: PathBuf| (path.file_name().unwrap_or_default().to_string_lossy().into_owned(), path);
    let mut folders: Vec<(String, PathBuf)> = with_report.map(named).collect();
    folders.sort_by_key(|(name, _)| (name != "before", name.clone()));
    while folders.len() > MOST {
        folders.remove(1);
    }
    folders
}

fn report(folder: &Path) -> Result<Value, String> {
    let bytes = read_limited(&folder.join("report.json"), LARGEST).map_err(|e| e.to_string())?;
    serde_json::from_slice(&bytes).map_err(|e| format!("report.json: {e}"))
}

fn at<'a>(tree: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(tree, |tree, key| tree.get(key))
}

fn text(tree: &Value, path: &[&str]) -> Option<String> {
    Some(visible(at(tree, path)?.as_str()?, 200))
}

/// The measures of reports that at least one of them has.
fn measures(reports: &[&Value]) -> Vec<Measure> {
    let mut rows = Vec::new();
    let mut row = |name: String, share: bool, of: &dyn Fn(&Value) -> Option<Estimate>| {
        let values: Vec<Option<Estimate>> = reports.iter().map(|report| of(report)).collect();
        if values.iter().any(Option::is_some) {
            rows.push(Measure { name, share, values });
        }
    };
    let number = |path: &'static [&'static str]| {
        move |report: &Value| Some(Estimate { value: at(report, path)?.as_f64()?, error: None })
    };
    let setting = |key: &str| reports.iter().find_map(|r| at(r, &["settings", key])?.as_u64()).unwrap_or(1);
    row(format!("Accuracy (Avg@{})", setting("samples")), true, &|r| mean(at(r, &["overall", "average"])?));
    if setting("k") > 1 {
        row(format!("Pass@{}", setting("k")), true, &|r| mean(at(r, &["overall", "pass"])?));
    }
    for wording in keys(reports, "prior") {
        row(format!("Score ({wording})"), true, &|r| mean(at(r, &["prior", &wording, "score"])?));
        row(format!("Prior ({wording})"), true, &|r| mean(at(r, &["prior", &wording, "prior"])?));
    }
    for kind in keys(reports, "kinds") {
        row(format!("Accuracy on {}", visible(&kind, 60)), true, &|r| {
            mean(at(r, &["kinds", &kind, "average"])?)
        });
    }
    row("Valid format".into(), true, &number(&["overall", "valid"]));
    row("Cut off".into(), true, &number(&["overall", "lengths", "truncated"]));
    row("Tokens of a completion".into(), false, &number(&["overall", "lengths", "completion"]));
    row("Tokens of a description".into(), false, &number(&["overall", "lengths", "description"]));
    row("Tokens of reasoning and answer".into(), false, &number(&["overall", "lengths", "reasoning_answer"]));
    rows
}

/// The first names under a key of any report.
fn keys(reports: &[&Value], key: &str) -> Vec<String> {
    let mut names = Vec::new();
    for name in reports.iter().filter_map(|r| r.get(key)?.as_object()).flat_map(|map| map.keys()) {
        if !names.contains(name) && names.len() < 40 {
            names.push(name.clone());
        }
    }
    names
}

fn mean(tree: &Value) -> Option<Estimate> {
    let some = tree.get("n").and_then(Value::as_u64).unwrap_or(0) > 0;
    let error = tree.get("standard_error").and_then(Value::as_f64);
    Some(Estimate { value: tree.get("value")?.as_f64()?, error }).filter(|_| some)
}

/// The items of an evaluation, each with its one answer.
fn items(folder: &Path, notes: &mut Vec<String>) -> BTreeMap<usize, Item> {
    let mut items: BTreeMap<usize, Item> = BTreeMap::new();
    let path = folder.join("samples.jsonl");
    let options = ReadOptions { last_line: LastLine::Dropped, ..ReadOptions::default() };
    let lines = match read_lines::<Line>(&path, options) {
        Ok(lines) => lines,
        Err(error) => {
            notes.push(visible(&format!("items of an evaluation are left out: {error}"), 300));
            return items;
        }
    };
    for line in lines {
        let line = match line {
            Ok((_, line)) => line,
            Err(error) => {
                notes.push(visible(&format!("items of an evaluation are left out: {error}"), 300));
                break;
            }
        };
        if line.skipped.is_some() || (items.len() >= MOST_ITEMS && !items.contains_key(&line.item)) {
            continue;
        }
        let item = items.entry(line.item).or_insert_with(|| Item {
            id: visible(&line.id, 100),
            kind: visible(&line.kind.unwrap_or_default(), 60),
            problem: visible(&line.problem, 300),
            answer: visible(&line.answer, 100),
            answers: Vec::new(),
        });
        if line.sample == 0 || item.answers.is_empty() {
            item.answers = vec![Some(Answer {
                predicted: line.predicted.map(|text| visible(&text, 100)),
                right: 0,
                of: 0,
                valid: line.valid,
                completion: visible(&line.completion, 600),
            })];
        }
        if let Some(Some(answer)) = item.answers.first_mut() {
            answer.right += usize::from(line.correct);
            answer.of += 1;
        }
    }
    items
}

/// The items of all evaluations, those first whose answers changed, at most so many and of so many bytes; and how many
/// there are.
fn joined(evaluations: Vec<BTreeMap<usize, Item>>, most: usize, bytes: usize) -> (Vec<Item>, usize) {
    let count = evaluations.len();
    let mut all: BTreeMap<usize, Item> = BTreeMap::new();
    for (index, items) in evaluations.into_iter().enumerate() {
        for (number, mut item) in items {
            let answer = item.answers.pop().flatten();
            let joined = all.entry(number).or_insert(Item { answers: vec![None; count], ..item });
            joined.answers[index] = answer;
        }
    }
    let of = all.len();
    let mut items: Vec<Item> = all.into_values().collect();
    items.sort_by_key(|item| !item.changed());
    items.truncate(most);
    let mut left = bytes;
    let fits = items.iter().take_while(|item| {
        let size = serde_json::to_string(item).map_or(usize::MAX, |text| text.len());
        left = left.saturating_sub(size);
        left > 0
    });
    let fits = fits.count();
    items.truncate(fits);
    (items, of)
}

impl Item {
    /// Whether more or fewer of its answers are right at the end than at the beginning.
    fn changed(&self) -> bool {
        let mut known = self.answers.iter().flatten();
        match (known.next(), known.next_back()) {
            (Some(first), Some(last)) => first.right * last.of != last.right * first.of,
            _ => false,
        }
    }
}
