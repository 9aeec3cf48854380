//! What a step reports, and how it is put together from its micro-batches and rollouts.

use crate::objective::{MicroBatch, Term, Work};
use serde::Serialize;
use std::collections::BTreeMap;
use vigos_core::leaves::leaves;
use vigos_rollout::RolloutRecord;
use vigos_rollout::engine::Finish;

/// One line of `metrics.jsonl`.
#[derive(Clone, Debug, Serialize)]
pub struct StepMetrics {
    /// The step, counted from 1.
    pub step: usize,
    /// Passes over the data set begun so far, counted from 0, as a fraction.
    pub epoch: f64,
    /// The weighted sum of the losses, averaged over the micro-batches.
    pub loss: f64,
    /// Each loss: means of loss and divergence, tokens, clipped tokens.
    pub terms: BTreeMap<String, Term>,
    /// Share of rollouts whose last box is the reference answer.
    pub accuracy: f64,
    /// Share of rollouts that do not keep the output format.
    pub fallback_rate: f64,
    /// Share of rollouts whose description is supervised.
    pub description_rate: f64,
    /// Share of rollouts whose reasoning and answer are supervised.
    pub reasoning_rate: f64,
    /// Share of rollouts without any of the format's tags.
    pub no_tag_rate: f64,
    /// Share of all completion tokens in each span.
    pub span_share: SpanShare,
    /// Lengths of the completions in tokens.
    pub lengths: Lengths,
    /// Global norm of the gradient before it is clipped.
    pub grad_norm: f64,
    /// Learning rate of this step.
    pub lr: f64,
    /// Samples left out so far, by reason.
    pub skipped: BTreeMap<String, u64>,
    /// Wall-clock time of each phase.
    pub seconds: Phases,
    /// Tokens per second of each phase: drawn, scored by teachers, trained on.
    pub tokens_per_second: Phases,
}

/// Every number of a step's metrics but the step under its path, `terms/perception/kl` for example.
pub fn scalars(metrics: &impl Serialize) -> Vec<(String, f64)> {
    let tree = serde_json::to_value(metrics).unwrap_or_default();
    let numbers = leaves(&tree, '/').into_iter().filter_map(|(path, leaf)| Some((path, leaf.as_f64()?)));
    numbers.filter(|(path, _)| path != "step").collect()
}

/// One line of the `metrics.jsonl` of a supervised run.
#[derive(Clone, Debug, Serialize)]
pub struct SftMetrics {
    /// The step, counted from 1.
    pub step: usize,
    /// Passes over the data set begun so far, counted from 0, as a fraction.
    pub epoch: f64,
    /// Mean cross entropy of a supervised token in nats, averaged over the micro-batches.
    pub loss: f64,
    /// Share of the supervised tokens that are the most probable one.
    pub token_accuracy: f64,
    /// Supervised tokens of the step.
    pub tokens: usize,
    /// Global norm of the gradient before it is clipped.
    pub grad_norm: f64,
    /// Learning rate of this step.
    pub lr: f64,
    /// Samples left out so far, by reason.
    pub skipped: BTreeMap<String, u64>,
    /// Wall-clock time of the step.
    pub seconds: f64,
    /// Samples trained on per second.
    pub samples_per_second: f64,
}

/// Shares of the completion tokens.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SpanShare {
    /// In a description.
    pub description: f64,
    /// In reasoning or answer.
    pub reasoning_answer: f64,
    /// In no span.
    pub other: f64,
}

/// Lengths of completions.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Lengths {
    /// Mean.
    pub mean: f64,
    /// Longest.
    pub max: usize,
    /// Share that met the token limit.
    pub truncated: f64,
}

/// One number for each phase of a step.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Phases {
    /// Sampling completions.
    pub rollout: f64,
    /// The teachers' forward.
    pub scoring: f64,
    /// The student's forward and backward, and the optimiser.
    pub update: f64,
}

/// The rollouts' part of a step's metrics.
pub(crate) struct RolloutSummary {
    pub(crate) accuracy: f64,
    pub(crate) fallback_rate: f64,
    pub(crate) no_tag_rate: f64,
    pub(crate) span_share: SpanShare,
    pub(crate) lengths: Lengths,
}

impl RolloutSummary {
    /// Sums up a step's rollouts; `untagged` of them have no tag at all.
    pub(crate) fn of(records: &[RolloutRecord], untagged: usize) -> Self {
        let count = records.len().max(1) as f64;
        let share =
            |f: &dyn Fn(&RolloutRecord) -> bool| records.iter().filter(|r| f(r)).count() as f64 / count;
        let tokens: usize = records.iter().map(|r| r.completion_token_ids.len()).sum();
        let of_tokens = |n: usize| n as f64 / tokens.max(1) as f64;
        let spans = || records.iter().filter_map(|r| r.spans.as_ref());
        let description: usize = spans().map(|s| s.description.len()).sum();
        let reasoning: usize = spans().map(|s| s.reasoning_answer.len()).sum();
        Self {
            accuracy: share(&|r| r.correct),
            fallback_rate: share(&|r| !r.valid),
            no_tag_rate: untagged as f64 / count,
            span_share: SpanShare {
                description: of_tokens(description),
                reasoning_answer: of_tokens(reasoning),
                other: of_tokens(tokens - description - reasoning),
            },
            lengths: Lengths {
                mean: tokens as f64 / count,
                max: records.iter().map(|r| r.completion_token_ids.len()).max().unwrap_or(0),
                truncated: share(&|r| r.finish_reason == Finish::Length),
            },
        }
    }
}

/// The micro-batches of one step, summed up as they come.
#[derive(Default)]
pub(crate) struct LossSummary {
    pub(crate) loss: f64,
    pub(crate) terms: BTreeMap<String, Term>,
    pub(crate) scoring: Work,
    pub(crate) update: Work,
}

impl LossSummary {
    /// Adds one of `count` micro-batches. Losses average over micro-batches, as their gradients do;
    /// divergences average over tokens.
    pub(crate) fn add(&mut self, batch: &MicroBatch, count: usize) {
        self.loss += batch.loss / count as f64;
        self.scoring += batch.scoring;
        self.update += batch.update;
        for (name, term) in &batch.terms {
            let total = self.terms.entry(name.clone()).or_default();
            let tokens = total.tokens + term.tokens;
            if tokens > 0 {
                let sum = total.kl * total.tokens as f64 + term.kl * term.tokens as f64;
                total.kl = sum / tokens as f64;
            }
            total.loss += term.loss / count as f64;
            total.tokens = tokens;
            total.clipped += term.clipped;
        }
    }
}
