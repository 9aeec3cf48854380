//! Texts of strangers in messages: on one line, and no longer than a reader wants.

use std::borrow::Cow;

/// A text for a message: of one longer than `most` characters its beginning and its end.
///
/// ```
/// use vigos_core::text::shortened;
///
/// assert_eq!(shortened("short", 8), "short");
/// assert_eq!(shortened("much too long", 8), "much t … ng");
/// ```
pub fn shortened(text: &str, most: usize) -> Cow<'_, str> {
    // The length in bytes is at least that in characters.
    if text.len() <= most || text.chars().nth(most).is_none() {
        return Cow::Borrowed(text);
    }
    let end: Vec<char> = text.chars().rev().take(most / 4).collect();
    let begin: String = text.chars().take(most - most / 4).collect();
    Cow::Owned(begin + " … " + &end.into_iter().rev().collect::<String>())
}

/// The same on one line: line breaks and other control characters are spaces.
pub fn one_line(text: &str, most: usize) -> Cow<'_, str> {
    match shortened(text, most) {
        short if short.contains(char::is_control) => Cow::Owned(short.replace(char::is_control, " ")),
        short => short,
    }
}

/// What a panic says, if it says something.
pub fn panic_words(panic: &(dyn std::any::Any + Send)) -> Option<&str> {
    panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied())
}
