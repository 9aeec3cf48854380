//! What is written down of a rollout: one line of a snapshot, or of an evaluation.

use crate::engine::Finish;
use crate::rolled_out::RolledOut;
use crate::spans::{Reason, Spans, Verdict};
use serde::{Deserialize, Serialize};
use vigos_grade::grade_question;
use vigos_recipe::last_box;

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
    /// What is written down of a rollout.
    pub fn of(rollout: &RolledOut) -> Self {
        let RolledOut { sample, tokens, finish, text, verdict, .. } = rollout;
        let text = text.text(0..text.bytes().len()).into_owned();
        let predicted = last_box(&text).map(str::to_owned);
        let right = |p: &String| grade_question(&sample.problem, p, &sample.reference);
        Self {
            id: sample.id.clone(),
            problem: sample.problem.clone(),
            answer: sample.reference.clone(),
            completion_token_ids: tokens.clone(),
            finish_reason: *finish,
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
