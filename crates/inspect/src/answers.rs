//! Kinds of answers, and those that the grader will have trouble with.

use vigos_grade::{Choices, grade};
use vigos_recipe::reference_target;

/// Most words of a text that another is likely to have too.
const FEW_WORDS: usize = 6;

/// A kind of answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Number,
    Choice,
    Text,
}

/// The kind of an answer to `problem`, and whether the grader will have trouble with it.
pub(crate) fn kind(problem: &str, answer: &str) -> (Kind, bool) {
    let target = reference_target(answer);
    if Choices::of(problem).is_some_and(|choices| choices.chosen(&target).is_some()) || is_letter(&target) {
        return (Kind::Choice, false);
    }
    if is_number(&target) {
        return (Kind::Number, false);
    }
    let is_long = target.split_whitespace().count() > FEW_WORDS || target.contains('\n');
    (Kind::Text, is_long || target.is_empty())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_of_the_kind_that_it_is_graded_as() {
        for (problem, answer, wanted) in [
            ("How many?", "3", (Kind::Number, false)),
            ("How much?", "\\frac{3}{2}", (Kind::Number, false)),
            ("How much?", "$4.50", (Kind::Number, false)),
            ("Which? A. red B. blue", "blue", (Kind::Choice, false)),
            ("Which?", "(C)", (Kind::Choice, false)),
            ("Which?", "a goat", (Kind::Text, false)),
            ("Why?", "Because it is the only one of them that has no door.", (Kind::Text, true)),
            ("Why?", "one\ntwo", (Kind::Text, true)),
        ] {
            assert_eq!(kind(problem, answer), wanted, "{answer}");
        }
    }
}
