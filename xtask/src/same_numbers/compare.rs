//! Two folders that two runs wrote, compared file by file.

use crate::shell::files;
use anyhow::{Context, Result};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Keys whose values a clock gives.
const CLOCK: [&str; 4] = ["seconds", "tokens_per_second", "samples_per_second", "waited"];

/// Files that say when, where and how fast.
const TIMES: [&str; 2] = ["environment.json", "report.html"];

/// What a kind of file came to: those of all steps together.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) files: usize,
    /// Told, but no difference of numbers.
    pub(crate) remarks: BTreeSet<String>,
    pub(crate) differences: Vec<String>,
}

/// What is compared: the folders of two runs.
pub(crate) struct Pair<'a> {
    pub(crate) old: &'a Path,
    pub(crate) new: &'a Path,
}

impl Pair<'_> {
    /// Compares every file that one of the folders has, by kind.
    pub(crate) fn compare(&self) -> Result<BTreeMap<String, Finding>> {
        let (old, new) = (files(self.old)?, files(self.new)?);
        let all: BTreeSet<_> = old.iter().chain(&new).collect();
        let mut findings: BTreeMap<String, Finding> = BTreeMap::new();
        for path in all {
            let shown = path.display().to_string();
            let finding = findings.entry(kind(&shown)).or_default();
            finding.files += 1;
            match (old.contains(path), new.contains(path)) {
                _ if path.file_name() == Some(".lock".as_ref()) => {
                    finding.remarks.insert("not compared: who held it".into());
                }
                _ if shown.starts_with("tensorboard/") || TIMES.contains(&shown.as_str()) => {
                    finding.remarks.insert("not compared: times".into());
                }
                (true, true) => self.compare_file(&shown, finding)?,
                (true, false) => finding.differences.push(format!("{shown}: only the old one has it")),
                _ => finding.differences.push(format!("{shown}: only the new one has it")),
            }
        }
        Ok(findings)
    }

    fn compare_file(&self, name: &str, finding: &mut Finding) -> Result<()> {
        let read = |folder: &Path| {
            let path = folder.join(name);
            std::fs::read(&path).with_context(|| path.display().to_string())
        };
        let (old, new) = (read(self.old)?, read(self.new)?);
        if old == new {
            finding.remarks.insert("bytes".into());
        } else if Path::new(name).file_name() == Some("config.toml".as_ref()) {
            let (old, new) = (text(&old, self.old), text(&new, self.new));
            let only = |a: &str, b: &str| a.lines().filter(|line| !b.lines().any(|l| l == *line)).count();
            finding.remarks.insert(format!(
                "lines: {} only old, {} only new",
                only(&old, &new),
                only(&new, &old)
            ));
        } else if is_text(name) {
            match first_difference(&text(&old, self.old), &text(&new, self.new)) {
                None => {
                    finding.remarks.insert("but for times and folders".into());
                }
                Some(difference) => finding.differences.push(format!("{name}: {difference}")),
            }
        } else {
            let at = old.iter().zip(&new).position(|(a, b)| a != b).unwrap_or(old.len().min(new.len()));
            let (old, new) = (old.len(), new.len());
            finding.differences.push(format!("{name}: byte {at} differs ({old} bytes, {new} bytes)"));
        }
        Ok(())
    }
}

/// A file's name without the number of its step.
fn kind(name: &str) -> String {
    let words = name.split('/').map(|word| match word.strip_prefix("step-") {
        Some(rest) => format!("step-*{}", rest.trim_start_matches(|c: char| c.is_ascii_digit())),
        None if word.starts_with("events.out.") => "events.*".into(),
        None => word.to_owned(),
    });
    words.collect::<Vec<_>>().join("/")
}

fn is_text(name: &str) -> bool {
    [".json", ".jsonl", ".md"].iter().any(|end| name.ends_with(end))
}

/// A file's text, in which the run's folder has no name.
fn text(bytes: &[u8], folder: &Path) -> String {
    String::from_utf8_lossy(bytes).replace(&folder.display().to_string(), "RUN")
}

