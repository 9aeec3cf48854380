//! A diagnosis (PALR) token by token.

use crate::visible::visible;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::{Path, PathBuf};
use vigos_core::files::read_limited;
use vigos_core::jsonl::{LastLine, ReadOptions, read_lines};

/// No report is larger.
const LARGEST: u64 = 4 << 20;
/// Most rollouts of a diagnosis that are shown.
const MOST: usize = 40;
/// Most tokens of one.
const LONGEST: usize = 1000;

/// A diagnosis.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Leakage {
    /// What is left of its report: parts with their ratios.
    pub(crate) parts: Vec<Part>,
    /// Rollouts with tokens.
    pub(crate) rollouts: Vec<Diagnosed>,
}

/// The ratio of a part.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) value: f64,
    pub(crate) error: Option<f64>,
    pub(crate) tokens: u64,
}

/// A rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Diagnosed {
    id: String,
    completion: String,
    #[serde(default)]
    wrong_answers: Vec<String>,
    #[serde(default)]
    tokens: Vec<Token>,
}

/// A token under its teacher.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Token {
    id: u32,
    #[serde(default)]
    piece: Option<String>,
    #[serde(default)]
    teacher: String,
    student: Option<f64>,
    active: Option<f64>,
    wrong: Option<f64>,
    image: Option<f64>,
    pull: f64,
    answer_share: f64,
    image_share: f64,
}

impl Leakage {
    /// That of a run's folder, `palr` below it, or one beside it of its name and `-palr`; nothing where there is none.
    /// `piece` knows texts of tokens.
    pub(crate) fn of(
        run: &Path,
        piece: &dyn Fn(u32) -> Option<String>,
        notes: &mut Vec<String>,
    ) -> Option<Self> {
        let folder = diagnosis(run)?;
        let bytes = read_limited(&folder.join("report.json"), LARGEST).ok()?;
        let report: Value = serde_json::from_slice(&bytes).ok()?;
        let part = |(name, key): (&'static str, &str)| {
            let part = report.get(key)?;
            Some(Part {
                name,
                value: part.get("value")?.as_f64()?,
                error: part.get("standard_error").and_then(Value::as_f64),
                tokens: part.get("sums")?.get("tokens")?.as_u64()?,
            })
        };
        let parts = [
            ("Description", "description"),
            ("Reasoning and answer", "reasoning_answer"),
            ("All tokens", "completion"),
        ];
        let parts: Vec<Part> = parts.into_iter().filter_map(part).collect();
        if parts.is_empty() {
            return None;
        }
        let options = ReadOptions { last_line: LastLine::Dropped, ..ReadOptions::default() };
        let mut rollouts = Vec::new();
        match read_lines::<Value>(&folder.join("tokens.jsonl"), options) {
            Err(error) => notes.push(visible(&format!("the diagnosis has no tokens: {error}"), 300)),
            Ok(lines) => {
                for line in lines.flatten().map(|(_, line)| line) {
                    if rollouts.len() >= MOST {
                        break;
                    }
                    let Ok(found) = serde_json::from_value::<Diagnosed>(line) else { continue };
                    if !found.tokens.is_empty() {
                        rollouts.push(found.shown(piece));
                    }
                }
            }
        }
        Some(Self { parts, rollouts })
    }
}

impl Diagnosed {
    fn shown(self, piece: &dyn Fn(u32) -> Option<String>) -> Self {
        let tokens = self.tokens.into_iter().take(LONGEST);
        Self {
            id: visible(&self.id, 100),
            completion: visible(&self.completion, 4000),
            wrong_answers: self.wrong_answers.iter().take(8).map(|text| visible(text, 100)).collect(),
            tokens: tokens
                .map(|token| Token { piece: piece(token.id), teacher: visible(&token.teacher, 60), ..token })
                .collect(),
        }
    }
}

/// The folder of a run's diagnosis.
pub(crate) fn diagnosis(run: &Path) -> Option<PathBuf> {
    let mut beside = run.as_os_str().to_owned();
    beside.push("-palr");
    let known = [run.to_owned(), run.join("palr"), PathBuf::from(beside)];
    known
        .into_iter()
        .find(|folder| folder.join("tokens.jsonl").exists() && folder.join("report.json").exists())
}
