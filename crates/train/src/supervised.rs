//! Supervised training: the mean cross entropy of the completions that the data brings, and its gradient.
//!
//! A micro-batch is computed in pieces of a few samples, side by side on the cores of a CPU; a piece's activations
//! are small enough to stay in its cache. Each weighs its tokens by those of the whole step, or of the whole
//! micro-batch as the recipe says, so that the sum of the pieces is the mean.

use crate::agreed::agreed;
use crate::dealt::{Dealt, Own, part_number};
use crate::dropout::{Dropping, dropout};
use crate::fine_tune::{Batch, FineTune};
use crate::metrics::{Outcome, Supervised};
use crate::objective::{Objective, StepLoss};
use crate::observer::Watch;
use crate::scored::{Scored, Work};
use crate::step_gradient::StepGradient;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::time::Instant;
use vigos_kernels::{LOGITS_BUDGET, chunk_rows};
use vigos_models::{ModelError, Sequence, Trained, VisionLanguageModel};
use vigos_plan::micro_batches::MicroBatches;
use vigos_plan::supervised::PIECE;
use vigos_recipe::Normalise;
use vigos_rollout::{RolledOut, RunError};

/// The objective of supervised training.
pub(crate) struct CrossEntropy<'a, F> {
    /// What is trained.
    pub(crate) fine_tune: &'a F,
    /// The training forward's dropout.
    pub(crate) dropping: Dropping,
    /// How a step is cut.
    pub(crate) cut: MicroBatches,
}

impl<F: FineTune> Objective for CrossEntropy<'_, F> {
    type Weights = F::Weights;

    fn step(
        &self,
        weights: &F::Weights,
        rollouts: Vec<RolledOut>,
        step: u64,
        watch: &mut Watch,
    ) -> Result<StepLoss<F::Weights>, RunError> {
        watch.observer.phase("update");
        let begin = Instant::now();
        let divisor = self.cut.divisor();
        let whole = learnt_tokens(&rollouts);
        let mut dealt = Dealt::new(&self.cut, rollouts, watch.ranks);
        let mut gradient = StepGradient::over(divisor, watch.ranks.count());
        let mut learn = |watch: &mut Watch| {
            let mut learnt = Vec::new();
            while let Some(Own { number, rollouts, .. }) = dealt.next() {
                watch.go_on()?;
                let mean_over = match self.cut.normalise {
                    Normalise::Step => whole,
                    Normalise::MicroBatch => learnt_tokens(&rollouts),
                };
                let batch = part(self.fine_tune, weights, &rollouts, mean_over, self.dropping, step)?;
                let MicroBatch { loss, tokens, correct, gradient: slope } = batch;
                gradient.add(part_number(number, 0), slope)?;
                learnt.push((Learnt { number, samples: rollouts.len(), loss, tokens, correct }, rollouts));
            }
            Ok(learnt)
        };
        let learnt = learn(watch);
        let told = |own: &Vec<(Learnt, Vec<RolledOut>)>| own.iter().map(|(learnt, _)| *learnt).collect();
        let (mut learnt, others) = agreed(watch, learnt, told)?;
        let gradient = watch.waiting(|ranks| gradient.finish(weights, ranks))?;
        for batch in others.into_iter().flat_map(|(_, told): (_, Vec<Learnt>)| told) {
            learnt.push((batch, dealt.of_others(batch.number, batch.samples).collect()));
        }
        learnt.sort_by_key(|(batch, _)| batch.number);

        let (mut loss, mut tokens, mut correct, mut scored) = (0.0, 0, 0, Vec::new());
        for (batch, rollouts) in learnt {
            loss += batch.loss / divisor as f64;
            tokens += batch.tokens;
            correct += batch.correct;
            let unscored = |rollout| Scored { rollout, tokens: Vec::new(), observed: None };
            scored.extend(rollouts.into_iter().map(unscored));
        }
        let token_accuracy = correct as f64 / tokens.max(1) as f64;
        let outcome = Outcome::Supervised(Supervised { token_accuracy, tokens });
        let update = Work { tokens, seconds: begin.elapsed().as_secs_f64() };
        Ok(StepLoss { loss, gradient, outcome, scored, scoring: Work::default(), update })
    }
}

