//! JSON as people and other tools write it: read, or told what is wrong with it.

use serde::de::DeserializeOwned;

/// What other languages have, and what JSON has instead.
const FOREIGN: [(&str, &str); 7] = [
    ("NaN", "write null there, or leave the field out"),
    ("-Infinity", "write null there, or leave the field out"),
    ("Infinity", "write null there, or leave the field out"),
    ("None", "write null there, as Python's json.dumps does"),
    ("True", "write true there, as Python's json.dumps does"),
    ("False", "write false there, as Python's json.dumps does"),
    ("'", "write \" around texts, as Python's json.dumps does"),
];

/// The value that a text is. A byte order mark before it is passed over, as some editors write one.
///
/// # Errors
/// What is wrong with it, and where.
pub fn parse<T: DeserializeOwned>(text: &[u8]) -> Result<T, String> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    if matches!(text, [0xff, 0xfe, ..] | [0xfe, 0xff, ..]) {
        return Err("it is UTF-16, wanted UTF-8; convert it with `iconv -f UTF-16 -t UTF-8`".into());
    }
    serde_json::from_slice(text).map_err(|fault| explained(text, &fault))
}

/// The parser's message about a text, and what people write that it does not know.
pub fn explained(text: &[u8], fault: &serde_json::Error) -> String {
    let (line, column) = (fault.line(), fault.column());
    let place = if line > 1 { format!("line {line}, column {column}") } else { format!("column {column}") };
    let before: usize =
        text.split_inclusive(|byte| *byte == b'\n').take(line.saturating_sub(1)).map(<[u8]>::len).sum();
    let at = before + column;
    // The parser stops at the first letter or behind it.
    let near = (at.saturating_sub(3)..=at).filter_map(|at| text.get(at..));
    let mut found =
        near.flat_map(|rest| FOREIGN.into_iter().filter(move |(word, _)| rest.starts_with(word.as_bytes())));
    if let Some((word, advice)) = found.next() {
        return format!("{place}: found {word}, which is not JSON; {advice}");
    }
    let message = fault.to_string();
    let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
    format!("it is not JSON: {message} at {place}")
}

#[cfg(test)]
mod tests {
    use super::parse;
    use proptest::prelude::*;
    use serde_json::Value;

    #[test]
    fn what_python_writes_and_json_has_not_is_named_with_its_place() {
        let said = |text: &str| parse::<Value>(text.as_bytes()).unwrap_err();
        assert_eq!(
            said("{\n  \"a\": NaN\n}"),
            "line 2, column 8: found NaN, which is not JSON; write null there, or leave the field out"
        );
        for (text, word) in [("{\"a\": -Infinity}", "-Infinity"), ("[True]", "True"), ("{'a': 1}", "'")] {
            assert!(said(text).contains(&format!("found {word}, which is not JSON")), "{}", said(text));
        }
        assert!(said("{\n\"a\" 1}").ends_with("at line 2, column 5"), "{}", said("{\n\"a\" 1}"));
    }

    #[test]
    fn marks_of_an_encoding_are_passed_over_or_named() {
        assert_eq!(parse::<Value>(b"\xef\xbb\xbf[1]").unwrap(), serde_json::json!([1]));
        let wide: Vec<u8> = "\u{feff}{}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(parse::<Value>(&wide).unwrap_err().starts_with("it is UTF-16"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(text in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = parse::<Value>(&text);
        }
    }
}
