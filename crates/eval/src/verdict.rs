//! Whether an answer is right, by the rule of its row; what only a judge can say is not.

use vigos_data::Rule;
use vigos_grade::{
    grade_question, named_choice, nearest_choice, same_rounded, same_truncated, says_one_of, says_true,
};

/// Whether `answer` to `problem` is right where `reference` is.
pub fn is_right(rule: &Rule, problem: &str, answer: &str, reference: &str) -> bool {
    match rule {
        Rule::Grader => grade_question(problem, answer, reference),
        Rule::Choice(texts) => {
            let place = named_choice(answer, texts);
            place.is_some() && place == named_choice(reference, texts)
        }
        Rule::Nearest(texts) => nearest_choice(answer, texts)
            .and_then(|place| texts.get(place))
            .is_some_and(|text| text == reference),
        Rule::Rounded(decimals) => same_rounded(answer, reference, *decimals),
        Rule::Truncated => same_truncated(answer, reference),
        Rule::Says(references) => says_one_of(answer, references),
        Rule::Truth => says_true(answer).is_some_and(|said| Some(said) == says_true(reference)),
        Rule::Judged => false,
    }
}
