//! The method as data: the student's prompt, and which teacher supervises which tokens of which
//! rollouts by which divergence.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::RecipeError;
use crate::preset::Preset;
use crate::unset;

/// The text after which a completion starts with its description.
const DESCRIPTION: &str = "<description>";

/// The `[method]` section.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Method {
    /// What the student's prompt and the teachers started from; the fields below already follow it.
    pub preset: Preset,
    /// Where paper and released code differ, which of them to follow; decides how spans are cut.
    pub fidelity: Fidelity,
    /// Template of the student's prompt.
    pub student_prompt: String,
    /// Text that the student's answer starts with.
    pub student_prefill: String,
    /// Divides all logits before the divergence; above 0.
    pub temperature: f64,
    /// Largest divergence of a token in nats; 0 is off.
    pub clip: f64,
    /// The same for the last description token and the first reasoning token; 0 is off.
    pub boundary_clip: f64,
    /// Folder of the prompt templates; `None` for the built-in ones.
    #[serde(with = "unset")]
    pub prompts: Option<PathBuf>,
    /// The teacher table. Entries of one name make up one loss: one token mean, one weight.
    #[serde(rename = "teacher")]
    pub teachers: Vec<Teacher>,
}

/// Whose definition of the reasoning and answer span is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fidelity {
    /// What lies between the think tags, and what lies inside the box; neither may be empty.
    #[default]
    Paper,
    /// One span from after `<think>` through the brace that closes the box.
    Released,
}

/// One line of the teacher table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Teacher {
    /// Name of its loss in metrics and replays.
    pub name: String,
    /// What it is shown; at least one, none twice.
    pub context: Vec<Input>,
    /// Template of its prompt.
    pub prompt: String,
    /// Text that its answer starts with, before the student's tokens.
    pub prefill: String,
    /// What follows the prefill.
    pub reads: Reads,
    /// The tokens it supervises; at least one, none twice.
    pub spans: Vec<Span>,
    /// The rollouts it supervises.
    pub when: When,
    /// The divergence between it and the student.
    pub divergence: Divergence,
    /// Weight of its loss in the sum, at least 0.
    pub weight: f64,
}

impl Teacher {
    /// Whether it is shown this.
    pub fn sees(&self, input: Input) -> bool {
        self.context.contains(&input)
    }

    /// Whether it is run at all: with a weight of 0 it is not.
    pub fn runs(&self) -> bool {
        self.weight > 0.0
    }
}

/// A thing that a teacher may be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Input {
    /// The sample's images.
    Image,
    /// The question.
    Problem,
    /// The reference answer.
    Reference,
}

/// What a teacher reads after its prefill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Reads {
    /// The completion as sampled, up to the last token that the teacher supervises.
    Completion,
    /// The tokens of its one span alone.
    Span,
}

/// Tokens of a completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Span {
    /// The visual description; valid rollouts have one.
    Description,
    /// The reasoning and the answer; valid rollouts have one.
    ReasoningAnswer,
    /// Every token, the end-of-sequence token included.
    Completion,
}

/// The rollouts that a teacher supervises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum When {
    /// Those that keep the output format.
    Valid,
    /// Those that do not.
    Invalid,
    /// All.
    Always,
}

/// The divergence between teacher q and student p.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Divergence {
    /// KL(q‖p).
    Forward,
    /// KL(p‖q).
    Reverse,
}

impl Divergence {
    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Reverse => "reverse",
        }
    }
}

impl Method {
    /// Refuse a teacher table that contradicts itself. `origin` is named in the error.
    pub(crate) fn check(&self, origin: &str) -> Result<(), RecipeError> {
        let conflict = |key: String, found: String, wanted: &str, hint: &str| {
            Err(RecipeError::Conflict {
                origin: origin.to_owned(),
                key,
                found,
                wanted: wanted.to_owned(),
                hint: hint.to_owned(),
            })
        };
        if !self.teachers.iter().any(Teacher::runs) {
            return conflict(
                "method.teacher".into(),
                "no teacher with a weight above 0".into(),
                "at least one, as there is nothing to learn otherwise",
                "set a `weight`",
            );
        }
        for (index, teacher) in self.teachers.iter().enumerate() {
            let key = |field: &str| format!("method.teacher[{index}].{field}");
            let whole = teacher.spans.contains(&Span::Completion);
            if whole && teacher.spans.len() > 1 {
                return conflict(
                    key("spans"),
                    "\"completion\" beside other spans".into(),
                    "\"completion\" alone, as it holds every token",
                    "",
                );
            }
            if !whole && teacher.when != When::Valid {
                return conflict(
                    key("when"),
                    "spans that only valid rollouts have".into(),
                    "when = \"valid\", or spans = [\"completion\"]",
                    "",
                );
            }
            if teacher.reads == Reads::Span && (whole || teacher.spans.len() != 1) {
                return conflict(
                    key("reads"),
                    format!("\"span\" with {} spans", if whole { "all" } else { "several" }),
                    "\"completion\", or one span that is \"description\" or \"reasoning_answer\"",
                    "",
                );
            }
            if teacher.when != When::Always && !self.student_prefill.trim_end().ends_with(DESCRIPTION) {
                return conflict(
                    key("when"),
                    format!(
                        "rollouts told apart by format, with student_prefill = {:?}",
                        self.student_prefill
                    ),
                    "a `method.student_prefill` that ends with `<description>`",
                    "or use when = \"always\" and spans = [\"completion\"]",
                );
            }
            for earlier in self.teachers.iter().take(index).filter(|earlier| earlier.name == teacher.name) {
                if earlier.weight != teacher.weight {
                    return conflict(
                        key("weight"),
                        format!(
                            "{} and {} for the one loss \"{}\"",
                            earlier.weight, teacher.weight, teacher.name
                        ),
                        "one weight, as teachers of one name make up one loss",
                        "give the teachers different names",
                    );
                }
                if earlier.when == teacher.when || [earlier.when, teacher.when].contains(&When::Always) {
                    return conflict(
                        key("name"),
                        format!("two teachers \"{}\" for the same rollouts", teacher.name),
                        "one of them for valid and one for invalid rollouts",
                        "give the teachers different names",
                    );
                }
            }
        }
        Ok(())
    }
}
