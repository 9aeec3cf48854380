//! The format: a line of a recording, and the columns in it.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the format that is written here. Readers take this and lower ones.
pub const VERSION: u32 = 1;

/// A rollout of a snapshot.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    /// Version of the format.
    pub version: u32,
    /// The step, counted from 1.
    pub step: usize,
    /// Its line in the snapshot of the same step, counted from 0.
    pub row: usize,
    /// The sample's name.
    pub id: String,
    /// The question.
    #[serde(default)]
    pub problem: String,
    /// The normalised reference answer.
    #[serde(default)]
    pub answer: String,
    /// The kind of question, where the data says it.
    #[serde(default)]
    pub kind: Option<String>,
    /// Why it ended: `stop` or `length`.
    #[serde(default)]
    pub finish_reason: String,
    /// Whether it keeps the output format.
    #[serde(default)]
    pub valid: bool,
    /// What is wrong with the format.
    #[serde(default)]
    pub reason: Option<String>,
    /// Content of the last box.
    #[serde(default)]
    pub predicted: Option<String>,
    /// Whether that is the reference answer.
    #[serde(default)]
    pub correct: bool,
    /// Temperature of the distributions that log-probabilities, entropies and divergences are of.
    #[serde(default)]
    pub temperature: f64,
    /// The student's prompt and those of the teachers that read the rollout, long ones cut.
    #[serde(default)]
    pub prompts: Vec<Shown>,
    /// The images as the model sees them, scaled down.
    #[serde(default)]
    pub images: Vec<Picture>,
    /// Tokens of the completion; more than there are columns for where recording was bounded.
    #[serde(default)]
    pub length: usize,
    /// What is known of each token from the student.
    pub tokens: Tokens,
    /// What teachers said of them, teacher by teacher.
    #[serde(default)]
    pub supervised: Vec<Supervision>,
    /// Texts of the tokens that only lists of most probable ones name.
    #[serde(default)]
    pub texts: BTreeMap<u32, String>,
}

/// The prompt of a reader.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// `student`, or a teacher's name.
    pub role: String,
    /// The whole prompt, the prefill last; an image's tokens are one.
    pub text: String,
}

/// A picture that is small.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// Pixels from left to right.
    pub width: u32,
    /// Pixels from top to bottom.
    pub height: u32,
    /// `image/png` or `image/jpeg`.
    pub kind: String,
    /// The file in base64.
    pub data: String,
}

/// What is recorded of the tokens of a completion, in columns. An empty column was not recorded.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Tokens {
    /// The sampled tokens.
    pub ids: Vec<u32>,
    /// Their texts; bytes that are no UTF-8 stand as `⟨E2⟩`.
    pub pieces: Vec<String>,
    /// A letter a token: `d` description, `r` reasoning, `a` answer, `-` none of them.
    #[serde(default)]
    pub spans: String,
    /// The student's log-probability of the token, in nats.
    #[serde(default)]
    pub logprob: Column,
    /// Entropy of the student, in nats.
    #[serde(default)]
    pub entropy: Column,
    /// How many tokens the student holds for more probable, and 1.
    #[serde(default)]
    pub rank: Vec<u32>,
    /// The student's most probable tokens.
    #[serde(default)]
    pub top: Vec<Top>,
}

/// What a teacher said of the tokens that it supervises, in columns.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Supervision {
    /// Who, and why.
    #[serde(flatten)]
    pub who: Who,
    /// Places of the tokens in the completion.
    pub positions: Vec<usize>,
    /// Divergence of each, unclipped.
    #[serde(default)]
    pub kl: Column,
    /// A character a token: `1` where the divergence is above its clip, else `0`.
    #[serde(default)]
    pub clipped: String,
    /// The teacher's log-probability of the token, in nats.
    #[serde(default)]
    pub logprob: Column,
    /// Entropy of the teacher, in nats.
    #[serde(default)]
    pub entropy: Column,
    /// How many tokens the teacher holds for more probable, and 1.
    #[serde(default)]
    pub rank: Vec<u32>,
    /// The teacher's most probable tokens.
    #[serde(default)]
    pub top: Vec<Top>,
}

/// A line of the teacher table: who supervises, and why these tokens.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Who {
    /// Name of the teacher.
    pub teacher: String,
    /// What it is shown.
    #[serde(default)]
    pub context: Vec<String>,
    /// The spans that it supervises.
    #[serde(default)]
    pub of: Vec<String>,
    /// In which rollouts: `valid`, `invalid`, `always`.
    #[serde(default)]
    pub when: String,
    /// By which divergence.
    #[serde(default)]
    pub divergence: String,
    /// Weight of its loss.
    #[serde(default)]
    pub weight: f64,
}

/// Numbers of five significant digits. What is not finite is written as null and read as NaN.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "Vec<Option<f64>>", into = "Vec<Option<f64>>")]
pub struct Column(pub Vec<f64>);

impl Column {
    /// Whether nothing was recorded.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Vec<Option<f64>>> for Column {
    fn from(values: Vec<Option<f64>>) -> Self {
        Self(values.into_iter().map(|value| value.unwrap_or(f64::NAN)).collect())
    }
}

impl From<Column> for Vec<Option<f64>> {
    fn from(column: Column) -> Self {
        column.0.into_iter().map(|value| value.is_finite().then(|| crate::rounded(value))).collect()
    }
}

/// The most probable tokens of a place, the most probable one first.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Top {
    /// The tokens.
    pub ids: Vec<u32>,
    /// Their log-probabilities, in nats.
    pub logprobs: Column,
}
