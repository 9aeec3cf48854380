//! What the metrics of runs came to.

use super::error::CompareError;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use vigos_core::jsonl::{LastLine, ReadOptions, read_lines};
use vigos_core::leaves::leaves;

/// Most metrics that a run is read for.
const MOST_NAMES: usize = 400;

/// A metric of every run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Metric {
    /// Its name, such as `loss` or `terms/perception/kl`.
    pub name: String,
    /// What it came to in each run; none where the run has it in no step.
    pub runs: Vec<Option<Summed>>,
}

/// A metric over the steps of a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Summed {
    /// At the last step that has it.
    pub last: f64,
    /// Over the steps that have it.
    pub mean: f64,
    /// The best of all steps; none where neither more nor less is better.
    pub best: Option<f64>,
    /// Steps that have it.
    pub steps: usize,
}

/// Which values of a metric are good ones.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Good {
    Low,
    High,
    Neither,
}

impl Good {
    fn of(name: &str) -> Self {
        match name.rsplit('/').next().unwrap_or(name) {
            "loss" | "kl" | "fallback_rate" => Self::Low,
            "accuracy" | "valid" => Self::High,
            _ => Self::Neither,
        }
    }
}

/// A metric while a run is read.
struct Sum {
    last: f64,
    total: f64,
    low: f64,
    high: f64,
    steps: usize,
}

/// The metrics of the runs' `metrics.jsonl`, and of what was evaluated on the way.
pub(super) fn side_by_side(runs: &[PathBuf]) -> Result<Vec<Metric>, CompareError> {
    let mut all: BTreeMap<String, Vec<Option<Summed>>> = BTreeMap::new();
    for (run, folder) in runs.iter().enumerate() {
        let mut sums = BTreeMap::new();
        read(&folder.join("metrics.jsonl"), "", &mut sums)?;
        read(&folder.join("evaluations.jsonl"), "eval/", &mut sums)?;
        for (name, Sum { last, total, low, high, steps }) in sums {
            let best = match Good::of(&name) {
                Good::Low => Some(low),
                Good::High => Some(high),
                Good::Neither => None,
            };
            let summed = Summed { last, mean: total / steps as f64, best, steps };
            all.entry(name).or_insert_with(|| vec![None; runs.len()])[run] = Some(summed);
        }
    }
    Ok(all.into_iter().map(|(name, runs)| Metric { name, runs }).collect())
}

fn read(path: &Path, prefix: &str, sums: &mut BTreeMap<String, Sum>) -> Result<(), CompareError> {
    if !path.exists() {
        return Ok(());
    }
    let options = ReadOptions { last_line: LastLine::Dropped, ..ReadOptions::default() };
    for line in read_lines::<Value>(path, options)? {
        let (_, line) = line?;
        for (name, value) in leaves(&line, '/') {
            let Some(value) = value.as_f64().filter(|_| name != "step") else { continue };
            let name = format!("{prefix}{name}");
            if sums.len() >= MOST_NAMES && !sums.contains_key(&name) {
                continue;
            }
            let sum = sums.entry(name).or_insert(Sum {
                last: value,
                total: 0.0,
                low: value,
                high: value,
                steps: 0,
            });
            sum.last = value;
            sum.total += value;
            (sum.low, sum.high) = (sum.low.min(value), sum.high.max(value));
            sum.steps += 1;
        }
    }
    Ok(())
}
