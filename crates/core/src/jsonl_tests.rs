//! JSON Lines as a writer, a reader and both at once see them.

use std::collections::BTreeMap;
use std::fs;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

/// A file of the tests' own with this content.
fn file(content: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("lines.jsonl");
    fs::write(&path, content).unwrap();
    (dir, path)
}

fn read(path: &Path, last_line: LastLine) -> Result<Vec<(usize, Value)>, JsonLinesError> {
    read_lines(path, ReadOptions { max_line_bytes: 40, last_line })?.collect()
}

#[test]
fn what_is_written_is_read_back_with_its_line_numbers() {
    let (_dir, path) = file(b"");
    let mut writer = JsonLines::append(&path).unwrap();
    writer.write(&json!({"step": 1, "text": "a\nb"})).unwrap();
    writer.write("two").unwrap();
    assert_eq!(writer.lines(), 2);
    writer.sync().unwrap();
    let wanted = vec![(1, json!({"step": 1, "text": "a\nb"})), (2, json!("two"))];
    assert_eq!(read(&path, LastLine::Finished).unwrap(), wanted);
}

#[test]
fn appending_keeps_whole_lines_and_removes_an_unfinished_one() {
    let (_dir, path) = file(b"1\n2\n{\"cut");
    let mut writer = JsonLines::append(&path).unwrap();
    assert_eq!(writer.lines(), 2);
    writer.write(&3).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"1\n2\n3\n");
}

#[test]
fn resuming_cuts_to_the_lines_named() {
    let (_dir, path) = file(b"1\n2\n3\n4");
    JsonLines::resume(&path, 2).unwrap().write(&30).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"1\n2\n30\n");
    JsonLines::resume(&path, 0).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"");
    JsonLines::resume(&path.with_extension("new"), 0).unwrap().write(&1).unwrap();
    assert_eq!(fs::read(path.with_extension("new")).unwrap(), b"1\n");
}

#[test]
fn resuming_a_file_that_is_too_short_leaves_it_alone() {
    let (_dir, path) = file(b"1\n2");
    let error = JsonLines::resume(&path, 2).unwrap_err();
    assert!(matches!(error, JsonLinesError::TooFew { found: 1, wanted: 2, .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"1\n2");
}

#[cfg(unix)]
#[test]
fn what_is_no_regular_file_is_not_opened() {
    for open in [|path: &Path| JsonLines::resume(path, 0), |path: &Path| JsonLines::append(path)] {
        let error = open(Path::new("/dev/null")).unwrap_err();
        assert!(matches!(error, JsonLinesError::File(FileError::NotAFile { .. })), "{error}");
    }
    let (dir, path) = file(b"somebody else's");
    let link = dir.path().join("link.jsonl");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(JsonLines::resume(&link, 0).is_err());
    assert_eq!(fs::read(&path).unwrap(), b"somebody else's");
}

#[test]
fn a_value_without_json_form_writes_nothing() {
    let (_dir, path) = file(b"");
    let mut writer = JsonLines::append(&path).unwrap();
    let error = writer.write(&BTreeMap::from([(vec![1], 2)])).unwrap_err();
    assert!(matches!(error, JsonLinesError::Unwritable { .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"");
}

#[test]
fn a_reader_beside_the_writer_sees_whole_lines_only() {
    let (_dir, path) = file(b"");
    let long = "x".repeat(30_000);
    let writing = std::thread::spawn({
        let (path, long) = (path.clone(), long.clone());
        move || {
            let mut writer = JsonLines::append(&path).unwrap();
            for _ in 0..200 {
                writer.write(&long).unwrap();
            }
        }
    });
    let options = ReadOptions { last_line: LastLine::Dropped, ..ReadOptions::default() };
    loop {
        let done = writing.is_finished();
        let lines: Result<Vec<(usize, String)>, _> = read_lines(&path, options).unwrap().collect();
        let lines = lines.unwrap();
        assert!(lines.iter().all(|(_, text)| *text == long), "a part of a line was taken for a line");
        if done {
            assert_eq!(lines.len(), 200);
            break;
        }
    }
    writing.join().unwrap();
}

#[test]
fn an_unfinished_last_line_is_an_error_dropped_or_taken_as_asked() {
    let (_dir, path) = file(b"1\n2");
    let error = read(&path, LastLine::Finished).unwrap_err();
    assert!(matches!(error, JsonLinesError::Unfinished { line: 2, .. }), "{error}");
    assert_eq!(read(&path, LastLine::Dropped).unwrap(), [(1, json!(1))]);
    assert_eq!(read(&path, LastLine::Taken).unwrap(), [(1, json!(1)), (2, json!(2))]);
}

#[test]
fn a_line_that_does_not_parse_is_named_with_file_line_and_column() {
    let (_dir, path) = file(b"1\n\n{\"a\" 2}\n4\n");
    let mut lines = read_lines::<Value>(&path, ReadOptions::default()).unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), (1, json!(1)));
    let message = lines.next().unwrap().unwrap_err().to_string();
    assert!(message.contains("lines.jsonl:3: "), "{message}");
    assert!(message.ends_with("at column 6"), "{message}");
    assert!(lines.next().is_none(), "nothing follows an error");
}

#[test]
fn a_line_over_the_limit_is_refused_and_one_at_it_is_not() {
    let fits = format!("\"{}\"\n", "x".repeat(38));
    let (_dir, path) = file(fits.as_bytes());
    assert_eq!(read(&path, LastLine::Finished).unwrap().len(), 1);
    for end in ["", "\n", "x\n"] {
        fs::write(&path, format!("1\n\"{}\"{end}", "x".repeat(39))).unwrap();
        let error = read(&path, LastLine::Taken).unwrap_err();
        assert!(matches!(error, JsonLinesError::TooLong { line: 2, limit: 40, .. }), "{error}");
    }
}

#[test]
fn blank_lines_carriage_returns_and_a_byte_order_mark_are_passed_over() {
    let (_dir, path) = file("\u{feff}1\r\n\r\n  \n2\r\n\n".as_bytes());
    assert_eq!(read(&path, LastLine::Finished).unwrap(), [(1, json!(1)), (4, json!(2))]);
}

#[test]
fn a_missing_file_is_named() {
    let error = read_lines::<Value>(Path::new("absent.jsonl"), ReadOptions::default()).unwrap_err();
    assert!(error.to_string().contains("absent.jsonl"), "{error}");
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused_without_a_panic(content in prop::collection::vec(any::<u8>(), 0..200)) {
        let (_dir, path) = file(&content);
        for last_line in [LastLine::Finished, LastLine::Dropped, LastLine::Taken] {
            let _ = read(&path, last_line);
        }
    }

    #[test]
    fn any_strings_survive_a_round_trip(texts in prop::collection::vec(any::<String>(), 0..8)) {
        let (_dir, path) = file(b"");
        let mut writer = JsonLines::append(&path).unwrap();
        for text in &texts {
            writer.write(text).unwrap();
        }
        let back: Result<Vec<(usize, String)>, _> = read_lines(&path, ReadOptions::default()).unwrap().collect();
        let wanted: Vec<_> = texts.into_iter().enumerate().map(|(i, t)| (i + 1, t)).collect();
        prop_assert_eq!(back.unwrap(), wanted);
    }
}
