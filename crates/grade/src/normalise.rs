//! Answers with what does not change their meaning taken away: mark-up, case, spacing, final punctuation.

use super::signs;
use vigos_recipe::answer::reference_target;

/// An answer brought to a common form: one line, lower case, single spaces, no LaTeX mark-up of text, size
/// or space, one sign for each operation, relation and letter, no percent or degree sign, no punctuation at its end.
pub(super) fn normalised(answer: &str) -> String {
    let plain = signs::composed(&without_markup(&reference_target(answer)));
    let plain = without_degrees(&without_groups(&plain)).replace("^'", "'").replace("{,}", ",");
    let spaced = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    let signed = signs::from_ascii(&with_round_brackets(&spaced));
    without_end(&signs::lower_case(&signed)).to_owned()
}

/// `text` as it is compared: without the spaces that only set it apart, those not between two digits, and with indices
/// of digits written like `h2o`.
pub(super) fn tight(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let flat = with_flat_indices(text);
    let mut chars = flat.chars().peekable();
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

/// A brace that is open.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Brace {
    /// Part of the answer.
    Kept,
    /// Of a command that only sets what it holds.
    Dropped,
    /// Of a box.
    Box,
}

/// The text with LaTeX mark-up removed and commands and characters of one meaning written one way. A box that does not
/// end stays one.
fn without_markup(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut braces: Vec<Brace> = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let from = rest;
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
        match c {
            '\\' => rest = command(rest, &mut out, &mut braces),
            '{' => {
                braces.push(Brace::Kept);
                out.push('{');
            }
            '}' => {
                if braces.pop().unwrap_or(Brace::Kept) == Brace::Kept {
                    out.push('}');
                }
            }
            '$' => {}
            '~' => out.push(' '),
            // Behind a number it is a degree sign that looks like an ordinal's.
            'º' if out.trim_end().ends_with(|c: char| c.is_ascii_digit() || matches!(c, '.' | ')' | '}')) => {
                out.push('°');
            }
            _ if signs::raised(c).is_some() => rest = script(from, '^', signs::raised, &mut out),
            _ if signs::lowered(c).is_some() => rest = script(from, '_', signs::lowered, &mut out),
            _ => match (signs::of_character(c), signs::fraction(c)) {
                (Some(sign), _) => out.push_str(sign),
                (None, Some((above, below))) => out.push_str(&format!("\\frac{{{above}}}{{{below}}}")),
                (None, None) => out.push(c),
            },
        }
    }
    if braces.contains(&Brace::Box) {
        out.insert_str(0, "\\boxed{");
    }
    out
}

/// Writes what the command after a backslash means, and gives what follows it.
fn command<'a>(text: &'a str, out: &mut String, braces: &mut Vec<Brace>) -> &'a str {
    let letters = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    let end = if letters > 0 { letters } else { text.chars().next().map_or(0, char::len_utf8) };
    let (name, mut rest) = text.split_at_checked(end).unwrap_or((text, ""));
    let mut open = |brace: Brace| {
        if let Some(inside) = rest.trim_start().strip_prefix('{') {
            braces.push(brace);
            rest = inside;
        }
    };
    match name {
        "text" | "textbf" | "textit" | "textrm" | "textsf" | "texttt" | "mathrm" | "mathbf" | "mathit"
        | "mathsf" | "mathbb" | "boldsymbol" | "bm" | "mbox" | "hbox" | "operatorname" | "ce" => {
            open(Brace::Dropped)
        }
        "boxed" | "fbox" => open(Brace::Box),
        "left" | "right" | "big" | "Big" | "bigl" | "bigr" | "Bigl" | "Bigr" | "displaystyle"
        | "textstyle" | "limits" | "!" | "," | "$" | "(" | ")" | "[" | "]" => {}
        "quad" | "qquad" | "enspace" | "thinspace" | "medspace" | "thickspace" | ";" | ":" | ">" | " "
        | "\n" | "\\" => out.push(' '),
        "frac" | "dfrac" | "tfrac" | "cfrac" | "nicefrac" | "sfrac" => out.push_str("\\frac"),
        "lbrace" => out.push_str("\\{"),
        "rbrace" => out.push_str("\\}"),
        "sin" | "cos" | "tan" | "cot" | "sec" | "csc" | "arcsin" | "arccos" | "arctan" | "log" | "ln"
        | "lg" | "exp" | "lim" | "max" | "min" | "gcd" => out.push_str(name),
        "not" if rest.trim_start().starts_with('=') => {
            out.push('≠');
            rest = rest.trim_start().strip_prefix('=').unwrap_or_default();
        }
        other => match signs::of_command(other) {
            Some(sign) => out.push_str(sign),
            None => {
                out.push('\\');
                out.push_str(other);
            }
        },
    }
    rest
}

