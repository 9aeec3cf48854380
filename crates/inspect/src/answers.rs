//! Kinds of answers, and those that the grader will have trouble with.

use vigos_grade::{AnswerKind, answer_kind};
use vigos_recipe::reference_target;

/// Most words of a text that another is likely to have too.
const FEW_WORDS: usize = 6;

/// The kind of an answer to `problem`, and whether the grader will have trouble with it.
pub(crate) fn kind(problem: &str, answer: &str) -> (AnswerKind, bool) {
    let target = reference_target(answer);
    let kind = answer_kind(problem, &target);
    let is_long = target.split_whitespace().count() > FEW_WORDS || target.contains('\n');
    (kind, kind == AnswerKind::Text && (is_long || target.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_of_the_kind_that_it_is_graded_as() {
        for (problem, answer, wanted) in [
            ("How many?", "3", (AnswerKind::Number, false)),
            ("How much?", "\\frac{3}{2}", (AnswerKind::Number, false)),
            ("How much?", "$4.50", (AnswerKind::Number, false)),
            ("Which? A. red B. blue", "blue", (AnswerKind::Choice, false)),
            ("Which?", "(C)", (AnswerKind::Choice, false)),
            ("Which?", "a goat", (AnswerKind::Text, false)),
            ("Why?", "Because it is the only one of them that has no door.", (AnswerKind::Text, true)),
            ("Why?", "one\ntwo", (AnswerKind::Text, true)),
        ] {
            assert_eq!(kind(problem, answer), wanted, "{answer}");
        }
    }
}