/// What a micro-batch came to, its gradient and its samples aside.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Learnt {
    number: usize,
    samples: usize,
    loss: f64,
    tokens: usize,
    correct: usize,
}

/// What one micro-batch gives.
#[derive(Debug)]
pub struct MicroBatch<W> {
    /// Its part of the mean cross entropy of the learnt tokens, in nats.
    pub loss: f64,
    /// Learnt tokens.
    pub tokens: usize,
    /// How many of them are the most probable one.
    pub correct: usize,
    /// Gradient of the loss.
    pub gradient: W,
}

/// Tokens of some completions that are learnt: all.
fn learnt_tokens(rollouts: &[RolledOut]) -> usize {
    rollouts.iter().map(|r| r.tokens.len()).sum()
}

/// Loss and gradient of some given completions, at least one of them, that are all of step `step`.
///
/// # Errors
/// If a token is not in the model's vocabulary, or the device fails.
pub fn micro_batch<F: FineTune>(
    fine_tune: &F,
    weights: &F::Weights,
    rollouts: &[RolledOut],
    dropping: Dropping,
    step: u64,
) -> Result<MicroBatch<F::Weights>, ModelError> {
    part(fine_tune, weights, rollouts, learnt_tokens(rollouts), dropping, step)
}

/// The part of some completions in a step whose loss is the mean over so many tokens.
fn part<F: FineTune>(
    fine_tune: &F,
    weights: &F::Weights,
    rollouts: &[RolledOut],
    mean_over: usize,
    dropping: Dropping,
    step: u64,
) -> Result<MicroBatch<F::Weights>, ModelError> {
    let model = fine_tune.model(weights);
    let weight = 1.0 / mean_over.max(1) as f64;
    // Neighbours of one length are one batched attention.
    let mut sorted: Vec<&RolledOut> = rollouts.iter().collect();
    sorted.sort_by_key(|r| (r.length(), r.sample.number));
    let pieces: Vec<_> = sorted
        .par_chunks(PIECE)
        .map(|piece| fine_tune.gradient(&*model, weights, &batch(&*model, piece, weight, dropping, step)?))
        .collect::<Result<_, _>>()?;

    let (mut loss, mut correct, mut gradient) = (0.0, 0, None::<F::Weights>);
    for (piece, slope) in pieces {
        loss += piece.loss;
        correct += piece.correct;
        gradient = Some(match gradient {
            None => slope,
            Some(sum) => sum.plus(&slope),
        });
    }
    let gradient = gradient.unwrap_or_else(|| weights.zeros());
    Ok(MicroBatch { loss, tokens: learnt_tokens(rollouts), correct, gradient })
}

/// Some completions packed behind their prompts, each learnt token of this weight.
fn batch<'a>(
    model: &dyn VisionLanguageModel,
    rollouts: &[&'a RolledOut],
    weight: f64,
    dropping: Dropping,
    step: u64,
) -> Result<Batch<'a>, ModelError> {
    let sequences: Vec<Sequence> = rollouts.iter().map(|r| r.sample.student.followed_by(&r.tokens)).collect();
    let packed = model.pack(&sequences.iter().collect::<Vec<_>>())?;
    let mut targets = Vec::new();
    for (i, r) in rollouts.iter().enumerate() {
        targets.extend(packed.targets(i, r.sample.student.ids.len()..packed.length(i)));
    }
    Ok(Batch {
        images: rollouts.iter().flat_map(|r| &r.sample.images).collect(),
        targets,
        weight,
        chunk: chunk_rows(model.architecture().text.vocab_size, LOGITS_BUDGET).get(),
        dropout: dropout(dropping, step, rollouts.iter().copied(), model.device()),
        packed,
    })
}
