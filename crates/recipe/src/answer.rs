//! Answers as text: the bare reference out of what a data set wraps it in, and the answer out of a
//! completion.

/// The start of a box.
const BOX: &str = r"\boxed{";
/// The longest answer, in bytes, that is unwrapped: each of its wrappers costs another look at the whole.
const LONGEST_WRAPPED: usize = 1 << 16;

/// The bare answer in a data set's answer: without code fences, a leading "answer:", an `<answer>` wrapper,
/// an outer `\boxed{}`, surrounding quotes or backticks, and white space, in any order and depth.
///
/// A wrapper around nothing is kept, so an answer that is not blank stays so. An answer of more than 64 KiB is only
/// trimmed.
pub fn reference_target(answer: &str) -> String {
    let rules = [unfenced, unlabelled, untagged, unboxed, unquoted];
    let mut text = answer.trim();
    if text.len() > LONGEST_WRAPPED {
        return text.to_owned();
    }
    // Every rule that applies shortens the text, so this ends.
    while let Some(shorter) =
        rules.iter().filter_map(|rule| rule(text)).map(str::trim).find(|inner| !inner.is_empty())
    {
        text = shorter;
    }
    text.to_owned()
}

/// The content of the last `\boxed{…}` in `text`, the one that begins last: of nested boxes the inner one. None if there
/// is no box, or if the last one does not end: what it was to say is not known, and what was boxed before is no longer
/// the answer. Every brace counts, escaped or not.
pub fn last_box(text: &str) -> Option<&str> {
    let inner = text.get(text.rfind(BOX)? + BOX.len()..)?;
    let mut depth = 0usize;
    for (at, byte) in inner.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 0 => return inner.get(..at),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    None
}

/// Inside a code fence around the whole text, without its language.
fn unfenced(text: &str) -> Option<&str> {
    let inner = text.strip_prefix("```")?.strip_suffix("```")?;
    if inner.contains("```") {
        return None;
    }
    Some(match inner.split_once('\n') {
        Some((language, code)) if !language.trim().contains(char::is_whitespace) => code,
        _ => inner,
    })
}

/// After "answer:".
fn unlabelled(text: &str) -> Option<&str> {
    without_prefix(text, "answer")?.trim_start().strip_prefix(':')
}

/// Inside an `<answer>` element that is the whole text.
fn untagged(text: &str) -> Option<&str> {
    let inner = without_suffix(without_prefix(text, "<answer>")?, "</answer>")?;
    // In "<answer>a</answer> <answer>b</answer>" the outermost tags are not each other's.
    let lower = inner.to_ascii_lowercase();
    let matched = match (lower.find("</answer>"), lower.find("<answer>")) {
        (Some(close), open) => open.is_some_and(|open| open < close),
        (None, _) => true,
    };
    matched.then_some(inner)
}

/// Inside a box that is the whole text.
fn unboxed(text: &str) -> Option<&str> {
    let inner = text.strip_prefix(BOX)?.strip_suffix('}')?;
    let mut depth = 0usize;
    for byte in inner.bytes() {
        match byte {
            b'{' => depth += 1,
            // Without an open brace this one closes the box, before the end of the text.
            b'}' => depth = depth.checked_sub(1)?,
            _ => {}
        }
    }
    (depth == 0).then_some(inner)
}

/// Inside quotes or backticks around the whole text.
fn unquoted(text: &str) -> Option<&str> {
    let quotes = [('"', '"'), ('\'', '\''), ('`', '`'), ('“', '”'), ('‘', '’'), ('«', '»')];
    quotes.into_iter().find_map(|(open, close)| {
        let run = |c: char, at_end: bool| {
            let count = |chars: &mut dyn Iterator<Item = char>| chars.take_while(|x| *x == c).count();
            if at_end { count(&mut text.chars().rev()) } else { count(&mut text.chars()) }
        };
        let depth = run(open, false).min(run(close, true));
        let inner = text.get(depth * open.len_utf8()..text.len().checked_sub(depth * close.len_utf8())?)?;
        // In `"a" or "b"` the outermost quotes are not each other's.
        (depth > 0 && !inner.contains([open, close])).then_some(inner)
    })
}

/// `text` after `prefix`, in whichever case its letters are.
fn without_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, tail) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(tail)
}

/// `text` before `suffix`, in whichever case its letters are.
fn without_suffix<'a>(text: &'a str, suffix: &str) -> Option<&'a str> {
    let (head, tail) = text.split_at_checked(text.len().checked_sub(suffix.len())?)?;
    tail.eq_ignore_ascii_case(suffix).then_some(head)
}
