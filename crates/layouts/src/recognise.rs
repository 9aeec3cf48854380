//! Which layout a record has, told by the names of its fields.

use serde_json::{Map, Value};
use vigos_recipe::{DataLayout, Fields};

use crate::choices::{CHOICES, LETTERS};
use crate::fields::{DemonstrationFields, RowFields};

/// Fields of questions in the layout `instruction`.
pub(crate) const INSTRUCTIONS: [&str; 2] = ["query", "instruction"];
/// Fields that hold the answer alone, beside a question or a conversation.
pub(crate) const ANSWERS: [&str; 4] = ["solution", "completion", "response", "output"];
/// Fields that hold the answer to a question of the layout `vqa`, the first that is there.
pub(crate) const VQA_ANSWERS: [&str; 6] =
    ["answer", "multiple_choice_answer", "correct_answer", "label", "solution", "answers"];
/// What other fields are read, whatever the layout.
const OTHERS: [&str; 14] = [
    "image",
    "images",
    "conversations",
    "messages",
    "system",
    "prompt",
    "question",
    "input",
    "kind",
    "triple",
    "role",
    "wording",
    "wrong_answers",
    "problem_id",
];

/// The layout of a record with these fields; none if it has none that is known. A field without a value is none.
pub fn recognised(record: &Map<String, Value>, fields: &RowFields) -> Option<DataLayout> {
    let has = |name: &str| record.get(name).is_some_and(|value| !value.is_null());
    let is_named = |name: &str| record.contains_key(name);
    let is_plain = match fields {
        RowFields::Questions(names) => is_named(&names.problem),
        RowFields::Demonstrations(names) => is_named(&names.completion),
        RowFields::Benchmark(_) => return None,
    };
    if is_plain || !is_usual(fields) {
        return Some(DataLayout::Rows);
    }
    Some(match () {
        () if has("conversations") && has("image") => DataLayout::Llava,
        () if has("conversations") => DataLayout::Sharegpt,
        () if has("messages") => DataLayout::Messages,
        () if has("prompt") => DataLayout::Trl,
        () if INSTRUCTIONS.into_iter().any(has) => DataLayout::Instruction,
        () if has("question") => DataLayout::Vqa,
        () => return None,
    })
}

/// Whether any layout reads a field of this name; a file of many columns need not be read whole.
pub fn is_read(name: &str, fields: &RowFields) -> bool {
    let named = match fields {
        RowFields::Questions(Fields { problem, image, answer, id }) => [problem, image, answer, id].to_vec(),
        RowFields::Demonstrations(DemonstrationFields { image, prompt, prefill, completion, id }) => {
            [image, prompt, prefill, completion, id].to_vec()
        }
        RowFields::Benchmark(benchmark) => return benchmark.reads(name),
    };
    named.into_iter().any(|known| known == name)
        || INSTRUCTIONS.contains(&name)
        || ANSWERS.contains(&name)
        || VQA_ANSWERS.contains(&name)
        || CHOICES.contains(&name)
        || LETTERS.contains(&name)
        || OTHERS.contains(&name)
}

/// Whether question and answer are looked for in the fields of layouts: nobody named others.
pub(crate) fn is_usual(fields: &RowFields) -> bool {
    match fields {
        RowFields::Questions(names) => {
            let usual = Fields::default();
            names.problem == usual.problem && names.answer == usual.answer
        }
        RowFields::Demonstrations(names) => {
            let usual = DemonstrationFields::default();
            names.prompt == usual.prompt && names.completion == usual.completion
        }
        RowFields::Benchmark(_) => false,
    }
}
