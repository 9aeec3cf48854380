//! The layouts that other trainers read: conversations, and prompts with what is to follow.
//!
//! LLaVA's and ShareGPT's `conversations` have turns of `from` and `value`, `messages` as OpenAI and ms-swift have them
//! those of `role` and `content`, TRL's `prompt` is either a text or such turns. The question is the user's turn, the
//! answer the assistant's or `solution`. What a system is told is not read: recipes have prompts of their own.

use serde_json::{Map, Value};
use vigos_recipe::row::IMAGE_MARK;

use super::syntax::kind;

/// Fields that hold a conversation.
const CONVERSATIONS: [&str; 2] = ["conversations", "messages"];
/// Fields that hold the question alone.
const QUESTIONS: [&str; 3] = ["prompt", "query", "instruction"];
/// Fields that hold the answer alone.
const ANSWERS: [&str; 4] = ["solution", "completion", "response", "output"];

/// What a record of such a layout has in the places of question and answer.
#[derive(Default)]
pub(super) struct Layout {
    pub(super) question: Option<Question>,
    pub(super) answer: Option<String>,
}

/// A text with marks of images.
#[derive(Default)]
pub(super) struct Question {
    pub(super) text: String,
    /// For each mark in the text the image that it brings; none for one of the row's.
    pub(super) marks: Vec<Option<Value>>,
}

impl Question {
    /// A text whose marks are of the row's images.
    pub(super) fn plain(text: &str) -> Self {
        let mut question = Self::default();
        question.say(text);
        question
    }

    fn say(&mut self, text: &str) {
        self.text.push_str(text);
        self.marks.resize(self.marks.len() + text.matches(IMAGE_MARK).count(), None);
    }

    fn show(&mut self, image: Option<Value>) {
        self.text.push_str(IMAGE_MARK);
        self.marks.push(image);
    }
}

impl Layout {
    /// What the fields of `object` hold, of those that are known.
    pub(super) fn of(object: &Map<String, Value>) -> Result<Self, String> {
        let held = |names: &'static [&'static str]| {
            names.iter().find_map(|name| Some((*name, object.get(*name).filter(|value| !value.is_null())?)))
        };
        let mut layout = match held(&CONVERSATIONS) {
            Some((field, Value::Array(turns))) => Self::conversation(field, turns)?,
            Some((field, other)) => {
                return Err(format!("field {field:?}: found {}, wanted a list of turns", kind(other)));
            }
            None => Self::default(),
        };
        if layout.question.is_none() {
            layout.question = match held(&QUESTIONS) {
                None => None,
                Some(("instruction", Value::String(text))) => {
                    Some(Question::plain(&instruction(text, object)))
                }
                Some((_, Value::String(text))) => Some(Question::plain(text)),
                Some((field, Value::Array(turns))) => Some(only_question(field, turns)?),
                Some((field, other)) => {
                    return Err(format!("field {field:?}: found {}, wanted a text", kind(other)));
                }
            };
        }
        if layout.answer.is_none() {
            layout.answer = match held(&ANSWERS) {
                None => None,
                Some((_, Value::Number(number))) => Some(number.to_string()),
                Some((_, Value::String(text))) if !text.trim().is_empty() => Some(text.clone()),
                Some((field, Value::Array(turns))) => Some(only_answer(field, turns)?),
                Some((field, other)) => {
                    return Err(format!(
                        "field {field:?}: found {}, wanted a text that is not blank",
                        kind(other)
                    ));
                }
            };
        }
        Ok(layout)
    }

    /// The one exchange of a conversation; its answer may stand elsewhere.
    fn conversation(field: &str, turns: &[Value]) -> Result<Self, String> {
        let fault = |reason: String| format!("field {field:?}: {reason}");
        let mut layout = Self::default();
        for turn in turns {
            match Turn::of(turn).map_err(fault)? {
                Turn::System => {}
                Turn::User(_) | Turn::Assistant(_) if layout.answer.is_some() => {
                    return Err(fault(format!(
                        "found {} turns, wanted one exchange; make a row of each",
                        turns.len()
                    )));
                }
                Turn::User(content) if layout.question.is_none() => {
                    layout.question = Some(question(content).map_err(fault)?);
                }
                Turn::User(_) => {
                    return Err(fault("found two turns of the user in a row, wanted one".into()));
                }
                Turn::Assistant(content) => layout.answer = Some(answer(content).map_err(fault)?),
            }
        }
        if layout.question.is_none() {
            return Err(fault("found no turn of the user, wanted one".into()));
        }
        Ok(layout)
    }
}

