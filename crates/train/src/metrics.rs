//! What a step reports: one line of `metrics.jsonl`.

use crate::scored::{Scored, Term};
use serde::Serialize;
use std::collections::BTreeMap;
use vigos_core::leaves::leaves;
use vigos_recipe::{Method, Span, Teacher, When};
use vigos_rollout::engine::Finish;
use vigos_rollout::{Mismatch, RolloutRecord};

/// One line of `metrics.jsonl`.
#[derive(Clone, Debug, Serialize)]
pub struct Metrics {
    /// The step, counted from 1.
    pub step: usize,
    /// Passes over the data set begun so far, counted from 0, as a fraction.
    pub epoch: f64,
    /// The loss, averaged over the micro-batches: the weighted sum of the teachers' losses, or the mean cross
    /// entropy of a supervised token in nats.
    pub loss: f64,
    /// What there is to say of the loss and of the completions.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Global norm of the gradient before it is clipped.
    pub grad_norm: f64,
    /// Learning rate of this step.
    pub lr: f64,
    /// Samples left out so far, by reason.
    pub skipped: BTreeMap<String, u64>,
    /// How long it took.
    #[serde(flatten)]
    pub pace: Pace,
    /// Updates between drawing the completions and learning from them, where completions are drawn ahead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stale: Option<u64>,
    /// Seconds that each rank waited for the others, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waited: Vec<f64>,
}

/// What a step's objective says of itself.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Outcome {
    /// Of self-distillation.
    Distilled(Box<Distilled>),
    /// Of supervised training.
    Supervised(Supervised),
}

impl Metrics {
    /// What self-distillation says, where that is what was done.
    pub fn distilled(&self) -> Option<&Distilled> {
        match &self.outcome {
            Outcome::Distilled(distilled) => Some(distilled),
            Outcome::Supervised(_) => None,
        }
    }
}

/// Losses by teacher, and what the rollouts are like.
#[derive(Clone, Debug, Serialize)]
pub struct Distilled {
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
    /// How unlike the student it is that drew them, where it was another.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mismatch: Option<Mismatch>,
}

/// How well the given completions are predicted.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Supervised {
    /// Share of the supervised tokens that are the most probable one.
    pub token_accuracy: f64,
    /// Supervised tokens of the step.
    pub tokens: usize,
}

/// How long a step took.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(untagged)]
pub enum Pace {
    /// Phase by phase.
    Phases {
        /// Wall-clock time of each phase.
        seconds: Phases,
        /// Tokens per second of each phase: drawn, scored by teachers, trained on.
        tokens_per_second: Phases,
    },
    /// All in one.
    Whole {
        /// Wall-clock time of the step.
        seconds: f64,
        /// Samples trained on per second.
        samples_per_second: f64,
    },
}

/// Every number of a step's metrics but the step under its path, `terms/perception/kl` for example.
pub fn scalars(metrics: &Metrics) -> Vec<(String, f64)> {
    let tree = serde_json::to_value(metrics).unwrap_or_default();
    let numbers = leaves(&tree, '/').into_iter().filter_map(|(path, leaf)| Some((path, leaf.as_f64()?)));
    numbers.filter(|(path, _)| path != "step").collect()
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

impl Distilled {
    /// Sums up a step: its losses, and its rollouts.
    pub(crate) fn new(method: &Method, terms: BTreeMap<String, Term>, scored: &[Scored]) -> Self {
        let records: Vec<RolloutRecord> = scored.iter().map(|s| RolloutRecord::of(&s.rollout)).collect();
        let count = records.len().max(1) as f64;
        let share =
            |f: &dyn Fn(&RolloutRecord) -> bool| records.iter().filter(|r| f(r)).count() as f64 / count;
        let untagged = scored.iter().filter(|s| !s.rollout.text.has_delimiter()).count();
        let tokens: usize = records.iter().map(|r| r.completion_token_ids.len()).sum();
        let of_tokens = |n: usize| n as f64 / tokens.max(1) as f64;
        let spans = || records.iter().filter_map(|r| r.spans.as_ref());
        let description: usize = spans().map(|s| s.description.len()).sum();
        let reasoning: usize = spans().map(|s| s.reasoning_answer.len()).sum();
        let fallback_rate = share(&|r| !r.valid);
        let supervised = |span: Span| {
            let wanted = |t: &Teacher| t.runs() && t.when != When::Invalid && t.spans.contains(&span);
            if method.teachers.iter().any(wanted) { 1.0 - fallback_rate } else { 0.0 }
        };
        Self {
            terms,
            accuracy: share(&|r| r.correct),
            fallback_rate,
            description_rate: supervised(Span::Description),
            reasoning_rate: supervised(Span::ReasoningAnswer),
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
            mismatch: Mismatch::of(scored.iter().filter_map(|s| s.rollout.foreign.as_deref())),
        }
    }
}
