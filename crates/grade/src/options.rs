//! The lettered options that a question lists, and which of them an answer names.

use super::choice::label;
use super::equal::grade;
use super::normalise::normalised;

/// How a list of options writes its labels: before and after the letter.
const STYLES: [(&str, &str); 4] = [("(", ")"), ("", "."), ("", ")"), ("", ":")];
/// The most options of a question.
const MOST: u8 = 26;

/// The lettered options of a question, "(A) red (B) blue" for example.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choices {
    /// The texts of A, B, C and so on.
    texts: Vec<String>,
}

impl Choices {
    /// The options that `problem` lists: labels A, B and so on, two at least, each at the start of a word and
    /// all written one way: `(A)`, `A.`, `A)` or `A:`.
    pub fn of(problem: &str) -> Option<Self> {
        STYLES.into_iter().find_map(|style| Self::in_style(problem, style))
    }

    /// Options with these texts, A's first.
    pub fn of_texts(texts: Vec<String>) -> Self {
        Self { texts }
    }

    /// The texts of the options, A's first.
    pub fn texts(&self) -> &[String] {
        &self.texts
    }

    fn in_style(problem: &str, (before, after): (&str, &str)) -> Option<Self> {
        // Where each label stands and where its text begins.
        let mut marks: Vec<(usize, usize)> = Vec::new();
        let mut from = 0;
        for letter in (b'A'..b'A' + MOST).map(char::from) {
            let mark = format!("{before}{letter}{after}");
            let starts_word = |at: &usize| {
                problem
                    .get(..*at)
                    .is_some_and(|head| head.chars().next_back().is_none_or(char::is_whitespace))
            };
            let ends_word = |at: &usize| {
                let tail = problem.get(at + mark.len()..).unwrap_or_default();
                tail.chars().next().is_none_or(|c| c.is_whitespace() || before == "(")
            };
            let rest = problem.get(from..).unwrap_or_default();
            let found = rest.match_indices(&mark).map(|(at, _)| from + at);
            let Some(at) = found.filter(starts_word).find(ends_word) else { break };
            from = at + mark.len();
            marks.push((at, from));
        }
        if marks.len() < 2 {
            return None;
        }
        let ends = marks.iter().skip(1).map(|(at, _)| *at).chain([problem.len()]);
        let text = |(&(_, start), end): (&(usize, usize), usize)| {
            let line = problem.get(start..end)?.trim_start().lines().next().unwrap_or_default();
            Some(line.trim().trim_end_matches([',', ';']).to_owned())
        };
        Some(Self { texts: marks.iter().zip(ends).map(text).collect::<Option<_>>()? })
    }

    /// The place of the option that `answer` names, by its label or else by its text; nothing if it names none,
    /// or a text that two options have.
    pub fn chosen(&self, answer: &str) -> Option<usize> {
        let label = label(&normalised(answer)).map(|label| usize::from(label as u8 - b'a'));
        if let Some(label) = label.filter(|label| *label < self.texts.len()) {
            return Some(label);
        }
        let mut same = self.texts.iter().enumerate().filter(|(_, option)| grade(answer, option));
        let (place, _) = same.next()?;
        same.next().is_none().then_some(place)
    }
}
