//! What the rows of a data set are, and the names that their fields have.

use crate::benchmark::Benchmark;
use vigos_recipe::Fields;
pub use vigos_recipe::sft::SftFields as DemonstrationFields;

/// What rows are read as, and the names of their fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RowFields {
    /// Questions with a reference answer.
    Questions(Fields),
    /// Demonstrations: prompts with the completion that a model is to learn.
    Demonstrations(DemonstrationFields),
    /// Questions of a benchmark, in the fields that its authors gave them.
    Benchmark(Benchmark),
}

impl From<&Fields> for RowFields {
    fn from(fields: &Fields) -> Self {
        Self::Questions(fields.clone())
    }
}

impl From<&DemonstrationFields> for RowFields {
    fn from(fields: &DemonstrationFields) -> Self {
        Self::Demonstrations(fields.clone())
    }
}

/// What the fields that a recipe can name are called elsewhere.
const ELSEWHERE: [(&str, &[&str]); 5] = [
    ("problem", &["question", "query", "prompt", "instruction", "text", "input"]),
    ("answer", &["solution", "answers", "label", "target", "ground_truth", "gt", "response", "output"]),
    ("image", &["images", "picture", "img", "photo", "image_path", "image_file", "file_name"]),
    ("prompt", &["question", "problem", "query", "instruction"]),
    ("completion", &["answer", "response", "output", "solution", "target"]),
];

/// What to do about a field that is not among those `found`: the key that names another one, with the one that is
/// probably meant.
pub fn way_out<'a>(field: &str, found: impl Iterator<Item = &'a str>) -> String {
    let other = || {
        let (_, names) = ELSEWHERE.iter().find(|(name, _)| *name == field)?;
        let found: Vec<&str> = found.collect();
        names.iter().find_map(|name| found.iter().find(|found| found.eq_ignore_ascii_case(name)).copied())
    };
    match other() {
        Some(other) => format!("name another one under data.fields, such as data.fields.{field}={other}"),
        None => "name another one under data.fields".into(),
    }
}
