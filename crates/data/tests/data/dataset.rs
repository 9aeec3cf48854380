//! Data sets as their users write them, right and wrong.

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use vigos_data::{Dataset, DatasetError, Fields, ImageSource, Reading, Row};

/// A data set with these lines, in a folder of the test's own.
fn file(lines: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("set.jsonl");
    fs::write(&path, lines).unwrap();
    (dir, path)
}

fn open(lines: &str) -> Result<Dataset, DatasetError> {
    let (_dir, path) = file(lines);
    Dataset::open(&path, &Fields::default(), None)
}

/// Every row, with its images there.
fn rows(set: &Dataset) -> Vec<Row> {
    (0..set.count().get()).map(|index| set.load(index).unwrap().unwrap()).collect()
}

/// The message for a data set of this one line, which must not open.
fn refused(line: &str) -> String {
    open(line).expect_err(line).to_string()
}

#[test]
fn rows_are_read_in_order_with_their_texts_and_image_paths() {
    let (dir, path) = file(concat!(
        r#"{"id": "a", "image": "images/1.png", "problem": "How many?", "answer": "4"}"#,
        "\n\n",
        r#"{"id": 7, "images": ["1.png", "2.png"], "problem": "", "answer": 0}"#,
        "\n",
        r#"{"image": ["x.png"], "images": null, "problem": "p", "answer": true, "extra": {}}"#,
    ));
    fs::create_dir(dir.path().join("images")).unwrap();
    for image in ["images/1.png", "1.png", "2.png", "x.png"] {
        fs::write(dir.path().join(image), b"").unwrap();
    }
    let rows = rows(&Dataset::open(&path, &Fields::default(), None).unwrap());
    let found: Vec<_> = rows.iter().map(|r| (r.id.as_str(), r.problem.as_str(), r.answer.as_str())).collect();
    assert_eq!(found, [("a", "How many?", "4"), ("7", "", "0"), ("4", "p", "true")]);
    let origins: Vec<_> = rows.iter().map(|r| r.origin.rsplit_once(':').unwrap().1).collect();
    assert_eq!(origins, ["1", "3", "4"]);
    let root = dir.path().canonicalize().unwrap();
    let file = |name: &str| ImageSource::File(root.join(name));
    assert_eq!(rows[0].images, [file("images/1.png")]);
    assert_eq!(rows[1].images, [file("1.png"), file("2.png")]);
    assert_eq!(rows[2].images, [file("x.png")]);
}