/// Whether a list is one of turns, or is empty.
pub(super) fn are_turns(list: &[Value]) -> bool {
    list.iter().all(|turn| turn.is_object())
}

/// The question of turns that have no answer.
pub(super) fn only_question(field: &str, turns: &[Value]) -> Result<Question, String> {
    match Layout::conversation(field, turns)? {
        Layout { question: Some(question), answer: None } => Ok(question),
        _ => Err(format!("field {field:?}: found an answer of the assistant, wanted the question alone")),
    }
}

/// The answer of turns that are the assistant's.
pub(super) fn only_answer(field: &str, turns: &[Value]) -> Result<String, String> {
    let fault = |reason: String| format!("field {field:?}: {reason}");
    match turns {
        [turn] => match Turn::of(turn).map_err(fault)? {
            Turn::Assistant(content) => answer(content).map_err(fault),
            _ => Err(fault("found a turn of another, wanted the assistant's".into())),
        },
        _ => Err(fault(format!("found {} turns, wanted one of the assistant", turns.len()))),
    }
}

/// A turn's content by who speaks.
enum Turn<'a> {
    System,
    User(&'a Value),
    Assistant(&'a Value),
}

impl<'a> Turn<'a> {
    fn of(turn: &'a Value) -> Result<Self, String> {
        let held = |names: [&str; 2]| names.into_iter().find_map(|name| turn.get(name));
        let role = held(["role", "from"]).and_then(Value::as_str);
        let content = held(["content", "value"]).unwrap_or(&Value::Null);
        match role {
            Some("system") => Ok(Self::System),
            Some("user" | "human") => Ok(Self::User(content)),
            Some("assistant" | "gpt" | "model" | "chatgpt") => Ok(Self::Assistant(content)),
            Some(other) => {
                let other: String = other.chars().take(40).collect();
                Err(format!("found a turn of {other:?}, wanted the user's and the assistant's"))
            }
            None => Err("found a turn without `role` or `from`, wanted who speaks".into()),
        }
    }
}

/// The text and images of the user's content.
fn question(content: &Value) -> Result<Question, String> {
    let mut question = Question::default();
    for part in parts(content)? {
        match Part::of(part)? {
            Part::Text(text) => question.say(text),
            Part::Image(image) => question.show(image.cloned()),
        }
    }
    Ok(question)
}

/// The text of the assistant's content.
fn answer(content: &Value) -> Result<String, String> {
    let mut answer = String::new();
    for part in parts(content)? {
        match Part::of(part)? {
            Part::Text(text) => answer.push_str(text),
            Part::Image(_) => return Err("found an image in the assistant's turn, wanted text".into()),
        }
    }
    match answer.trim().is_empty() {
        true => Err("found a blank turn of the assistant, wanted an answer".into()),
        false => Ok(answer),
    }
}

/// A content's parts; a text is one.
fn parts(content: &Value) -> Result<&[Value], String> {
    match content {
        Value::String(_) => Ok(std::slice::from_ref(content)),
        Value::Array(parts) => Ok(parts),
        other => Err(format!("found {} as a turn's content, wanted a text or a list of parts", kind(other))),
    }
}

enum Part<'a> {
    Text(&'a str),
    /// What it brings, if it does not stand for one of the row's.
    Image(Option<&'a Value>),
}

impl<'a> Part<'a> {
    fn of(part: &'a Value) -> Result<Self, String> {
        /// Where an image's path or data is.
        const SOURCES: [&str; 5] = ["image", "image_url", "url", "path", "base64"];
        if let Value::String(text) = part {
            return Ok(Self::Text(text));
        }
        let held = |name: &str| part.get(name).filter(|value| !value.is_null());
        let text = held("text").and_then(Value::as_str);
        match (held("type").and_then(Value::as_str), text) {
            (Some("image" | "image_url" | "input_image"), _) => {
                Ok(Self::Image(SOURCES.into_iter().find_map(held)))
            }
            (Some("text" | "input_text" | "output_text") | None, Some(text)) => Ok(Self::Text(text)),
            (None, None) if held("image").is_some() => Ok(Self::Image(held("image"))),
            (Some(other), _) => {
                let other: String = other.chars().take(40).collect();
                Err(format!("found a part of type {other:?}, wanted text or image"))
            }
            (None, None) => Err(format!("found {} as a part, wanted one with a type", kind(part))),
        }
    }
}

/// An instruction with the input that belongs to it.
fn instruction(text: &str, object: &Map<String, Value>) -> String {
    match object.get("input").and_then(Value::as_str) {
        Some(input) if !input.trim().is_empty() => format!("{text}\n{input}"),
        _ => text.to_owned(),
    }
}
