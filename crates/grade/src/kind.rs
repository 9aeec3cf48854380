//! Kinds of reference answers.

use crate::equal::grade;
use crate::options::Choices;

/// A kind of answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerKind {
    /// A number or another value.
    Number,
    /// One of several choices.
    Choice,
    /// Words, which may be put otherwise.
    Text,
}

/// The kind of a reference answer to `problem`.
pub fn answer_kind(problem: &str, reference: &str) -> AnswerKind {
    if Choices::of(problem).is_some_and(|choices| choices.chosen(reference).is_some()) || is_letter(reference)
    {
        return AnswerKind::Choice;
    }
    if is_number(reference) { AnswerKind::Number } else { AnswerKind::Text }
}

/// A single letter of those that choices have.
fn is_letter(text: &str) -> bool {
    let bare = text.trim().trim_start_matches('(').trim_end_matches([')', '.', ':']);
    matches!(bare.as_bytes(), [b'A'..=b'H'])
}

/// Whether the grader takes a text for a value: it is equal to itself written otherwise, and has a digit.
fn is_number(text: &str) -> bool {
    let has_letters =
        text.chars().filter(|letter| letter.is_alphabetic()).count() > 3 && !text.contains('\\');
    text.contains(|letter: char| letter.is_ascii_digit()) && !has_letters && grade(&format!("({text})"), text)
}
