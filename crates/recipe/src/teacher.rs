//! The teacher table: who supervises which tokens of which rollouts by which divergence.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

use crate::context::{Context, PROBLEM, shows_images};
use crate::texts::{name, word_or_own};

/// The text after which a completion starts with its description.
pub(crate) const DESCRIPTION: &str = "<description>";

/// One line of the teacher table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Teacher {
    /// Name of its loss in metrics; teachers of one name make up one loss.
    #[schemars(schema_with = "name")]
    pub name: String,
    /// What it is shown.
    #[schemars(length(min = 1), extend("uniqueItems" = true))]
    pub context: Vec<Context>,
    /// Template of its prompt; it names exactly what the context lists.
    #[schemars(schema_with = "name")]
    pub prompt: String,
    /// Text that its answer starts with, before the student's tokens.
    #[serde(default = "description")]
    pub prefill: String,
    /// What follows the prefill: the completion as sampled, or its supervised span's tokens alone.
    #[serde(default)]
    pub reads: Reads,
    /// The tokens it supervises.
    #[schemars(length(min = 1), extend("uniqueItems" = true))]
    pub spans: Vec<Span>,
    /// The rollouts it supervises: those that keep the output format, those that do not, all.
    pub when: When,
    /// `forward`: KL(teacher‖student), `reverse`: KL(student‖teacher), `jsd`: the generalised Jensen-Shannon divergence of both
    /// to their mixture, `own:NAME`: one that a program brings.
    #[serde(default)]
    pub divergence: Divergence,
    /// Share of the teacher in the mixture of `jsd`, which is symmetric at 0.5. No other divergence has one.
    #[serde(default = "half")]
    #[schemars(range(min = 0.001, max = 0.999))]
    pub beta: f64,
    /// Compare so many tokens only, those that the teacher finds likeliest, and one that stands for all others. 0: the whole
    /// vocabulary.
    #[serde(default)]
    pub top_k: usize,
    /// Weight of its loss in the sum. 0: the teacher is not run.
    #[serde(default = "one")]
    #[schemars(range(min = 0.0, max = 1e9))]
    pub weight: f64,
}

fn description() -> String {
    DESCRIPTION.to_owned()
}

fn half() -> f64 {
    0.5
}

fn one() -> f64 {
    1.0
}

impl Teacher {
    /// Whether it is shown the context of this name, such as [`crate::context::REFERENCE`].
    pub fn sees(&self, context: &str) -> bool {
        self.context.iter().any(|shown| shown.name() == context)
    }

    /// Whether it is shown the images.
    pub fn sees_images(&self) -> bool {
        shows_images(&self.context)
    }

    /// Whether it is shown the question.
    pub fn sees_question(&self) -> bool {
        self.context.iter().any(|context| context.name() == PROBLEM)
    }

    /// Whether it is run at all: with a weight of 0 it is not.
    pub fn runs(&self) -> bool {
        self.weight > 0.0
    }
}

/// What a teacher reads after its prefill.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Reads {
    /// The completion as sampled, up to the last token that the teacher supervises.
    #[default]
    Completion,
    /// The tokens of its one span alone.
    Span,
}

/// Tokens of a completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Divergence {
    /// KL(q‖p).
    #[default]
    Forward,
    /// KL(p‖q).
    Reverse,
    /// β·KL(q‖m) + (1 − β)·KL(p‖m), m = β·q + (1 − β)·p (arXiv 2306.13649, section 3.1).
    Jsd,
    /// One that a program brings, by its name.
    Own(String),
}

impl From<String> for Divergence {
    /// The divergence of this name in recipes; a name that is not one of these is a program's own.
    fn from(name: String) -> Self {
        match name.as_str() {
            "forward" => Self::Forward,
            "reverse" => Self::Reverse,
            "jsd" => Self::Jsd,
            own => Self::Own(own.strip_prefix("own:").unwrap_or(own).to_owned()),
        }
    }
}

impl From<Divergence> for String {
    fn from(divergence: Divergence) -> Self {
        match divergence {
            Divergence::Forward => "forward".into(),
            Divergence::Reverse => "reverse".into(),
            Divergence::Jsd => "jsd".into(),
            Divergence::Own(name) => format!("own:{name}"),
        }
    }
}

impl JsonSchema for Divergence {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Divergence".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let jsd = ("jsd", "generalised Jensen-Shannon");
        word_or_own([("forward", "KL(teacher‖student)"), ("reverse", "KL(student‖teacher)"), jsd].into_iter())
    }
}

impl Divergence {
    /// What it is called where it is computed; in recipes a program's own is `own:` and this.
    pub fn name(&self) -> &str {
        match self {
            Self::Forward => "forward",
            Self::Reverse => "reverse",
            Self::Jsd => "jsd",
            Self::Own(name) => name,
        }
    }
}
