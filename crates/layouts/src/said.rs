//! What a record of some layout says: a conversation up to its last question, and the answer.

use serde_json::{Map, Value};
use vigos_recipe::DataLayout;

use crate::choices;
use crate::conversation::{Conversation, are_turns, only_answer};
use crate::marked::Marked;
use crate::recognise::{ANSWERS, INSTRUCTIONS, VQA_ANSWERS};
use crate::texts::{check_length, kind, listed, number};

/// What a record says in the fields of a layout, and the field that the question stands in.
#[derive(Debug, Default)]
pub(crate) struct Said {
    pub(crate) field: &'static str,
    pub(crate) conversation: Conversation,
}

/// What `record` says in the fields of a layout that has fields of its own.
pub(crate) fn said(record: &Map<String, Value>, layout: DataLayout) -> Result<Said, String> {
    let fields = Record(record);
    match layout {
        DataLayout::Llava | DataLayout::Sharegpt => fields.conversation("conversations"),
        DataLayout::Messages => fields.conversation("messages"),
        DataLayout::Trl => fields.prompt(),
        DataLayout::Vqa => fields.vqa(),
        DataLayout::Instruction => fields.instruction(),
        DataLayout::Auto | DataLayout::Rows => Ok(Said::default()),
    }
}

/// The answer that a record has in a field of its own, beside its question.
pub(crate) fn answer(record: &Map<String, Value>) -> Result<Option<String>, String> {
    Record(record).first(&ANSWERS).map(|(field, value)| answer_of(field, value)).transpose()
}

struct Record<'a>(&'a Map<String, Value>);

impl<'a> Record<'a> {
    fn held(&self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// The first of these fields that is there.
    fn first(&self, names: &[&'static str]) -> Option<(&'static str, &'a Value)> {
        names.iter().find_map(|name| Some((*name, self.held(name)?)))
    }

    /// The message for a field that the record's layout has, and the record has not.
    fn absent(&self, field: &str) -> String {
        let found = listed("fields", self.0.keys().map(String::as_str));
        format!(
            "no field {field:?} with a value; found {found}; data.layout = \"auto\" tells the layout by the fields"
        )
    }

    fn system(&self) -> Option<&'a str> {
        self.held("system").and_then(Value::as_str)
    }

    fn conversation(&self, field: &'static str) -> Result<Said, String> {
        let fault = |reason: String| format!("field {field:?}: {reason}");
        let turns = match self.held(field) {
            Some(Value::Array(turns)) => turns,
            Some(other) => return Err(fault(format!("found {}, wanted a list of turns", kind(other)))),
            None => return Err(self.absent(field)),
        };
        let conversation = Conversation::of(turns).map_err(fault)?.told(self.system());
        self.answered(Said { field, conversation })
    }

    /// TRL's prompt: a text, or turns, to which a completion of turns belongs.
    fn prompt(&self) -> Result<Said, String> {
        let field = "prompt";
        let fault = |reason: String| format!("field {field:?}: {reason}");
        let conversation = match self.held(field) {
            Some(Value::String(text)) => Conversation::question(Marked::plain(text)),
            Some(Value::Array(turns)) => {
                let prompt = Conversation::of(turns).map_err(fault)?;
                if prompt.answer.is_some() {
                    return Err(fault("found an answer of the assistant, wanted the question alone".into()));
                }
                prompt
            }
            Some(other) => return Err(fault(format!("found {}, wanted a text or turns", kind(other)))),
            None => return Err(self.absent(field)),
        };
        self.answered(Said { field, conversation: conversation.told(self.system()) })
    }

    fn instruction(&self) -> Result<Said, String> {
        let (field, value) = self.first(&INSTRUCTIONS).ok_or_else(|| self.absent("instruction"))?;
        let Value::String(text) = value else {
            return Err(format!("field {field:?}: found {}, wanted a text", kind(value)));
        };
        let text = match self.held("input").and_then(Value::as_str) {
            Some(input) if field == "instruction" && !input.trim().is_empty() => format!("{text}\n{input}"),
            _ => text.clone(),
        };
        let conversation = Conversation::question(Marked::plain(&text)).told(self.system());
        self.answered(Said { field, conversation })
    }

    fn vqa(&self) -> Result<Said, String> {
        let field = "question";
        let question = match self.held(field) {
            Some(Value::String(text)) => text,
            Some(other) => return Err(format!("field {field:?}: found {}, wanted a text", kind(other))),
            None => return Err(self.absent(field)),
        };
        let choices = choices::of(self.0)?;
        let (answer_field, answer) = self.first(&VQA_ANSWERS).ok_or_else(|| {
            format!(
                "no field \"answer\", wanted it or one of {}",
                VQA_ANSWERS.get(1..).unwrap_or_default().join(", ")
            )
        })?;
        let answer = one_of(answer_field, answer)?;
        let (text, answer) = match choices.is_empty() {
            true => (question.clone(), answer_of(answer_field, answer)?),
            false => {
                (choices::listed_in(question, &choices), choices::right(answer_field, answer, &choices)?)
            }
        };
        let conversation =
            Conversation { answer: Some(answer), ..Conversation::question(Marked::plain(&text)) };
        Ok(Said { field, conversation })
    }

    /// The same with the answer that stands in a field of its own, if the conversation has none.
    fn answered(&self, mut said: Said) -> Result<Said, String> {
        if said.conversation.answer.is_none() {
            said.conversation.answer = answer(self.0)?;
        }
        Ok(said)
    }
}

/// The one answer of a list of them, as those who ask many people have it: all of them the same.
fn one_of<'a>(field: &str, value: &'a Value) -> Result<&'a Value, String> {
    let Value::Array(items) = value else { return Ok(value) };
    let text = |item: &'a Value| item.get("answer").unwrap_or(item);
    let mut answers: Vec<&Value> = items.iter().map(text).collect();
    answers.dedup();
    match answers.as_slice() {
        [one] => Ok(one),
        [] => Err(format!("field {field:?}: found an empty list, wanted an answer")),
        several => Err(format!(
            "field {field:?}: found several answers, {} of them, wanted one; keep the most frequent, or name another \
             field under data.fields.answer",
            several.len()
        )),
    }
}

/// An answer: a text that says something, a number, or turns of the assistant.
fn answer_of(field: &str, value: &Value) -> Result<String, String> {
    match value {
        Value::Number(found) => number(field, found),
        Value::Bool(truth) => Ok(truth.to_string()),
        Value::String(text) if !text.trim().is_empty() => {
            check_length(field, text)?;
            Ok(text.clone())
        }
        Value::Array(turns) if are_turns(turns) => {
            only_answer(turns).map_err(|reason| format!("field {field:?}: {reason}"))
        }
        other => Err(format!("field {field:?}: found {}, wanted a text that is not blank", kind(other))),
    }
}
