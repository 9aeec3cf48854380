//! The method as data: the student's prompt and its teachers.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use smart_default::SmartDefault;

use crate::document::Contradiction;
use crate::preset::{self, Expansion, Fidelity, Preset};
use crate::teacher::{DESCRIPTION, Divergence, Reads, Span, Teacher, When};
use crate::texts::name;
use crate::unset::Unset;

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
    #[schemars(range(min = 1e-6, max = 1e6))]
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

impl Method {
    /// The method that a preset stands for, with everything else as it is by default.
    pub fn of(preset: &Preset, fidelity: Fidelity) -> Self {
        let Expansion { student_prompt, student_prefill, teachers } = preset.expansion(fidelity);
        let preset = preset.name.to_owned();
        Self { preset, fidelity, student_prompt, student_prefill, teachers, ..Self::default() }
    }

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
            if teacher.divergence != Divergence::Jsd && teacher.beta != 0.5 {
                return conflict(
                    key("beta"),
                    format!(
                        "{} with divergence = \"{}\"",
                        teacher.beta,
                        String::from(teacher.divergence.clone())
                    ),
                    "divergence = \"jsd\", which alone has a mixture",
                    "",
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
