//! Whether an answer is right, by rule.

use crate::normalise::{normalised, tight};
use crate::number::Number;

/// Whether `prediction` gives the same answer as `reference`.
///
/// It does if the two are the same text but for mark-up, case, spacing, final punctuation, percent and
/// degree signs; the same number, written as an integer, decimal or fraction; or the same label of a multiple
/// choice, with or without the choice's text. The order of the two makes no difference. A blank answer equals
/// nothing.
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
    tight(&p) == tight(&r) || same_number(&p, &r) || same_choice(&p, &r)
}

fn same_number(p: &str, r: &str) -> bool {
    Number::read(p).zip(Number::read(r)).is_some_and(|(p, r)| p.equals(&r))
}

/// A label of a multiple choice and the choice's text, if that is given.
struct Choice<'a> {
    label: char,
    text: Option<&'a str>,
    /// Written "A. text", which may also be an abbreviation, as in "E. coli".
    dotted: bool,
}

fn same_choice(p: &str, r: &str) -> bool {
    let Some((p, r)) = choice(p).zip(choice(r)) else { return false };
    p.label == r.label
        && match (p.text, r.text) {
            (Some(a), Some(b)) if p.dotted || r.dotted => tight(a) == tight(b),
            _ => true,
        }
}

/// Reads "a", "(a)", "[a]", "a)", "a." and "a:", each but the first perhaps with a text after a space.
fn choice(text: &str) -> Option<Choice<'_>> {
    let (bracketed, inner) = match text.strip_prefix(['(', '[']) {
        Some(inner) => (true, inner.trim_start()),
        None => (false, text),
    };
    let label = inner.chars().next().filter(char::is_ascii_lowercase)?;
    let rest = inner.get(1..)?;
    let (mark, rest) = match rest.trim_start().strip_prefix([')', ']', '.', ':']) {
        Some(after) => (rest.trim_start().chars().next(), after),
        None => (None, rest),
    };
    let closed = matches!(mark, Some(')' | ']'));
    let text = rest.strip_prefix(' ').map(str::trim).filter(|text| !text.is_empty());
    let well_formed = bracketed <= closed && (rest.is_empty() || (mark.is_some() && text.is_some()));
    well_formed.then_some(Choice { label, text, dotted: mark == Some('.') })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Both ways round, as grading has no sides.
    fn both(a: &str, b: &str) -> bool {
        let forth = grade(a, b);
        assert_eq!(forth, grade(b, a), "{a:?} and {b:?} grade differently the other way round");
        forth
    }

    #[test]
    fn answers_of_one_meaning_are_equal() {
        for (a, b) in [
            ("Yes", "yes."),
            ("  New   York ", "new york"),
            ("stop!", "Stop"),
            (r"\text{red}", "red"),
            (r"\textbf{(A)}", "A"),
            (r"$x^2$", "x^2"),
            (r"\left( 1, 2 \right)", "(1,2)"),
            ("x + 1", "x+1"),
            (r"1,\!000", "1000"),
            ("1{,}000", "1000"),
            ("1,234,567.5", "1234567.5"),
            ("50%", "50"),
            (r"50\%", "50 percent"),
            ("90°", "90"),
            (r"90^\circ", "90 degrees"),
            (r"90^{\circ}", "90"),
            (r"\boxed{7}", "7"),
            ("\"red\"", "red"),
            ("0", "0.0"),
            ("-0", "0"),
            ("007", "7"),
            ("+5", "5"),
            (".5", "0.5"),
            ("5.", "5"),
            ("1e3", "1000"),
            ("1/2", "0.5"),
            ("-1/2", r"-\frac{1}{2}"),
            (r"\dfrac{-1}{2}", "-0.5"),
            (r"\frac12", "1/2"),
            (r"\frac{1,000}{2}", "500"),
            ("0.3333333", "1/3"),
            ("−3", "-3"),
            ("$5", "5"),
            ("5 cm", "5cm"),
            ("5 000", "5 000."),
        ] {
            assert!(both(a, b), "{a:?} should equal {b:?}");
        }
    }

    #[test]
    fn answers_of_different_meanings_differ() {
        for (a, b) in [
            ("yes", "no"),
            ("1", "2"),
            ("1", "-1"),
            ("10000000", "10000001"),
            ("0.333", "1/3"),
            ("1/0", "2/0"),
            ("1e999", "2e999"),
            ("nan", "0"),
            ("0", "1e-9"),
            ("5!", "5"),
            (r"\leftarrow", "arrow"),
            ("1, 2", "12"),
            ("(1,2)", "(1,3)"),
            ("12,34", "1234"),
            ("50%", "0.5"),
            ("degrees of freedom", "of freedom"),
            ("", ""),
            (" ", ""),
            ("", "a"),
            ("$", "."),
        ] {
            assert!(!both(a, b), "{a:?} should differ from {b:?}");
        }
    }

    #[test]
    fn a_choice_is_its_label() {
        for (a, b) in [
            ("A", "(A)"),
            ("A.", "a"),
            ("A)", "A:"),
            ("A) a red circle", "A"),
            ("(B) a red circle", "B. A red circle"),
            ("[C]", "C"),
            ("(D) 5 m", "(D) five metres"),
            ("D: five", "(d)"),
        ] {
            assert!(both(a, b), "{a:?} should equal {b:?}");
        }
        for (a, b) in [
            ("A", "B"),
            ("(A) red", "(B) red"),
            ("a dog", "A"),
            ("E. coli", "E. faecalis"),
            ("(a)(b)", "(a)"),
            ("(A", "A) x"),
            ("a:b", "a"),
            ("apple", "a"),
        ] {
            assert!(!both(a, b), "{a:?} should differ from {b:?}");
        }
    }

    /// Text made of the pieces that the rules look for.
    fn answerish() -> impl Strategy<Value = String> {
        let pieces = vec![
            "1", "23", ",", ".", "/", "-", "e", "\\frac", "{", "}", "\\text{", "\\left", "(", ")", "$", "%",
            "\\", "°", "^", "\\circ", "a", "B", "é", " ", "!", ":", "degrees", "\"",
        ];
        prop::collection::vec(prop::sample::select(pieces), 0..10).prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn grading_has_no_sides(a in prop_oneof![any::<String>(), answerish()], b in answerish()) {
            both(&a, &b);
        }

        #[test]
        fn an_answer_that_is_not_blank_equals_itself(a in prop_oneof![any::<String>(), answerish()]) {
            prop_assert_eq!(grade(&a, &a), !a.trim().is_empty());
        }

        #[test]
        fn decimals_equal_their_fractions(n in -10_000i64..10_000, d in 1i64..1000) {
            let decimal = format!("{}", n as f64 / d as f64);
            let fraction = format!("\\frac{{{n}}}{{{d}}}");
            prop_assert!(both(&decimal, &fraction));
        }
    }
}
