//! Lists, tuples, intervals, unions of intervals, sets.

use super::number::Number;
use super::quantity::Quantity;

/// The most elements of a collection; longer ones are compared as text.
const MOST: usize = 64;

/// An answer of several parts.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Collection<'a> {
    kind: Kind,
    elements: Vec<&'a str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// "1, 2" and "1 and 2"; a set may be written so too.
    List,
    /// "(1, 2)" or an interval, told apart by their brackets.
    Bracketed(char, char),
    /// "{1, 2}", without order.
    Set,
    /// "(1,2)∪(3,4)", without order.
    Union,
}

impl<'a> Collection<'a> {
    /// Reads a normalised answer that has several parts.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let text = text.trim();
        let parts = split(text, union_at)?;
        if parts.len() > 1 {
            return Self::of(Kind::Union, parts);
        }
        if let Some((open, close, inner)) = enclosed(text) {
            let elements = split(inner, comma_at)?;
            return match (open, close) {
                _ if elements.len() < 2 => None,
                ('{', '}') => Self::of(Kind::Set, elements),
                _ => Self::of(Kind::Bracketed(open, close), elements),
            };
        }
        let elements = split(text, separator_at)?;
        // Commas that part thousands part no list.
        let thousands = Number::read(&Quantity::read(text).amount).is_some();
        if elements.len() > 1 && !thousands { Self::of(Kind::List, elements) } else { None }
    }

    fn of(kind: Kind, elements: Vec<&'a str>) -> Option<Self> {
        let sound = elements.len() <= MOST && elements.iter().all(|e| !e.is_empty());
        sound.then_some(Self { kind, elements })
    }

    /// Whether the elements are the same by `same`, which has to be symmetric: in order, but for sets and unions.
    pub(super) fn equals(&self, other: &Self, same: impl Fn(&str, &str) -> bool) -> bool {
        if self.elements.len() != other.elements.len() {
            return false;
        }
        match (self.kind, other.kind) {
            (Kind::Set, Kind::Set | Kind::List) | (Kind::List, Kind::Set) | (Kind::Union, Kind::Union) => {
                let table: Vec<Vec<bool>> = self
                    .elements
                    .iter()
                    .map(|a| other.elements.iter().map(|b| same(a, b)).collect())
                    .collect();
                pairs_up(&table)
            }
            (p, r) if p == r => self.elements.iter().zip(&other.elements).all(|(a, b)| same(a, b)),
            _ => false,
        }
    }
}

/// The element of a set of one; any other text as it is.
pub(super) fn without_braces(text: &str) -> &str {
    match enclosed(text) {
        Some(('{', '}', inner)) if split(inner, comma_at).is_some_and(|parts| parts.len() == 1) => {
            inner.trim()
        }
        _ => text,
    }
}

/// The outer brackets, which belong together, and what they hold; the braces of a set may be escaped.
fn enclosed(text: &str) -> Option<(char, char, &str)> {
    let set = text.strip_prefix("\\{").and_then(|t| t.strip_suffix("\\}"));
    let (open, close, inner) = match set {
        Some(inner) => ('{', '}', inner),
        None => {
            let (open, close) = (text.chars().next()?, text.chars().next_back()?);
            let brackets = matches!((open, close), ('(' | '[', ')' | ']') | ('{', '}'));
            (open, close, text.get(1..text.len().checked_sub(1)?).filter(|_| brackets)?)
        }
    };
    let mut depth = 0usize;
    for c in inner.chars() {
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.checked_sub(1)?,
            _ => {}
        }
    }
    (depth == 0).then_some((open, close, inner))
}

/// The parts of `text` between separators outside brackets. `separator` gives the length of the one that a text
/// starts with; it also sees what comes before. None for brackets that do not match.
fn split(text: &str, separator: fn(&str, &str) -> Option<usize>) -> Option<Vec<&str>> {
    let (mut parts, mut start, mut depth, mut at) = (Vec::new(), 0, 0usize, 0);
    while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
        let (before, rest) = text.split_at_checked(at)?;
        let length = if depth == 0 { separator(before, rest) } else { None };
        if let Some(length) = length {
            parts.push(text.get(start..at)?.trim());
            at += length;
            start = at;
            continue;
        }
        match c {
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.checked_sub(1)?,
            _ => {}
        }
        at += c.len_utf8();
    }
    parts.push(text.get(start..)?.trim());
    (depth == 0).then_some(parts)
}

fn comma_at(_: &str, rest: &str) -> Option<usize> {
    rest.starts_with([',', ';']).then_some(1)
}

fn separator_at(_: &str, rest: &str) -> Option<usize> {
    let words = [", and ", ", or ", " and ", " or "];
    words.into_iter().find(|word| rest.starts_with(word)).map(str::len).or_else(|| comma_at("", rest))
}

/// The sign of a union, or the letter that stands for it between two brackets.
fn union_at(before: &str, rest: &str) -> Option<usize> {
    if rest.starts_with('∪') {
        return Some('∪'.len_utf8());
    }
    let after = rest.strip_prefix('u')?;
    (before.trim_end().ends_with([')', ']']) && after.trim_start().starts_with(['(', '['])).then_some(1)
}

/// Whether every row can have a column of its own in which the table says yes.
fn pairs_up(table: &[Vec<bool>]) -> bool {
    /// Finds a column for `row`, moving the rows that hold one already.
    fn place(row: usize, table: &[Vec<bool>], tried: &mut [bool], holder: &mut [Option<usize>]) -> bool {
        let Some(cells) = table.get(row) else { return false };
        for (column, yes) in cells.iter().enumerate() {
            if !yes || tried.get(column).copied().unwrap_or(true) {
                continue;
            }
            if let Some(tried) = tried.get_mut(column) {
                *tried = true;
            }
            let free = match holder.get(column).copied().flatten() {
                None => true,
                Some(other) => place(other, table, tried, holder),
            };
            if free {
                if let Some(slot) = holder.get_mut(column) {
                    *slot = Some(row);
                }
                return true;
            }
        }
        false
    }
    let mut holder = vec![None; table.len()];
    (0..table.len()).all(|row| place(row, table, &mut vec![false; table.len()], &mut holder))
}
