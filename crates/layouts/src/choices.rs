//! Questions that let choose: what there is to choose from, and which of it is right.

use serde_json::{Map, Value};

use crate::texts::{check_length, kind, number};

/// Fields that hold what a question of the layout `vqa` lets choose from.
pub(crate) const CHOICES: [&str; 2] = ["choices", "options"];
/// Fields of single choices.
pub(crate) const LETTERS: [&str; 8] = ["A", "B", "C", "D", "E", "F", "G", "H"];
/// The most choices: there are so many letters.
const MOST: usize = 26;

/// The texts to choose from, A's first; none where the answer is free.
pub(crate) fn of(record: &Map<String, Value>) -> Result<Vec<String>, String> {
    let held = |name: &str| record.get(name).filter(|value| !value.is_null());
    let Some((field, value)) = CHOICES.into_iter().find_map(|name| Some((name, held(name)?))) else {
        let columns = LETTERS.into_iter().map_while(|letter| held(letter).map(|value| (letter, value)));
        let texts = columns.map(|(letter, value)| choice(letter, value)).collect::<Result<Vec<_>, _>>()?;
        // One column of such a name is something else.
        return Ok(if texts.len() > 1 { texts } else { Vec::new() });
    };
    in_field(field, value)
}

/// The choices that a value holds: a list, such a list as text, or lists of labels and texts; none of null.
pub(crate) fn in_field(field: &str, value: &Value) -> Result<Vec<String>, String> {
    let parsed;
    let items = match value {
        Value::Null => return Ok(Vec::new()),
        Value::Array(items) => items,
        // A list of labels beside one of texts.
        Value::Object(lists) => match lists.get("text").or_else(|| lists.get("texts")) {
            Some(Value::Array(items)) => items,
            _ => return Err(wrong(field, value)),
        },
        Value::String(text) => {
            parsed = listed(text).ok_or_else(|| wrong(field, value))?;
            &parsed
        }
        other => return Err(wrong(field, other)),
    };
    match items.len() {
        0 => Ok(Vec::new()),
        1 => Err(format!("field {field:?}: found one choice, wanted two or more, or none")),
        2..=MOST => items.iter().map(|item| choice(field, item)).collect(),
        many => Err(format!("field {field:?}: found {many} choices, wanted at most {MOST}")),
    }
}

fn wrong(field: &str, found: &Value) -> String {
    format!("field {field:?}: found {}, wanted a list of choices", kind(found))
}

fn choice(field: &str, value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => {
            check_length(field, text)?;
            Ok(text.trim().to_owned())
        }
        Value::Number(found) => number(field, found),
        Value::Bool(truth) => Ok(truth.to_string()),
        other => Err(format!(
            "field {field:?}: found {} as a choice, wanted a text that is not blank",
            kind(other)
        )),
    }
}

/// A list that stands in a text, as JSON or as Python writes it.
pub(crate) fn listed(text: &str) -> Option<Vec<Value>> {
    if let Ok(Value::Array(items)) = serde_json::from_str(text) {
        return Some(items);
    }
    let mut letters = text.trim().strip_prefix('[')?.strip_suffix(']')?.chars().peekable();
    let mut items = Vec::new();
    loop {
        while letters.next_if(|letter| letter.is_whitespace() || *letter == ',').is_some() {}
        let Some(quote) = letters.next() else { return Some(items) };
        if quote != '\'' && quote != '"' {
            return None;
        }
        let mut item = String::new();
        loop {
            match letters.next()? {
                letter if letter == quote => break,
                '\\' => match letters.next()? {
                    'n' => item.push('\n'),
                    't' => item.push('\t'),
                    other @ ('\\' | '\'' | '"') => item.push(other),
                    other => item.extend(['\\', other]),
                },
                letter => item.push(letter),
            }
        }
        items.push(Value::String(item));
    }
}

/// The question with its choices, a line each behind a letter; as it is where it lists them itself.
pub(crate) fn listed_in(question: &str, choices: &[String]) -> String {
    let is_listed = choices.iter().enumerate().all(|(number, text)| {
        let letter = label(number);
        [format!("{letter}. {text}"), format!("{letter}) {text}"), format!("{letter}: {text}")]
            .iter()
            .any(|option| question.contains(option.as_str()))
    });
    if is_listed {
        return question.to_owned();
    }
    format!("{}\n{}", question.trim_end(), lines(choices, |letter, choice| format!("{letter}. {choice}")))
}

/// The choices, a line each as `line` writes its letter and text.
pub(crate) fn lines(choices: &[String], line: impl Fn(char, &str) -> String) -> String {
    let lines = choices.iter().enumerate().map(|(number, choice)| line(label(number), choice));
    lines.collect::<Vec<_>>().join("\n")
}

fn label(number: usize) -> char {
    char::from(b'A' + (number % MOST) as u8)
}

/// The letter of the choice that is right: `answer` is a letter, a choice's text, or a choice's number counted from 0.
pub(crate) fn right(field: &str, answer: &Value, choices: &[String]) -> Result<String, String> {
    let said = match answer {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(found) => number(field, found)?,
        other => {
            return Err(format!("field {field:?}: found {}, wanted the choice that is right", kind(other)));
        }
    };
    let mut meant: Vec<usize> = Vec::new();
    let letter = said.trim_start_matches('(').trim_end_matches([')', '.', ':']);
    if let [letter @ (b'A'..=b'Z' | b'a'..=b'z')] = letter.as_bytes() {
        meant.push(usize::from(letter.to_ascii_uppercase() - b'A'));
    }
    meant.extend(
        choices.iter().enumerate().filter(|(_, text)| text.eq_ignore_ascii_case(&said)).map(|(n, _)| n),
    );
    meant.extend(said.parse::<usize>());
    meant.retain(|number| *number < choices.len());
    meant.sort_unstable();
    meant.dedup();
    let shown: String = said.chars().take(40).collect();
    match meant.as_slice() {
        [number] => Ok(char::from(b'A' + *number as u8).to_string()),
        [] => Err(format!(
            "field {field:?}: found {shown:?}, wanted one of {} choices: its letter, its text, or its number counted from 0",
            choices.len()
        )),
        _ => Err(format!(
            "field {field:?}: found {shown:?}, which can mean several of the choices; write the letter of the right one"
        )),
    }
}
