//! What a step reports, and how it is put together from its micro-batches and rollouts.

use crate::leaves::leaves;
use crate::objective::{MicroBatch, Term, Work};
use crate::samples::Sample;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use vigos_data::{grade_question, last_box};
use vigos_rollout::engine::{Completion, Finish};
use vigos_rollout::spans::{CompletionText, Reason, Spans, Verdict};

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

impl StepMetrics {
    /// Every number but the step under its path, `terms/perception/kl` for example.
    pub fn scalars(&self) -> Vec<(String, f64)> {
        let tree = serde_json::to_value(self).unwrap_or_default();
        let numbers = leaves(&tree, '/').into_iter().filter_map(|(path, leaf)| Some((path, leaf.as_f64()?)));
        numbers.filter(|(path, _)| path != "step").collect()
    }
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

/// One line of a snapshot of rollouts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RolloutRecord {
    /// The sample's name.
    pub id: String,
    /// The question.
    pub problem: String,
    /// The normalised reference answer.
    pub answer: String,
    /// What the student wrote.
    pub completion: String,
    /// The sampled tokens.
    pub completion_token_ids: Vec<u32>,
    /// Why it ended.
    pub finish_reason: Finish,
    /// Whether it keeps the output format.
    pub valid: bool,
    /// What is wrong with the format.
    pub reason: Option<Reason>,
    /// Content of the last box.
    pub predicted: Option<String>,
    /// Whether that is the reference answer.
    pub correct: bool,
    /// Token positions of the spans.
    pub spans: Option<Spans>,
}

impl RolloutRecord {
    /// What is written down of a completion of `sample`, whose text and verdict these are.
    pub fn new(sample: &Sample, completion: &Completion, text: &CompletionText, verdict: &Verdict) -> Self {
        let text = text.text(0..text.bytes().len()).into_owned();
        let predicted = last_box(&text).map(str::to_owned);
        let right = |p: &String| grade_question(&sample.problem, p, &sample.reference);
        Self {
            id: sample.id.clone(),
            problem: sample.problem.clone(),
            answer: sample.reference.clone(),
            completion_token_ids: completion.tokens.clone(),
            finish_reason: completion.finish,
            valid: verdict.spans().is_some(),
            reason: match verdict {
                Verdict::Valid(_) => None,
                Verdict::Invalid(reason) => Some(*reason),
            },
            correct: predicted.as_ref().is_some_and(right),
            predicted,
            spans: verdict.spans().cloned(),
            completion: text,
        }
    }
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
