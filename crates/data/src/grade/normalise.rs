//! Answers with what does not change their meaning taken away: mark-up, case, spacing, final punctuation.

use vigos_recipe::answer::reference_target;

/// An answer brought to a common form: one line, lower case, single spaces, no LaTeX mark-up of text, size
/// or space, one sign for each operation, no percent or degree sign, no punctuation at its end.
pub(super) fn normalised(answer: &str) -> String {
    let plain = without_markup(&reference_target(answer));
    let plain = plain.replace("^{°}", "").replace("^°", "").replace('°', "").replace("{,}", ",");
    let spaced = plain.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    without_end(&spaced).to_owned()
}

/// `text` without the spaces that only set it apart: those not between two digits.
pub(super) fn tight(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let keep = c != ' '
            || match (out.chars().next_back(), chars.peek()) {
                (Some(before), Some(after)) => before.is_numeric() && after.is_numeric(),
                _ => false,
            };
        if keep {
            out.push(c);
        }
    }
    out
}

/// The text with LaTeX mark-up removed and commands of one meaning written one way.
fn without_markup(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // For every open brace, whether it is written out.
    let mut braces: Vec<bool> = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
        match c {
            '\\' => {
                let (name, after) = command(rest);
                rest = after;
                match name {
                    "text" | "textbf" | "textit" | "textrm" | "mathrm" | "mathbf" | "mathit" | "mathsf"
                    | "mbox" | "operatorname" => {
                        if let Some(inside) = rest.trim_start().strip_prefix('{') {
                            braces.push(false);
                            rest = inside;
                        }
                    }
                    "left" | "right" | "displaystyle" | "!" | "," | "$" | "(" | ")" | "[" | "]" => {}
                    "quad" | "qquad" | ";" | ":" | " " | "\n" | "\\" => out.push(' '),
                    "frac" | "dfrac" | "tfrac" => out.push_str("\\frac"),
                    "circ" | "degree" => out.push('°'),
                    "cdot" | "times" => out.push('*'),
                    "div" => out.push('/'),
                    "pi" => out.push('π'),
                    "infty" => out.push('∞'),
                    "cup" => out.push('∪'),
                    "pm" => out.push('±'),
                    "%" => out.push('%'),
                    other => {
                        out.push('\\');
                        out.push_str(other);
                    }
                }
            }
            '{' => {
                braces.push(true);
                out.push('{');
            }
            '}' => {
                if braces.pop().unwrap_or(true) {
                    out.push('}');
                }
            }
            '$' => {}
            '−' | '–' => out.push('-'),
            '×' | '·' => out.push('*'),
            '÷' => out.push('/'),
            '²' => out.push_str("^2"),
            '³' => out.push_str("^3"),
            '’' | '‘' => out.push('\''),
            '“' | '”' => out.push('"'),
            other => out.push(other),
        }
    }
    out
}

/// The name of the command after a backslash, letters or one other character, and what follows it.
fn command(text: &str) -> (&str, &str) {
    let letters = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    let end = if letters > 0 { letters } else { text.chars().next().map_or(0, char::len_utf8) };
    text.split_at_checked(end).unwrap_or((text, ""))
}

/// `text` without punctuation, a percent sign or a word for one or for degrees at its end.
pub(super) fn without_end(text: &str) -> &str {
    let mut text = text.trim();
    loop {
        let shorter = text.trim_end_matches(['.', ',', ';', ':', '?', '。', '，']);
        // After a letter of a word it is an exclamation mark, after anything else a factorial.
        let shorter = match shorter.strip_suffix('!') {
            Some(word) if word.chars().rev().take(2).filter(|c| c.is_alphabetic()).count() == 2 => word,
            _ => shorter,
        };
        let unit = ["%", "percent", "degrees", "degree"].into_iter().find_map(|unit| {
            let number = shorter.strip_suffix(unit)?.trim_end();
            number.ends_with(|c: char| c.is_numeric() || matches!(c, '.' | '}')).then_some(number)
        });
        let shorter = unit.unwrap_or(shorter).trim_end();
        if shorter.len() == text.len() {
            return text;
        }
        text = shorter;
    }
}