/// Writes a run of raised or lowered characters as LaTeX would have them, and gives what follows it.
fn script<'a>(text: &'a str, mark: char, plain: fn(char) -> Option<char>, out: &mut String) -> &'a str {
    let end = text.find(|c| plain(c).is_none()).unwrap_or(text.len());
    let (run, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    let run: String = run.chars().filter_map(plain).collect();
    out.push(mark);
    if run.chars().count() == 1 {
        out.push_str(&run)
    } else {
        out.push_str(&format!("{{{run}}}"))
    }
    rest
}

/// `x^{2}` and `x_{1}` without the braces around one character.
fn without_groups(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['^', '_']) {
        let (before, from) = rest.split_at_checked(at).unwrap_or((rest, ""));
        let (mark, after) = from.split_at_checked(1).unwrap_or((from, ""));
        out.push_str(before);
        out.push_str(mark);
        rest = after;
        let inner = after.trim_start().strip_prefix('{').map(str::trim_start).unwrap_or_default();
        let Some(c) = inner.chars().next().filter(|c| c.is_alphanumeric() || matches!(c, '°' | '\'')) else {
            continue;
        };
        let Some(behind) = inner.get(c.len_utf8()..).and_then(|t| t.trim_start().strip_prefix('}')) else {
            continue;
        };
        // A number behind it would become part of it.
        if !behind.starts_with(|c: char| c.is_ascii_digit()) {
            out.push(c);
            rest = behind;
        }
    }
    out.push_str(rest);
    out
}

/// `text` without signs of degrees, which are not those of a composition, f∘g; ℃ and ℉ are words.
fn without_degrees(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('°') {
        let (before, from) = rest.split_at_checked(at).unwrap_or((rest, ""));
        let after = from.strip_prefix('°').unwrap_or_default();
        out.push_str(before);
        let raised = out.trim_end().ends_with('^');
        if raised {
            out.truncate(out.trim_end().len() - 1);
        }
        rest = after;
        let number = raised
            || out.trim_end().is_empty()
            || out.trim_end().ends_with(|c: char| c.is_ascii_digit() || c == '.');
        let closes = out.trim_end().ends_with([')', '}']);
        let next = after.trim_start();
        let scale = next.chars().next().filter(|_| number || closes).and_then(|c| match c {
            'C' | 'c' => Some(" celsius"),
            'F' | 'f' => Some(" fahrenheit"),
            _ => None,
        });
        let behind = next.get(1..).unwrap_or_default();
        match scale {
            Some(word) if !behind.starts_with(char::is_alphabetic) => {
                out.push_str(word);
                rest = behind;
            }
            _ if number || !next.starts_with(|c: char| c.is_alphanumeric() || c == '(' || c == '\\') => {
                // One space at most, so that no row of signs leaves a row of spaces to look through.
                let spaced = out.ends_with(' ');
                out.truncate(out.trim_end().len());
                if spaced {
                    out.push(' ');
                }
            }
            _ => out.push('°'),
        }
    }
    out.push_str(rest);
    out
}

/// Open ends of intervals that are written as brackets the other way round, `]1,2[`, in round ones.
fn with_round_brackets(text: &str) -> String {
    if !text.contains([']', '[']) {
        return text.to_owned();
    }
    let part = |part: &str| {
        let trimmed = part.trim();
        let inner = trimmed.strip_prefix(['[', ']']).and_then(|rest| rest.strip_suffix(['[', ']']));
        match inner {
            Some(inner) if inner.contains([',', ';']) && !inner.contains(['[', ']']) => {
                let open = if trimmed.starts_with(']') { '(' } else { '[' };
                let close = if trimmed.ends_with('[') { ')' } else { ']' };
                format!("{open}{inner}{close}")
            }
            _ => part.to_owned(),
        }
    };
    text.split('∪').map(part).collect::<Vec<_>>().join("∪")
}

/// `h_2o` and `h_{2}o` as `h2o`: an index of digits behind a letter. That of a logarithm is its base. One of letters is
/// without its braces.
fn with_flat_indices(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('_') {
        out.push_str(before);
        rest = after;
        let letter = out.ends_with(char::is_alphabetic) && !out.ends_with("log");
        let grouped = after.strip_prefix('{').and_then(|inner| {
            let end = inner.bytes().take_while(u8::is_ascii_alphanumeric).count();
            let (index, behind) = inner.split_at_checked(end).filter(|_| end > 0)?;
            Some((index, behind.strip_prefix('}')?))
        });
        match grouped {
            Some((index, behind)) if letter => {
                if !index.bytes().all(|b| b.is_ascii_digit()) {
                    out.push('_');
                }
                out.push_str(index);
                if behind.starts_with(|c: char| c.is_numeric()) {
                    out.push(' ');
                }
                rest = behind;
            }
            _ if letter && after.starts_with(|c: char| c.is_ascii_digit()) => {}
            _ => out.push('_'),
        }
    }
    out.push_str(rest);
    out
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
        let unit = ["%", "percent", "degrees", "degree", "deg"].into_iter().find_map(|unit| {
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
