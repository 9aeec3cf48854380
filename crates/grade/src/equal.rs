//! When two answers are the same: as text, as a label, as a value.

use super::choice::same_choice;
use super::collection::{Collection, without_braces};
use super::expression::same_expression;
use super::normalise::{normalised, tight, without_end};
use super::number::Number;
use super::quantity::Quantity;
use super::relation::Relation;

/// The longest answer, in bytes, that is read as more than text.
const LONGEST_VALUE: usize = 1000;
/// How deep sets and tuples may lie in each other.
const DEEPEST: usize = 4;

/// Whether `prediction` gives the same answer as `reference`.
///
/// It does if the two are the same text but for mark-up, case, spacing, final punctuation, percent and
/// degree signs; the same label of a multiple choice, with or without the choice's text; or the same value:
/// a number as an integer, decimal, fraction or mixed number, an expression, either with a unit, a list, tuple,
/// interval or set of them, or an equation or inequality between them. The order of the two makes no difference. A blank answer equals nothing.
pub fn grade(prediction: &str, reference: &str) -> bool {
    if prediction.trim().is_empty() || reference.trim().is_empty() {
        return false;
    }
    if prediction.trim() == reference.trim() {
        return true;
    }
    let (p, r) = (normalised(prediction), normalised(reference));
    if p.is_empty() || r.is_empty() {
        return false;
    }
    tight(&p) == tight(&r)
        || same_choice(&p, &r)
        || (p.len().max(r.len()) <= LONGEST_VALUE
            // Named or not; and as they are, for `5 = x` is the equation `x = 5`.
            && (same_value(unnamed(&p), unnamed(&r), DEEPEST) || same_value(&p, &r, DEEPEST)))
}

/// Whether two normalised answers have one value.
fn same_value(p: &str, r: &str, depth: usize) -> bool {
    let (p, r) = (without_braces(p), without_braces(r));
    if tight(p) == tight(r) {
        return true;
    }
    let Some(inner) = depth.checked_sub(1) else { return same_scalar(without_end(p), without_end(r)) };
    match (Collection::read(p), Collection::read(r)) {
        (Some(p), Some(r)) => p.equals(&r, |a, b| same_value(a, b, inner)),
        (None, None) => match (Relation::read(p), Relation::read(r)) {
            (Some(p), Some(r)) => p.equals(&r, |a, b| same_value(a, b, inner)),
            (None, None) => same_scalar(without_end(p), without_end(r)),
            _ => false,
        },
        _ => false,
    }
}

fn same_scalar(p: &str, r: &str) -> bool {
    if tight(p) == tight(r) {
        return true;
    }
    let (a, b) = (Quantity::read(p), Quantity::read(r));
    let same = a.comparable(&b)
        && match (Number::read(&a.amount), Number::read(&b.amount)) {
            (Some(a), Some(b)) => a.equals(&b),
            _ => same_expression(&a.amount, &b.amount),
        };
    same || ((a.may_be_product() || b.may_be_product()) && same_expression(p, r))
}

/// "5" of "x = 5" and "(1,2)" of "x ∈ (1,2)": what follows a name and an equals sign, or the sign of an element.
fn unnamed(text: &str) -> &str {
    match text.split_once(['=', '∈']) {
        Some((name, value)) if !value.contains(['=', '∈']) => {
            let name = name.trim();
            let named = name.chars().count() == 1 && name.chars().all(char::is_alphabetic);
            if named && !value.trim().is_empty() { value.trim() } else { text }
        }
        _ => text,
    }
}
