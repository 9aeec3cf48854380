//! Wrong answers to an item: those its row brings, or else the right answers of other items.

use vigos_core::random::{Key, Purpose, draws};
use vigos_data::Row;
use vigos_grade::grade_question;
use vigos_recipe::reference_target;
use vigos_recipe::sample::SampleError;

/// The answers that wrong ones are drawn from, each once.
pub(crate) struct Pool {
    answers: Vec<Candidate>,
}

#[derive(Clone, Debug, PartialEq)]
struct Candidate {
    text: String,
    form: Form,
    kind: Option<String>,
}

/// What an answer looks like. A wrong one should not be told from the right one by its looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    YesNo,
    Label,
    Number,
    Text,
}

impl Form {
    fn of(answer: &str) -> Self {
        let lower = answer.to_lowercase();
        let bare = answer.trim_matches(|c: char| matches!(c, '(' | ')' | '.'));
        if matches!(lower.as_str(), "yes" | "no" | "true" | "false") {
            Self::YesNo
        } else if bare.len() == 1 && bare.chars().all(|c| c.is_ascii_uppercase()) {
            Self::Label
        } else if answer.contains(|c: char| c.is_ascii_digit()) {
            Self::Number
        } else {
            Self::Text
        }
    }
}

impl Candidate {
    fn of(row: &Row) -> Self {
        let text = reference_target(&row.answer);
        Self { form: Form::of(&text), text, kind: row.labels.kind.clone() }
    }
}

impl Pool {
    /// A pool without answers.
    pub(crate) fn new() -> Self {
        Self { answers: Vec::new() }
    }

    /// Adds a row's right answer.
    pub(crate) fn add(&mut self, row: &Row) {
        let candidate = Candidate::of(row);
        if !self.answers.contains(&candidate) {
            self.answers.push(candidate);
        }
    }

    /// Up to `count` answers that grade as different from the row's and from each other, at least one: the first
    /// that the row brings; without any, drawn from the pool, keyed by `seed` and `item`: of the same form and
    /// kind, else of the same form, else any.
    ///
    /// # Errors
    /// If the row brings an answer that is right, or there is no wrong one.
    pub(crate) fn wrong(
        &self,
        row: &Row,
        count: usize,
        seed: u64,
        item: u64,
    ) -> Result<Vec<String>, SampleError> {
        let fault = |message: String| SampleError {
            origin: row.origin.clone(),
            id: row.id.clone(),
            field: "wrong_answers".into(),
            message,
        };
        let right = Candidate::of(row);
        let same = |a: &str, b: &str| grade_question(&row.problem, a, b);
        let given = &row.labels.wrong_answers;
        if let Some(answer) = given.iter().find(|answer| same(answer, &right.text)) {
            return Err(fault(format!(
                "found {answer:?}, which grades as the right answer {:?}",
                right.text
            )));
        }
        if !given.is_empty() {
            return Ok(given.iter().take(count).map(|answer| reference_target(answer)).collect());
        }
        let key = Key { seed, sample: item, ..Key::default() };
        let order = draws(Purpose::WrongAnswers, key).permutation(self.answers.len());
        let shuffled: Vec<&Candidate> = order.into_iter().filter_map(|i| self.answers.get(i)).collect();
        let close = |c: &&&Candidate| c.form == right.form && c.kind == right.kind;
        let alike = |c: &&&Candidate| c.form == right.form;
        let mut chosen: Vec<String> = Vec::new();
        let mut take = |candidates: &mut dyn Iterator<Item = &&Candidate>, most: usize| {
            for candidate in candidates {
                if chosen.len() >= most {
                    break;
                }
                let text = &candidate.text;
                if !same(text, &right.text) && !chosen.iter().any(|other| same(other, text)) {
                    chosen.push(text.clone());
                }
            }
        };
        take(&mut shuffled.iter().filter(close), count);
        take(&mut shuffled.iter().filter(alike), count);
        // Of another form only where there is no choice.
        take(&mut shuffled.iter(), 1);
        if chosen.is_empty() {
            let message = format!(
                "found none, and no other row has an answer that differs from {:?}; wanted a list of wrong answers",
                right.text
            );
            return Err(fault(message));
        }
        Ok(chosen)
    }
}
