//! Demonstrations as people write them, and what is refused.

use std::path::PathBuf;

use vigos_data::{Dataset, DatasetError, DemonstrationFields, ImageSource, Row};

/// A folder with an image and a file of these lines.
fn folder(lines: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.png"), b"").unwrap();
    let path = dir.path().join("rows.jsonl");
    std::fs::write(&path, lines).unwrap();
    (dir, path)
}

fn open(lines: &str) -> Result<Dataset, DatasetError> {
    let (_dir, path) = folder(lines);
    Dataset::open(&path, &DemonstrationFields::default(), None)
}

/// Name, prompt, prefill and completion.
fn texts(row: &Row) -> [&str; 4] {
    let demonstration = row.demonstration.as_ref().unwrap();
    [&row.id, &row.problem, &demonstration.prefill, &demonstration.completion]
}

#[test]
fn a_row_has_what_is_written_and_nothing_where_a_text_may_be_absent() {
    let (dir, path) = folder(concat!(
        r#"{"id": 7, "image": "a.png", "prompt": "p", "prefill": "<d>", "completion": " c ", "form": "x"}"#,
        "\n\n",
        r#"{"images": ["a.png", "a.png"], "prompt": null, "completion": "only"}"#
    ));
    let rows = Dataset::open(&path, &DemonstrationFields::default(), None).unwrap();
    assert_eq!(rows.count().get(), 2);
    let first = rows.load(0).unwrap().unwrap();
    assert_eq!(texts(&first), ["7", "p", "<d>", " c "]);
    let image = dir.path().canonicalize().unwrap().join("a.png");
    assert_eq!(first.images, [ImageSource::File(image)]);
    assert!(first.origin.ends_with("rows.jsonl:1"), "{}", first.origin);
    let second = rows.load(1).unwrap().unwrap();
    assert_eq!(texts(&second), ["3", "", "", "only"]);
    assert_eq!(second.images.len(), 2);
    assert!(matches!(rows.load(2), Err(DatasetError::NoSuchRow { index: 2, rows: 2, .. })));
}

#[test]
fn fields_may_have_other_names_and_a_limit_counts_rows() {
    let row = r#"{"image": "a.png", "problem": "q", "answer": "yes", "completion": 3}"#;
    let (_dir, path) = folder(&[row; 3].join("\n"));
    let fields = DemonstrationFields {
        prompt: "problem".into(),
        completion: "answer".into(),
        ..DemonstrationFields::default()
    };
    let rows = Dataset::open(&path, &fields, Some(2)).unwrap();
    assert_eq!(rows.count().get(), 2);
    let row = rows.load(0).unwrap().unwrap();
    assert_eq!(texts(&row), ["1", "q", "", "yes"]);
}

#[test]
fn an_image_that_is_not_there_spoils_its_row_alone() {
    let rows = r#"{"image": "b.png", "completion": "c"}"#;
    let (_dir, path) = folder(rows);
    let rows = Dataset::open(&path, &DemonstrationFields::default(), None).unwrap();
    let bad = rows.load(0).unwrap().unwrap_err();
    assert!(bad.reason.contains("b.png"), "{}", bad.reason);
}

#[test]
fn a_row_that_is_wrong_is_named_by_line_and_field() {
    let good = r#"{"image": "a.png", "completion": "c"}"#;
    for (row, field) in [
        (r#"{"image": "a.png"}"#, "completion"),
        (r#"{"image": "a.png", "completion": "  "}"#, "completion"),
        (r#"{"image": "a.png", "completion": 3}"#, "completion"),
        (r#"{"image": "a.png", "completion": "c", "prompt": ["p"]}"#, "prompt"),
        (r#"{"image": "a.png", "completion": "c", "prefill": false}"#, "prefill"),
        (r#"{"completion": "c"}"#, "image"),
        (r#"{"image": "../a.png", "completion": "c"}"#, "image"),
        (r#"{"image": [], "completion": "c"}"#, "image"),
    ] {
        let message = open(&format!("{good}\n{row}")).unwrap_err().to_string();
        assert!(message.contains("rows.jsonl:2") && message.contains(field), "{row}: {message}");
    }
    assert!(matches!(open("\n"), Err(DatasetError::Empty { .. })));
    assert!(matches!(open("{"), Err(DatasetError::Row(_))));
}
