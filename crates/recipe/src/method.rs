//! The method as data: the student's prompt, and which teacher supervises which tokens of which
//! rollouts by which divergence.

use std::path::PathBuf;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;

use crate::context::{Context, shows_images};
use crate::document::Contradiction;
use crate::preset::{self, Expansion};
use crate::texts::{name, word_or_own};
use crate::unset::Unset;

/// The text after which a completion starts with its description.
const DESCRIPTION: &str = "<description>";

/// The `[method]` section.
#[derive(Debug, Clone, PartialEq, SmartDefault, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Method {
    /// The method that the student's prompt and the teacher table start from.
    #[default("vigos")]
    #[schemars(schema_with = "preset::names")]
    pub preset: String,
    /// Where the paper and the authors' released code differ, which of them to follow.
    pub fidelity: Fidelity,
    /// Template of the student's prompt.
    #[default(Expansion::standard().student_prompt)]
    #[schemars(schema_with = "name", extend("x-default" = "from the preset"))]
    pub student_prompt: String,
    /// Text that the student's answer starts with; it is given, not sampled.
    #[default(Expansion::standard().student_prefill)]
    #[schemars(extend("x-default" = "from the preset"))]
    pub student_prefill: String,
    /// Divides the logits of student and teacher before the divergence.
    #[default(1.0)]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub temperature: f64,
    /// Largest divergence of a token, in nats; above it the gradient is zero. 0: off.
    #[default(0.05)]
    #[schemars(range(min = 0.0))]
    pub clip: f64,
    /// The same for the last description token and the first reasoning token. 0: off.
    #[schemars(range(min = 0.0))]
    pub boundary_clip: f64,
    /// Folder with the prompt templates, `<name>.txt`. Empty: the built-in ones.
    #[serde(with = "Unset::<PathBuf>")]
    pub prompts: Option<PathBuf>,
    /// The teacher table; writing it out replaces the preset's.
    #[default(Expansion::standard().teachers)]
    #[serde(rename = "teacher")]
    #[schemars(extend("x-default" = "from the preset"))]
    pub teachers: Vec<Teacher>,
}

/// Where the paper and the authors' released code differ, which of them to follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Fidelity {
    /// The paper. The reasoning and answer span is what lies between the think tags, and what lies inside the box;
    /// neither may be empty.
    #[default]
    Paper,
    /// The code. It is one span from after `<think>` through the brace that closes the box.
    Released,
}

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
    /// `forward`: KL(teacher‖student), `reverse`: KL(student‖teacher), `own:NAME`: one that a program brings.
    #[serde(default)]
    pub divergence: Divergence,
    /// Weight of its loss in the sum. 0: the teacher is not run.
    #[serde(default = "one")]
    #[schemars(range(min = 0.0))]
    pub weight: f64,
}

fn description() -> String {
    DESCRIPTION.to_owned()
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
    /// One that a program brings, by its name.
    Own(String),
}

impl From<String> for Divergence {
    /// The divergence of this name in recipes; a name that is not one of the two is a program's own.
    fn from(name: String) -> Self {
        match name.as_str() {
            "forward" => Self::Forward,
            "reverse" => Self::Reverse,
            own => Self::Own(own.strip_prefix("own:").unwrap_or(own).to_owned()),
        }
    }
}

impl From<Divergence> for String {
    fn from(divergence: Divergence) -> Self {
        match divergence {
            Divergence::Forward => "forward".into(),
            Divergence::Reverse => "reverse".into(),
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
        word_or_own([("forward", "KL(teacher‖student)"), ("reverse", "KL(student‖teacher)")].into_iter())
    }
}

impl Divergence {
    /// What it is called where it is computed; in recipes a program's own is `own:` and this.
    pub fn name(&self) -> &str {
        match self {
            Self::Forward => "forward",
            Self::Reverse => "reverse",
            Self::Own(name) => name,
        }
    }
}

impl Method {
    /// Refuse a teacher table that contradicts itself.
    pub(crate) fn check(&self) -> Result<(), Contradiction> {
        let conflict = |key: String, found: String, wanted: &str, hint: &str| {
            Err(Contradiction { key, found, wanted: wanted.to_owned(), hint: hint.to_owned() })
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
