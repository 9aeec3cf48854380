//! One optimiser step on recorded completions: the method's numbers without its randomness.

use crate::distillation::{Teaching, micro_batch};
use crate::dropout::{Dropping, dropout};
use crate::optim::AdamW;
use crate::scored::{Scored, ScoredToken, Term};
use crate::update::Update;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use vigos_core::files::{FileError, write_atomic_bytes};
use vigos_core::jsonl::{LastLine, ReadOptions, read_lines};
use vigos_core::paths::contained;
use vigos_hub::Progress;
use vigos_models::{ActiveAdapter, peft};
use vigos_recipe::row::{ImageSource, Labels, Row};
use vigos_recipe::run_folder::FolderError;
use vigos_recipe::sample::{SampleError, Skip, UserTexts};
use vigos_recipe::{Method, Recipe};
use vigos_rollout::adapter::{lora_config, open_adapter};
use vigos_rollout::base::{Base, base_name};
use vigos_rollout::engine::Finish;
use vigos_rollout::spans::Spans;
use vigos_rollout::{Kit, RolledOut, RunError};

/// One line of the input.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: String,
    #[serde(default)]
    image: Option<String>,
    #[serde(default)]
    images: Vec<String>,
    problem: String,
    answer: String,
    completion_token_ids: Vec<u32>,
    #[serde(default)]
    prompts: UserTexts,
}

/// `step.json`
#[derive(Clone, Debug, Serialize)]
struct StepReport {
    loss: f64,
    grad_norm: f64,
    terms: BTreeMap<String, Term>,
    rows: Vec<RowReport>,
}

#[derive(Clone, Debug, Serialize)]
struct RowReport {
    id: String,
    valid: bool,
    spans: Option<Spans>,
    tokens: Vec<TokenReport>,
}

impl RowReport {
    fn new(scored: &Scored, method: &Method) -> Self {
        let named = |t: &ScoredToken| TokenReport {
            position: t.position,
            teacher: method.teachers[t.teacher].name.clone(),
            kl: t.kl,
            clipped: t.clipped,
        };
        let RolledOut { sample, verdict, .. } = &scored.rollout;
        Self {
            id: sample.id.clone(),
            valid: verdict.spans().is_some(),
            spans: verdict.spans().cloned(),
            tokens: scored.tokens.iter().map(named).collect(),
        }
    }
}

#[derive(Clone, Debug, Serialize)]
struct TokenReport {
    position: usize,
    teacher: String,
    kl: f64,
    clipped: bool,
}

/// Runs the step and writes `step.json`, `grads.safetensors` (before the norm clip) and `adapter/` to `out`.
///
/// All rows of the file are one micro-batch. Nothing is written before the whole step is computed, and
/// `step.json` is written last. `kit` is what the recipe may name, `progress` sees what has to be fetched from the hub.
///
/// # Errors
/// If the recipe, the model or a row is wrong, or `out` holds a replay already or cannot be written.
pub fn replay(
    recipe: &Recipe,
    rollouts: &Path,
    out: &Path,
    kit: &Kit,
    device: &Device,
    progress: &mut Progress,
) -> Result<(), RunError> {
    if out.join("step.json").exists() {
        return Err(FolderError::Taken {
            path: out.to_owned(),
            message: "there is a replay in this folder already".into(),
            hint: "name another folder with --out".into(),
        }
        .into());
    }
    let teaching = Teaching::new(&recipe.method, &kit.divergences)?;
    let wanted = lora_config(&recipe.lora)?;
    let base = Base::open(recipe, kit, device, progress)?;
    let (from, seed) = (recipe.model.adapter.as_deref(), recipe.train.seed);
    let adapter = open_adapter(&wanted, from, base.model.architecture(), seed, device, progress)?;
    let rows = read(rollouts, &base)?;
    let total = recipe.train.total_steps(rows.len());
    let dropping = Dropping { probability: recipe.lora.dropout, seed };
    let dropout = dropout(dropping, 0, rows.iter(), device);
    let active = ActiveAdapter { adapter: &adapter, dropout: dropout.as_ref() };
    let result = micro_batch(base.model.as_ref(), active, &teaching, rows)?;
    let optimiser = AdamW::new(&adapter);
    let mut update = Update::new(adapter, optimiser, &recipe.optim, total);
    let grad_norm = update.apply(result.gradient.clone(), 0)?.grad_norm;

    let rows = result.scored.iter().map(|s| RowReport::new(s, &recipe.method)).collect();
    let report = StepReport { loss: result.loss, grad_norm, terms: result.terms.clone(), rows };
    std::fs::create_dir_all(out).map_err(|e| FileError::io("create", out, e))?;
    peft::save_tensors(&result.gradient.tensors(), &out.join("grads.safetensors"))?;
    peft::save(&update.weights, &base_name(&recipe.model.path), &out.join("adapter"))?;
    let text = serde_json::to_vec_pretty(&report).unwrap_or_default();
    write_atomic_bytes(&out.join("step.json"), &text)?;
    Ok(())
}

/// Reads and prepares every row.
fn read(path: &Path, base: &Base) -> Result<Vec<RolledOut>, RunError> {
    let folder = vigos_core::files::folder_of(path);
    let maker = base.samples();
    let vocabulary = base.model.architecture().text.vocab_size;
    let options = ReadOptions { last_line: LastLine::Taken, ..ReadOptions::default() };
    let mut rows = Vec::new();
    for line in read_lines::<Line>(path, options)? {
        let (number, line) = line?;
        let origin = format!("{}:{number}", path.display());
        let fail = |field: &str, message: String| SampleError {
            origin: origin.clone(),
            id: line.id.clone(),
            field: field.to_owned(),
            message,
        };
        let images = line
            .image
            .iter()
            .chain(&line.images)
            .map(|relative| {
                contained(folder, relative).map(ImageSource::File).map_err(|e| fail("image", e.to_string()))
            })
            .collect::<Result<Vec<_>, _>>()?;
        if images.is_empty() {
            return Err(fail("image", "missing: wanted a path relative to this file".into()).into());
        }
        let ids = &line.completion_token_ids;
        if ids.is_empty() {
            return Err(fail("completion_token_ids", "found no token, wanted at least one".into()).into());
        }
        if let Some(id) = ids.iter().find(|id| **id as usize >= vocabulary) {
            let wanted = format!("found {id}, wanted ids below the vocabulary's size {vocabulary}");
            return Err(fail("completion_token_ids", wanted).into());
        }
        let source = Row {
            id: line.id.clone(),
            origin: origin.clone(),
            problem: line.problem.clone(),
            answer: line.answer.clone(),
            images,
            labels: Labels::default(),
            demonstration: None,
        };
        let sample = maker.make(rows.len() as u64, &source, &line.prompts)?.map_err(|skip| match skip {
            Skip::LongPrompt { role, tokens } => fail(
                &role,
                format!("found a prompt of {tokens} tokens, wanted at most {}", maker.max_prompt_tokens),
            ),
            Skip::BeyondMemory { tokens, .. } | Skip::LongSample { tokens } => {
                fail("completion_token_ids", format!("found {tokens} tokens"))
            }
            Skip::BadRow { field, reason } => fail(&field, reason),
            Skip::SmallImage { side } => {
                fail("image", format!("found a side of {side} pixels, wanted {}", maker.min_image_side))
            }
        })?;
        rows.push(base.read(Arc::new(sample), line.completion_token_ids, Finish::Stop));
    }
    if rows.is_empty() {
        return Err(RunError::NothingLeft {
            path: path.to_owned(),
            rows: 0,
            reason: "the file has no row".into(),
        });
    }
    Ok(rows)
}
