//! The text of a completion while it is being made: whole characters only, and nothing that may yet turn out to be the
//! beginning of a stop text.

use std::str::from_utf8;
use std::sync::Arc;

/// What is known of a completion's text and was not told yet.
#[derive(Debug)]
pub(crate) struct Text {
    pending: Vec<u8>,
    stops: Arc<[String]>,
}

impl Text {
    /// A text that one of `stops` ends.
    pub(crate) fn new(stops: Arc<[String]>) -> Self {
        Self { pending: Vec::new(), stops }
    }

    /// Takes the bytes of a token. What is certain by now, and whether a stop text has ended it; that is not part of it.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> (String, bool) {
        self.pending.extend_from_slice(bytes);
        let found = self.stops.iter().filter_map(|stop| find(&self.pending, stop.as_bytes())).min();
        if let Some(at) = found {
            self.pending.truncate(at);
            return (self.rest(), true);
        }
        let held = self.stops.iter().map(|stop| begun(&self.pending, stop.as_bytes())).max().unwrap_or(0);
        // A stop text begins with a whole character, so what is before one ends with one.
        let held = if held == 0 { unfinished(&self.pending) } else { held };
        let certain: Vec<u8> = self.pending.drain(..self.pending.len() - held).collect();
        (String::from_utf8_lossy(&certain).into_owned(), false)
    }

    /// All that is left when no token follows.
    pub(crate) fn rest(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.pending)).into_owned()
    }
}

/// Where `needle` begins.
fn find(text: &[u8], needle: &[u8]) -> Option<usize> {
    text.windows(needle.len().max(1)).position(|window| window == needle)
}

/// How many bytes at the end of `text` are the beginning of `stop`.
fn begun(text: &[u8], stop: &[u8]) -> usize {
    let most = text.len().min(stop.len().saturating_sub(1));
    (1..=most).rev().find(|&length| text.ends_with(&stop[..length])).unwrap_or(0)
}

/// How many bytes at the end of `text` are the beginning of a character.
fn unfinished(text: &[u8]) -> usize {
    let Some(last) = text.utf8_chunks().last().map(|chunk| chunk.invalid()) else { return 0 };
    match from_utf8(last) {
        Err(error) if error.error_len().is_none() => last.len(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of pieces, one after another.
    fn told(pieces: &[&[u8]], stops: &[&str]) -> (Vec<String>, bool) {
        let mut text = Text::new(stops.iter().map(|stop| (*stop).to_owned()).collect());
        let mut told = Vec::new();
        for piece in pieces {
            let (certain, stopped) = text.push(piece);
            told.push(certain);
            if stopped {
                return (told, true);
            }
        }
        told.push(text.rest());
        (told, false)
    }

    #[test]
    fn a_character_is_told_when_it_is_whole_and_what_is_none_is_replaced() {
        let snowman = "☃".as_bytes();
        assert_eq!(told(&[&snowman[..1], &snowman[1..], b"a"], &[]).0, ["", "☃", "a", ""]);
        assert_eq!(told(&[b"a", &snowman[..2]], &[]).0, ["a", "", "\u{fffd}"]);
        assert_eq!(told(&[&snowman[..2], b"b"], &[]).0, ["", "\u{fffd}b", ""]);
    }

    #[test]
    fn any_cut_of_bytes_into_pieces_has_the_text_of_all_of_them() {
        let bytes: Vec<u8> =
            ["ä☃😀".as_bytes(), &[0xf0, 0x9f, b'x', 0xff, 0xe2, 0x98], "é".as_bytes()].concat();
        let whole = String::from_utf8_lossy(&bytes);
        for size in 1..bytes.len() {
            let pieces: Vec<&[u8]> = bytes.chunks(size).collect();
            assert_eq!(told(&pieces, &["no", "é!"]).0.concat(), whole, "{size}");
        }
    }

    #[test]
    fn a_stop_text_ends_it_across_pieces_and_is_not_told() {
        assert_eq!(told(&[b"one EN", b"D two"], &["END"]), (vec!["one ".into(), String::new()], true));
        assert_eq!(told(&[b"one E", b"N", b"d"], &["END"]).0.concat(), "one ENd");
        // The one that comes first counts, whichever is named first.
        assert_eq!(told(&[b"abcd"], &["d", "bc"]), (vec!["a".into()], true));
        assert_eq!(told(&[b"aab", b"c"], &["abc"]).0.concat(), "a");
    }
}
