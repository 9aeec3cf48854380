//! Texts of strangers for a page: nothing in them is invisible, turns the reading around, or has no end.

use vigos_core::text::shortened;

/// A text of at most `most` characters whose control characters, marks of direction and zero-width characters stand as
/// `⟨U+202E⟩`. Line breaks and tabs stay.
pub fn visible(text: &str, most: usize) -> String {
    let mut shown = String::with_capacity(text.len().min(4 * most));
    for letter in shortened(text, most).chars() {
        if is_hidden(letter) {
            shown += &format!("⟨U+{:04X}⟩", u32::from(letter));
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// Whether a character cannot be seen, or changes how its neighbours are.
fn is_hidden(letter: char) -> bool {
    let marks = [
        '\u{ad}'..='\u{ad}',
        '\u{61c}'..='\u{61c}',
        '\u{180e}'..='\u{180e}',
        '\u{200b}'..='\u{200f}',
        '\u{2028}'..='\u{202e}',
        '\u{2060}'..='\u{206f}',
        '\u{feff}'..='\u{feff}',
        '\u{fff9}'..='\u{fffb}',
        '\u{e0000}'..='\u{e007f}',
    ];
    (letter.is_control() && !['\n', '\t'].contains(&letter))
        || marks.iter().any(|range| range.contains(&letter))
}

#[cfg(test)]
mod tests {
    use super::visible;

    #[test]
    fn what_hides_is_shown_and_what_is_long_is_cut() {
        assert_eq!(visible("a\u{202e}b\u{0}\r\n\tc", 100), "a⟨U+202E⟩b⟨U+0000⟩⟨U+000D⟩\n\tc");
        assert_eq!(visible("ünïcödé 漢字 😀", 100), "ünïcödé 漢字 😀");
        assert_eq!(visible(&"x".repeat(1 << 20), 8), "xxxxxx … xx");
    }
}
