//! `samples.jsonl`: a line for every sampled answer, and one for every item that could not be asked.

use serde::{Deserialize, Serialize};
use vigos_data::Place;
use vigos_rollout::RolloutRecord;

/// A line of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Line {
    /// An answer.
    Answer(Box<Answer>),
    /// An item without answers.
    Skipped(Skipped),
}

/// A sampled answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// The item, counted from 0 over all data sets.
    pub item: usize,
    /// Which of the item's answers it is, counted from 0.
    pub sample: usize,
    /// The item's kind, if its row has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The item's place in a prior suite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// What a judge said of it, if one was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged: Option<Judged>,
    /// What the student wrote, and how it is judged.
    #[serde(flatten)]
    pub rollout: RolloutRecord,
}

/// What a judge said of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// From 0, all wrong, to 1, all right; none if its replies could not be read.
    pub score: Option<f64>,
    /// Whether that is what the answer counts for. If not, the grader had decided, and the judge was asked too.
    pub decides: bool,
}

impl Answer {
    /// What it counts for, from 0 to 1.
    pub fn score(&self) -> f64 {
        match self.judged {
            Some(Judged { score: Some(score), decides: true }) => score,
            _ => f64::from(u8::from(self.rollout.correct)),
        }
    }
}

/// An item that could not be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    /// The item.
    pub item: usize,
    /// The row's name.
    pub id: String,
    /// Where the row stands.
    pub origin: String,
    /// What it is counted under, such as `bad_row`.
    pub skipped: String,
    /// What is wrong with it.
    pub reason: String,
}

impl Line {
    /// What a person should know of it.
    pub(crate) fn told(&self) -> Option<String> {
        match self {
            Self::Answer(_) => None,
            Self::Skipped(Skipped { origin, id, reason, .. }) => {
                Some(format!("{origin} (id `{id}`) is left out: {reason}"))
            }
        }
    }

    /// Its item, and whether it is the last line of it where each item is asked `samples` times.
    pub(crate) fn place(&self, samples: usize) -> (usize, bool) {
        match self {
            Self::Answer(answer) => (answer.item, answer.sample + 1 >= samples),
            Self::Skipped(skipped) => (skipped.item, true),
        }
    }
}
