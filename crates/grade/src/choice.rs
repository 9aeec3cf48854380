//! Labels of a multiple choice, as answers write them.

use super::normalise::tight;

/// A label of a multiple choice and the choice's text, if that is given.
struct Choice<'a> {
    label: char,
    text: Option<&'a str>,
    /// Written "A. text", which may also be an abbreviation, as in "E. coli".
    dotted: bool,
}

/// Whether two normalised answers give one label. Texts behind it make a difference only where the label may
/// be none.
pub(super) fn same_choice(p: &str, r: &str) -> bool {
    let Some((p, r)) = choice(p).zip(choice(r)) else { return false };
    p.label == r.label
        && match (p.text, r.text) {
            (Some(a), Some(b)) if p.dotted || r.dotted => tight(a) == tight(b),
            _ => true,
        }
}

/// The label that a normalised answer begins with.
pub(super) fn label(text: &str) -> Option<char> {
    choice(text).map(|choice| choice.label)
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