#[test]
fn numbers_keep_the_digits_that_they_were_written_with() {
    let answer = |text: &str| {
        let (dir, path) = file(&format!(r#"{{"image": "a", "problem": "p", "answer": {text}}}"#));
        fs::write(dir.path().join("a"), b"").unwrap();
        rows(&Dataset::open(&path, &Fields::default(), None).unwrap()).remove(0).answer
    };
    for text in ["0", "-3", "0.1", "2.50", "12345678901234567890"] {
        let value: f64 = text.parse().unwrap();
        assert_eq!(answer(text).parse::<f64>().unwrap(), value);
    }
    assert_eq!(answer("0"), "0");
    assert_eq!(answer("18446744073709551615"), "18446744073709551615");
}

#[test]
fn other_field_names_are_taken_from_the_caller() {
    let (dir, path) = file(r#"{"question": "p", "picture": "a.png", "label": "x", "key": "k", "images": 3}"#);
    let fields = Fields {
        problem: "question".into(),
        image: "picture".into(),
        answer: "label".into(),
        id: "key".into(),
    };
    fs::write(dir.path().join("a.png"), b"").unwrap();
    let row = rows(&Dataset::open(&path, &fields, None).unwrap()).remove(0);
    assert_eq!((row.id.as_str(), row.problem.as_str(), row.answer.as_str()), ("k", "p", "x"));
}

#[test]
fn a_limit_takes_the_first_rows_and_reads_no_further() {
    let (_dir, path) = file("{\"image\": \"a\", \"problem\": \"p\", \"answer\": 1}\nnot JSON\n");
    assert_eq!(Dataset::open(&path, &Fields::default(), Some(1)).unwrap().count().get(), 1);
    assert!(Dataset::open(&path, &Fields::default(), Some(2)).is_err());
    let error = Dataset::open(&path, &Fields::default(), Some(0)).unwrap_err();
    assert!(matches!(error, DatasetError::Empty { .. }), "{error}");
}

#[test]
fn a_missing_field_is_named_with_the_line_and_what_was_found() {
    let good = r#"{"image": "a", "problem": "p", "answer": "x"}"#;
    let message = refused(&format!("{good}\n{}", r#"{"image": "a", "text": "p", "answer": "x"}"#));
    for part in ["set.jsonl:2", "\"problem\"", "image, text, answer", "data.fields.problem=text"] {
        assert!(message.contains(part), "{message}");
    }
    for (field, line) in [
        ("image", r#"{"problem": "p", "answer": "x"}"#),
        ("answer", r#"{"image": "a", "problem": "p"}"#),
        ("problem", "{}"),
    ] {
        let message = refused(line);
        assert!(message.contains(&format!("no field \"{field}\"")), "{message}");
    }
}

#[test]
fn a_field_of_a_wrong_type_is_named_with_what_it_holds() {
    for (line, field, found) in [
        (r#"{"image": "a", "problem": 3, "answer": "x"}"#, "problem", "found 3"),
        (r#"{"image": "a", "problem": null, "answer": "x"}"#, "problem", "found null"),
        (r#"{"image": "a", "problem": "p", "answer": null}"#, "answer", "found null"),
        (r#"{"image": null, "problem": "p", "answer": "x"}"#, "image", "found null"),
        (r#"{"images": null, "problem": "p", "answer": "x"}"#, "images", "found null"),
        (r#"{"image": "a", "problem": "p", "answer": [null]}"#, "answer", "found a list"),
        (r#"{"image": "a", "problem": "p", "answer": ["x"]}"#, "answer", "found a list"),
        (r#"{"image": "a", "problem": "p", "answer": " "}"#, "answer", "found a blank string"),
        (
            r#"{"image": {"bytes": 0}, "problem": "p", "answer": "x"}"#,
            "image",
            "found an object without path",
        ),
        (r#"{"images": [], "problem": "p", "answer": "x"}"#, "images", "found an empty list"),
        (r#"{"images": ["a", 1], "problem": "p", "answer": "x"}"#, "images", "found 1"),
        (r#"{"image": "a", "images": ["b"], "problem": "p", "answer": "x"}"#, "images", "only one of"),
        (r#"{"id": true, "image": "a", "problem": "p", "answer": "x"}"#, "id", "found true"),
    ] {
        let message = refused(line);
        for part in ["set.jsonl:1", &format!("{field:?}"), found] {
            assert!(message.contains(part), "{line}: {message}");
        }
    }
}

#[test]
fn a_line_that_is_not_an_object_is_named() {
    for line in ["[1]", "3", "{\"image\"", "nonsense"] {
        let message = refused(line);
        assert!(message.contains("set.jsonl:1") || message.contains("set.jsonl: row 1"), "{line}: {message}");
    }
}

#[test]
fn an_image_path_that_leaves_the_folder_is_refused_on_opening() {
    for path in ["../a.png", "/etc/passwd", "images/../../a.png", "C:/a.png", ""] {
        let row = format!(r#"{{"image": "{path}", "problem": "p", "answer": "x"}}"#);
        let error = open(&row).unwrap_err();
        assert!(matches!(&error, DatasetError::Row(bad) if bad.origin.ends_with(":1")), "{path}: {error}");
        assert!(error.to_string().contains("field \"image\": the path"), "{path}: {error}");
    }
}

#[test]
fn a_missing_image_makes_a_bad_row_and_no_other() {
    let (dir, path) = file(concat!(
        r#"{"image": "there.png", "problem": "p", "answer": "x"}"#,
        "\n",
        r#"{"image": "gone.png", "problem": "p", "answer": "x"}"#,
    ));
    fs::write(dir.path().join("there.png"), b"").unwrap();
    let set = Dataset::open(&path, &Fields::default(), None).unwrap();
    assert!(set.load(0).unwrap().is_ok());
    let bad = set.load(1).unwrap().unwrap_err();
    assert!(bad.origin.ends_with("set.jsonl:2") && bad.reason.contains("gone.png"), "{bad:?}");
    assert_eq!(bad.id, "2");
    assert!(matches!(set.load(2), Err(DatasetError::NoSuchRow { index: 2, rows: 2, .. })));
}

#[test]
fn other_kinds_of_data_sets_are_refused_as_such() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["set.xml", "set", "set.xlsx.gz"] {
        let message = Dataset::open(name.as_ref(), &Fields::default(), None).unwrap_err().to_string();
        assert!(message.contains("expected a .jsonl file"), "{message}");
    }
    let folder = dir.path().join("folder.jsonl");
    fs::create_dir(&folder).unwrap();
    let message = Dataset::open(&folder, &Fields::default(), None).unwrap_err().to_string();
    assert!(message.contains("has no file of rows"), "{message}");
    let message =
        Dataset::open_with("a.jsonl".as_ref(), Some("train"), &Fields::default(), Reading::default());
    assert!(message.unwrap_err().to_string().contains("there is no split \"train\""));
}

#[test]
fn a_missing_or_empty_data_set_is_an_error_with_its_path() {
    let message = Dataset::open("absent.jsonl".as_ref(), &Fields::default(), None).unwrap_err().to_string();
    assert!(message.contains("absent.jsonl"), "{message}");
    assert!(matches!(open("\n\n"), Err(DatasetError::Empty { .. })));
}

proptest! {
    #[test]
    fn any_value_in_a_field_is_read_or_refused(
        field in prop::sample::select(vec!["id", "image", "images", "problem", "answer"]),
        value in prop::sample::select(vec![
            "null", "true", "0", "-1.5e300", "\"\"", "\"a\"", "\"../a\"", "[]", "[\"a\"]", "[[]]", "{}", "1e999", "[",
        ]),
    ) {
        let mut row = vec![("image", "\"a\""), ("problem", "\"p\""), ("answer", "\"x\"")];
        row.retain(|(name, _)| *name != field);
        row.push((field, value));
        let parts: Vec<_> = row.iter().map(|(name, value)| format!("{name:?}: {value}")).collect();
        let (dir, path) = file(&format!("{{{}}}", parts.join(", ")));
        fs::write(dir.path().join("a"), b"").unwrap();
        if let Ok(set) = Dataset::open(&path, &Fields::default(), None) {
            prop_assert_eq!(set.count().get(), 1);
            prop_assert!(set.load(0).unwrap().is_ok_and(|row| !row.images.is_empty()));
        }
    }
}