/// The first line that says something else, times aside.
fn first_difference(old: &str, new: &str) -> Option<String> {
    // A whole file that is one JSON value, or a value a line, or text.
    let (old, new) = match (timeless(old), timeless(new)) {
        (Some(old), Some(new)) => (old, new),
        _ => (lines(old), lines(new)),
    };
    let at = (0..old.len().max(new.len())).find(|&at| old.get(at) != new.get(at))?;
    let shown = |lines: &[String]| {
        lines.get(at).map_or("nothing".into(), |line| line.chars().take(300).collect::<String>())
    };
    Some(format!("line {}\n    old: {}\n    new: {}", at + 1, shown(&old), shown(&new)))
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(|line| timeless(line).map_or_else(|| line.to_owned(), |value| value.concat())).collect()
}

/// A JSON value as lines, without what a clock says; nothing if it is none.
fn timeless(text: &str) -> Option<Vec<String>> {
    let mut value: Value = serde_json::from_str(text).ok()?;
    strip(&mut value);
    Some(serde_json::to_string_pretty(&value).ok()?.lines().map(str::to_owned).collect())
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(object) => {
            object.retain(|key, _| !CLOCK.contains(&key.as_str()));
            object.values_mut().for_each(strip);
        }
        Value::Array(values) => values.iter_mut().for_each(strip),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::Pair;
    use std::path::Path;

    /// Compares two folders that have these files.
    fn compared(old: &[(&str, &str)], new: &[(&str, &str)]) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, files: &[(&str, &str)]| {
            let folder = dir.path().join(name);
            for (file, text) in files {
                let path = folder.join(file);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text.replace("HERE", &folder.display().to_string())).unwrap();
            }
            folder
        };
        let (old, new) = (write("old", old), write("new", new));
        let pair = Pair { old: &old, new: Path::new(&new) };
        let findings = pair.compare().unwrap();
        findings
            .into_iter()
            .map(|(kind, f)| {
                let verdict = match f.differences.first() {
                    Some(difference) => difference.clone(),
                    None => f.remarks.into_iter().collect::<Vec<_>>().join(", "),
                };
                format!("{kind} {}: {verdict}", f.files)
            })
            .collect()
    }

    #[test]
    fn times_and_the_folders_name_are_no_difference() {
        let old = [
            ("metrics.jsonl", "{\"loss\":1.5,\"seconds\":2}\n"),
            ("eval/report.json", "{\"of\": \"HERE/a\"}"),
        ];
        let new = [
            ("metrics.jsonl", "{\"loss\":1.5,\"seconds\":3}\n"),
            ("eval/report.json", "{\"of\": \"HERE/a\"}"),
        ];
        assert_eq!(
            compared(&old, &new),
            ["eval/report.json 1: but for times and folders", "metrics.jsonl 1: but for times and folders"]
        );
    }

    #[test]
    fn another_number_is_shown_with_its_line() {
        let old = [("metrics.jsonl", "{\"loss\":1.5}\n{\"loss\":1.0}\n")];
        let new = [("metrics.jsonl", "{\"loss\":1.5}\n{\"loss\":1.0000000001}\n")];
        let found = compared(&old, &new);
        assert!(found[0].contains("line 2") && found[0].contains("1.0000000001"), "{found:?}");
    }

    #[test]
    fn a_byte_and_a_missing_file_are_differences() {
        let old = [
            ("checkpoints/step-000002/a.safetensors", "abc"),
            ("checkpoints/step-000004/a.safetensors", "abc"),
        ];
        let new = [("checkpoints/step-000002/a.safetensors", "abd")];
        let found = compared(&old, &new);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("checkpoints/step-*/a.safetensors 2: "), "{found:?}");
        assert!(found[0].contains("byte 2"), "{found:?}");
    }

    #[test]
    fn the_recipe_is_told_of_and_no_difference() {
        let found = compared(&[("config.toml", "a = 1\nb = 2\n")], &[("config.toml", "a = 1\nc = 3\n")]);
        assert_eq!(found, ["config.toml 1: lines: 1 only old, 1 only new"]);
    }
}
