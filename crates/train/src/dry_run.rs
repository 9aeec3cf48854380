//! All of a run but the optimiser: what `vigos train` would do first, tried, and an estimate of the rest.

use crate::distil::{Prepared, TrainOptions};
use crate::distillation::Distillation;
use crate::dropout::Dropping;
use crate::objective::{Objective, StepLoss};
use crate::observer::{Observer, Watch};
use crate::rollout::{Rollout, Sampled};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;
use vigos_data::BadRow;
use vigos_plan::micro_batches::MicroBatches;
use vigos_ranks::Alone;
use vigos_recipe::sample::UserTexts;
use vigos_rollout::adapter::open_adapter;
use vigos_rollout::record::RolloutRecord;
use vigos_rollout::{RunError, RunOptions};

/// Bytes of a line of metrics, and of TensorBoard's record of it.
const METRICS_BYTES: u64 = 4 << 10;
/// Bytes that a token of a rollout takes in a snapshot: its text, its id, its span.
const TOKEN_BYTES: u64 = 24;

/// What a run would begin with, and what it would take.
#[derive(Clone, Debug, PartialEq)]
pub struct DryRun {
    /// The number of the first row that a sample was made of, in the data set.
    pub first_row: usize,
    /// Rows that were passed over before there was a micro-batch.
    pub passed_over: Vec<BadRow>,
    /// The first rollout: its completion, spans and verdict.
    pub rollout: RolloutRecord,
    /// The loss of the micro-batch; nothing was changed by it.
    pub loss: f64,
    /// The tokens that each teacher supervised.
    pub supervised: BTreeMap<String, usize>,
    /// Samples of the micro-batch that was tried.
    pub samples: usize,
    /// Seconds of its completions, and of its losses and their gradient.
    pub seconds: [f64; 2],
    /// Steps that the recipe comes to.
    pub steps: usize,
    /// Seconds that all of them take, at most: in a step more completions are decoded together.
    pub total_seconds: f64,
    /// Bytes on disk at the end: checkpoints that are kept, snapshots of rollouts, metrics.
    pub disk_bytes: u64,
}

/// Tries a run without its optimiser: opens all that the recipe names, plans the memory, makes the first micro-batch, has
/// the student complete it, and computes its losses and their gradient. No file is written.
///
/// # Errors
/// As [`crate::train`] until its first update.
pub fn dry_run(
    options: &TrainOptions,
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> Result<DryRun, RunError> {
    let RunOptions { recipe, kit, device, .. } = *options;
    let mut fetching = |file: &str, bytes, size| observer.fetching(file, bytes, size);
    let prepared = Prepared::open(recipe, kit, &mut fetching)?;
    let (from, seed) = (recipe.model.adapter.as_deref(), recipe.train.seed);
    let model = prepared.base.model.config.architecture();
    let adapter = open_adapter(&prepared.lora, from, model, seed, device, &mut fetching)?;
    let plan = prepared.plan(options, adapter.config.clone(), observer)?;
    let Prepared { dataset, base, teaching, generation, .. } = prepared;
    let mut fetching = |file: &str, bytes, size| observer.fetching(file, bytes, size);
    let base = base.load(device, &mut fetching)?;

    let (mut samples, mut passed_over, mut first_row) = (Vec::new(), Vec::new(), 0);
    let (mut order, rows) = (dataset.order(seed), dataset.count().get());
    let (cut, per_sample) = (MicroBatches::from(&recipe.train), recipe.rollout.per_sample);
    let batch = cut.batch.div_ceil(per_sample);
    let maker = base.samples();
    for number in 0..rows as u64 {
        if samples.len() == batch {
            break;
        }
        let (_, index) = order.at(number);
        match dataset.load(index)? {
            Err(bad) => passed_over.push(bad),
            Ok(row) => match maker.make(number, &row, &UserTexts::new())? {
                Err(skip) => passed_over.push(BadRow::new(row.origin, &row.id, &skip.to_string())),
                Ok(sample) => {
                    first_row = if samples.is_empty() { index } else { first_row };
                    samples.push(Arc::new(sample));
                }
            },
        }
    }
    if samples.is_empty() {
        let reason = passed_over.first().map_or_else(String::new, |bad| bad.reason.clone());
        return Err(RunError::NothingLeft { path: recipe.data.path.clone(), rows, reason });
    }
    let tried = samples.len() * per_sample;
    let mut watch = Watch::new(observer, stop, &Alone);
    let begin = Instant::now();
    let sampled = Sampled { base: &base, generation, per_sample, server: None, max_weight: None };
    let completions = sampled.complete(&samples, &adapter, 0, &mut watch)?;
    let rollouts = sampled.read(&samples, completions, 0, &adapter, &mut watch)?;
    let completing = begin.elapsed().as_secs_f64();
    let record = rollouts.first().map(RolloutRecord::of);
    let record = record.ok_or_else(|| RunError::NotFinite("no completion was made, and its loss".into()))?;
    let most = rollouts.iter().map(|rollout| rollout.tokens.len()).max().unwrap_or(0) as u64;

    let dropping = Dropping { probability: recipe.lora.dropout, seed };
    let model = base.model.as_ref();
    let objective = Distillation { model, teaching, dropping, keep: plan.keep, cut, log: &recipe.log };
    let begin = Instant::now();
    let StepLoss { loss, gradient, scored, .. } = objective.step(&adapter, rollouts, 0, &mut watch)?;
    // A device may be still at it when the gradient is handed out.
    let norm = vigos_checkpoint::optim::global_norm(&gradient)?;
    if !loss.is_finite() || !norm.is_finite() {
        return Err(RunError::NotFinite("the loss or its gradient".into()));
    }
    let learning = begin.elapsed().as_secs_f64();
    let mut supervised = BTreeMap::new();
    for token in scored.iter().flat_map(|scored| &scored.tokens) {
        if let Some(teacher) = recipe.method.teachers.get(token.teacher) {
            *supervised.entry(teacher.name.clone()).or_default() += 1;
        }
    }

    let steps = recipe.train.total_steps(rows * per_sample);
    let micro_batches = cut.samples() as f64 / tried as f64;
    let values = adapter.tensors().iter().map(|(_, tensor)| tensor.shape().num_elements() as u64).sum();
    Ok(DryRun {
        first_row,
        passed_over,
        rollout: record,
        loss,
        supervised,
        samples: tried,
        seconds: [completing, learning],
        steps,
        total_seconds: (completing + learning) * micro_batches * steps as f64,
        disk_bytes: disk(options, steps as u64, values, most),
    })
}

/// Bytes that a run of so many steps leaves, whose adapter has so many values and whose completions so many tokens.
fn disk(options: &TrainOptions, steps: u64, values: u64, tokens: u64) -> u64 {
    let recipe = options.recipe;
    let every = |each: usize| if each == 0 { 0 } else { steps / each as u64 };
    // The last step has one too.
    let written = every(recipe.checkpoint.every) + 1;
    let kept = match recipe.checkpoint.keep {
        0 => written,
        most => written.min(most as u64),
    };
    // The adapter and the two moments of its values, four bytes each.
    let checkpoints = kept.saturating_mul(values).saturating_mul(12);
    let rollouts = every(recipe.log.rollouts_every)
        .saturating_mul(recipe.log.rollouts_max.min(recipe.train.batch * recipe.train.accumulate) as u64)
        .saturating_mul(tokens.saturating_mul(TOKEN_BYTES));
    let metrics = every(recipe.log.metrics.every.max(1)).saturating_mul(METRICS_BYTES);
    checkpoints.saturating_add(rollouts).saturating_add(metrics)
}
