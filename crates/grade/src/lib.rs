//! Whether an answer is right, by rule.
//!
//! ```text
//! answer ─ normalised ─┬─ the same text
//!                      ├─ the same label of a multiple choice
//!                      └─ the same value: number, expression, quantity; list, tuple, interval or set of these;
//!                                         equation or inequality between these
//! ```
//!
//! ```
//! use vigos_grade::{grade, grade_question};
//!
//! assert!(grade(r"\frac{1}{2}", "0.5") && !grade("1e-13", "3e-13"));
//! assert!(grade_question("Which one? A. red B. blue", "B", "blue"));
//! ```
//!
//! `docs/grader.md` says what counts as equal, and where and why that differs from mathruler.

mod choice;
mod collection;
mod equal;
mod expression;
mod kind;
mod normalise;
mod number;
mod options;
mod quantity;
mod relation;
mod rules;
mod signs;
mod value;

pub use equal::grade;
pub use kind::{AnswerKind, answer_kind};
pub use options::Choices;
pub use rules::{named_choice, nearest_choice, same_rounded, same_truncated, says_one_of, says_true};

/// Whether `prediction` gives the same answer to `problem` as `reference`, as [`grade`] says. If the problem lists
/// lettered options, an option may be given by its label, by its text or by both.
pub fn grade_question(problem: &str, prediction: &str, reference: &str) -> bool {
    let chosen = Choices::of(problem).and_then(|c| Some((c.chosen(prediction)?, c.chosen(reference)?)));
    match chosen {
        Some((p, r)) => p == r,
        None => grade(prediction, reference),
    }
}
