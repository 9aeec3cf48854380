//! What one rank was measured to take, and what lies between ranks.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// How a step is cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Shape {
    /// Its completions.
    pub(crate) completions: usize,
    /// Those of a micro-batch.
    pub(crate) batch: usize,
    /// Those that a rank decodes together.
    pub(crate) rows: usize,
    /// Those of a sample, which are one rank's.
    pub(crate) per_sample: usize,
}

/// What a run tells.
#[derive(Clone, Debug)]
pub(crate) struct Measured {
    /// How its steps are cut.
    pub(crate) shape: Shape,
    /// Lengths of completions, in tokens.
    pub(crate) lengths: Vec<f64>,
    /// Tokens of a prompt, the mean.
    pub(crate) prompt: f64,
    /// Seconds of a decoding step of all rows.
    pub(crate) decoding: f64,
    /// Seconds in which a token of prompt or completion is scored and learnt from.
    pub(crate) learning: f64,
    /// Bytes of a gradient.
    pub(crate) gradient: f64,
}

/// What is between ranks and beside the step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Network {
    pub(crate) bytes_a_second: f64,
    /// Seconds of a message by itself.
    pub(crate) latency: f64,
    /// Seconds in which a rank prepares a sample.
    pub(crate) prepare: f64,
}

impl Measured {
    /// Reads the folder of a run.
    pub(crate) fn of(run: &Path) -> Result<Self> {
        let read = |name: &str| {
            let path = run.join(name);
            fs::read_to_string(&path).with_context(|| path.display().to_string())
        };
        let config: toml::Table = toml::from_str(&read("config.toml")?)?;
        let key = |section: &str, key: &str| {
            let found = config.get(section).and_then(|s| s.get(key)).and_then(toml::Value::as_integer);
            found
                .and_then(|n| usize::try_from(n).ok())
                .with_context(|| format!("config.toml: no {section}.{key}"))
        };
        let (batch, accumulate) = (key("train", "batch")?, key("train", "accumulate")?);
        let shape = Shape {
            completions: batch * accumulate,
            batch,
            rows: key("rollout", "batch")?,
            per_sample: key("rollout", "per_sample")?,
        };
        let lengths = lengths(&run.join("rollouts"))?;
        let metrics: Vec<Value> =
            read("metrics.jsonl")?.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        ensure!(metrics.iter().all(|m| m.get("waited").is_none()), "the run was one of several ranks");
        let mean = |pointer: &str| {
            let values: Vec<f64> = metrics.iter().filter_map(|m| m.pointer(pointer)?.as_f64()).collect();
            ensure!(!values.is_empty(), "metrics.jsonl: no {pointer}; is it a run of `vigos train`?");
            Ok(values.iter().sum::<f64>() / values.len() as f64)
        };
        let tokens = |m: &Value| {
            Some(m.pointer("/seconds/update")?.as_f64()? * m.pointer("/tokens_per_second/update")?.as_f64()?)
        };
        let all: Vec<f64> = metrics.iter().filter_map(tokens).collect();
        let each = all.iter().sum::<f64>() / all.len().max(1) as f64 / shape.completions as f64;
        let learning =
            (mean("/seconds/scoring")? + mean("/seconds/update")?) / (each * shape.completions as f64);
        // The same number of completions of each length that was seen, in the rows of one rank.
        let drawn: Vec<f64> = lengths.iter().cycle().take(shape.completions).copied().collect();
        let decoding = mean("/seconds/rollout")? / makespan(&drawn, shape.rows);
        let gradient = gradient(run)?;
        let prompt = (each - mean("/lengths/mean")?).max(0.0);
        Ok(Self { shape, lengths, prompt, decoding, learning, gradient })
    }

    /// Takes other values in the place of those that were measured: milliseconds of a decoding step, tokens learnt from in a
    /// second, tokens of a prompt, million values of the adapter.
    pub(crate) fn take(&mut self, stretch: f64, [decoding, learning, prompt, adapter]: [Option<f64>; 4]) {
        self.lengths.iter_mut().for_each(|length| *length = (*length * stretch).max(1.0).round());
        self.decoding = decoding.map_or(self.decoding, |ms| ms * 1e-3);
        self.learning = learning.map_or(self.learning, |tokens| 1.0 / tokens);
        self.prompt = prompt.unwrap_or(self.prompt);
        self.gradient = adapter.map_or(self.gradient, |values| values * 4e6);
    }

    /// All of it in words.
    pub(crate) fn told(&self) -> String {
        let mut sorted = self.lengths.clone();
        sorted.sort_by(f64::total_cmp);
        let mean = sorted.iter().sum::<f64>() / sorted.len() as f64;
        let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize];
        format!(
            "{} completions seen: mean {mean:.0} tokens, half below {:.0}, a tenth above {:.0}, longest {:.0}; prompts of \
             {:.0}\none rank: {:.2} ms a decoding step of {} rows, {:.0} tokens a second learnt from; a gradient of {:.1} MB",
            sorted.len(),
            at(0.5),
            at(0.9),
            at(1.0),
            self.prompt,
            self.decoding * 1e3,
            self.shape.rows,
            1.0 / self.learning,
            self.gradient / 1e6
        )
    }
}

/// Lengths of the completions in a run's snapshots.
fn lengths(folder: &Path) -> Result<Vec<f64>> {
    let mut files: Vec<_> = fs::read_dir(folder)
        .with_context(|| format!("{}: a run with log.rollouts_every has it", folder.display()))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    files.sort();
    let mut lengths = Vec::new();
    for file in files
        .iter()
        .filter(|file| file.file_name().is_some_and(|name| name.to_string_lossy().starts_with("step-")))
    {
        for line in fs::read_to_string(file)?.lines() {
            let row: Value = serde_json::from_str(line).with_context(|| file.display().to_string())?;
            let ids = row.get("completion_token_ids").and_then(Value::as_array);
            lengths.extend(ids.map(|ids| ids.len().max(1) as f64));
        }
    }
    ensure!(!lengths.is_empty(), "{}: no completion in it", folder.display());
    Ok(lengths)
}

/// Bytes of the gradient of a run's adapter: those of the file of its last checkpoint.
fn gradient(run: &Path) -> Result<f64> {
    let folder = run.join("checkpoints");
    let mut found: Vec<_> = fs::read_dir(&folder)
        .with_context(|| folder.display().to_string())?
        .filter_map(|entry| Some(entry.ok()?.path().join("adapter_model.safetensors")))
        .filter(|path| path.is_file())
        .collect();
    found.sort();
    let last = found.last().with_context(|| format!("{}: no checkpoint", folder.display()))?;
    Ok(fs::metadata(last)?.len() as f64)
}

/// Decoding steps in which completions of these lengths are drawn, so many at a time, the next as soon as one ends.
pub(crate) fn makespan(lengths: &[f64], rows: usize) -> f64 {
    let mut ends = vec![0.0_f64; rows.max(1)];
    for length in lengths {
        if let Some(first) = ends.iter_mut().min_by(|a, b| a.total_cmp(b)) {
            *first += length;
        }
    }
    ends.into_iter().fold(0.0, f64::max)
}
