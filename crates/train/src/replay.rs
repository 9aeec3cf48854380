//! One optimiser step on recorded completions: the method's numbers without its randomness.

use crate::distillation::{Teaching, micro_batch};
use crate::dropout::{Dropping, dropout};
use crate::recorded::recorded;
use crate::scored::{Scored, ScoredToken, Term};
use crate::update::Update;
use burn::tensor::Device;
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;
use vigos_checkpoint::optim::AdamW;
use vigos_core::files::{FileError, write_atomic_bytes};
use vigos_hub::Progress;
use vigos_models::gradient::Keep;
use vigos_models::{ActiveAdapter, peft};
use vigos_recipe::{Method, Recipe};
use vigos_rollout::adapter::{lora_config, open_adapter};
use vigos_rollout::base::{BaseFiles, base_name};
use vigos_rollout::run_folder::FolderError;
use vigos_rollout::spans::Spans;
use vigos_rollout::{Kit, RolledOut, RunError};

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
/// All rows of the file are one micro-batch; a snapshot of a run's rollouts is such a file. Nothing is written before the whole step is computed, and
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
    let base = BaseFiles::open(recipe, kit, progress)?;
    let (from, seed) = (recipe.model.adapter.as_deref(), recipe.train.seed);
    // What is wrong with the adapter is said before the base's weights are loaded.
    let adapter = open_adapter(&wanted, from, base.model.config.architecture(), seed, device, progress)?;
    let base = base.load(device, progress)?;
    let rows = recorded(rollouts, &base, kit, progress)?;
    let total = recipe.train.total_steps(rows.len());
    let dropping = Dropping { probability: recipe.lora.dropout, seed };
    let dropout = dropout(dropping, 0, rows.iter(), device);
    let active = ActiveAdapter { adapter: &adapter, dropout: dropout.as_ref() };
    let result = micro_batch(base.model.as_ref(), active, &teaching, rows, Keep::Inputs)?;
    let optimiser = AdamW::new(&adapter);
    let mut update = Update::new(adapter, optimiser, &recipe.optim, total, device);
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
