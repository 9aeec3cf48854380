//! Turns of a conversation, in any of the spellings that they have: `role` and `content`, or `from` and `value`.

use serde_json::Value;
use vigos_recipe::Speaker;

use crate::content;
use crate::marked::Marked;

/// What is said in turn, up to the last question.
#[derive(Debug, Default)]
pub(crate) struct Conversation {
    /// What a system is told first, if anything; then questions and answers in turn; the last is a question.
    pub(crate) turns: Vec<(Speaker, Marked)>,
    /// The answer to the last question.
    pub(crate) answer: Option<String>,
}

impl Conversation {
    /// A question that nothing comes before.
    pub(crate) fn question(question: Marked) -> Self {
        Self { turns: vec![(Speaker::User, question)], answer: None }
    }

    /// What these turns say; the last answer may be missing.
    pub(crate) fn of(turns: &[Value]) -> Result<Self, String> {
        let mut said = Self::default();
        for turn in turns {
            match (speaker(turn)?, said.turns.last().map(|(speaker, _)| *speaker), said.answer.take()) {
                (Speaker::System, None, None) => {
                    let text = content::text(held(turn), "system")?;
                    said.turns.push((Speaker::System, Marked::bare(text)));
                }
                (Speaker::System, ..) => {
                    return Err(
                        "found a turn of the system within the conversation, wanted one before it".into()
                    );
                }
                (Speaker::User, Some(Speaker::User), None) => {
                    return Err("found two turns of the user in a row, wanted one".into());
                }
                (Speaker::User, _, answer) => {
                    said.turns.extend(answer.map(|text| (Speaker::Assistant, Marked::bare(text))));
                    said.turns.push((Speaker::User, content::question(held(turn))?));
                }
                (Speaker::Assistant, Some(Speaker::User), None) => {
                    said.answer = Some(content::text(held(turn), "assistant")?);
                }
                (Speaker::Assistant, Some(_), Some(_)) => {
                    return Err("found two turns of the assistant in a row, several answers to one question; wanted one".into());
                }
                (Speaker::Assistant, ..) => {
                    return Err(
                        "found no turn of the user before the assistant's, wanted a question first".into()
                    );
                }
            }
        }
        match said.questions() {
            0 => Err("found no turn of the user, wanted one".into()),
            _ => Ok(said),
        }
    }

    /// How many questions are asked.
    pub(crate) fn questions(&self) -> usize {
        self.turns.iter().filter(|(speaker, _)| *speaker == Speaker::User).count()
    }

    /// The same with what a system is told, unless a turn says that already.
    pub(crate) fn told(mut self, system: Option<&str>) -> Self {
        let is_told = self.turns.iter().any(|(speaker, _)| *speaker == Speaker::System);
        if let Some(text) = system.filter(|text| !is_told && !text.trim().is_empty()) {
            self.turns.insert(0, (Speaker::System, Marked::bare(text.to_owned())));
        }
        self
    }
}

/// Whether a list is one of turns, or is empty.
pub(crate) fn are_turns(list: &[Value]) -> bool {
    list.iter().all(|turn| turn.is_object())
}

/// The answer of turns that are the assistant's.
pub(crate) fn only_answer(turns: &[Value]) -> Result<String, String> {
    match turns {
        [turn] if speaker(turn)? == Speaker::Assistant => content::text(held(turn), "assistant"),
        [_] => Err("found a turn of another, wanted the assistant's".into()),
        _ => Err(format!("found {} turns, wanted one of the assistant", turns.len())),
    }
}

fn speaker(turn: &Value) -> Result<Speaker, String> {
    let role = ["role", "from"].into_iter().find_map(|name| turn.get(name)).and_then(Value::as_str);
    match role {
        Some("system" | "developer") => Ok(Speaker::System),
        Some("user" | "human") => Ok(Speaker::User),
        Some("assistant" | "gpt" | "model" | "chatgpt") => Ok(Speaker::Assistant),
        Some(other) => {
            let other: String = other.chars().take(40).collect();
            Err(format!("found a turn of {other:?}, wanted those of system, user and assistant"))
        }
        None => Err("found a turn without `role` or `from`, wanted who speaks".into()),
    }
}

fn held(turn: &Value) -> &Value {
    ["content", "value"].into_iter().find_map(|name| turn.get(name)).unwrap_or(&Value::Null)
}
