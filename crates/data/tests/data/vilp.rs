//! ViLP's layout from both formats, and what rows say of themselves.

use crate::writer;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{ListBuilder, StringBuilder};
use arrow_array::{ArrayRef, Int64Array};
use vigos_data::vilp::{Vilp, Wording};
use vigos_data::{Dataset, DatasetError, Fields, ImageSource, Labels, Place, Role, Row};
use writer::{bytes, structs, table, texts, write};

const QUESTION: &str = "Bananas are yellow. Which colour has the banana?";

fn open(path: &Path, wording: Wording) -> Vilp {
    Vilp::open(wording, |fields| Dataset::open(path, fields, None)).unwrap()
}

fn rows(vilp: &Vilp) -> Vec<Row> {
    (0..vilp.count()).map(|index| vilp.load(index).unwrap().unwrap()).collect()
}

/// Two rows of three images each in both formats; the bytes of an image are its name.
fn both(dir: &Path) -> [std::path::PathBuf; 2] {
    let cells = |column: &str| [format!("{column}-0"), format!("{column}-1")];
    let text = |column: &str| {
        let cells = cells(column);
        texts(&[Some(&cells[0]), Some(&cells[1])])
    };
    let mut columns = vec![("question", texts(&[Some(QUESTION), Some("No fact here?")]))];
    for (image, answer) in [("image1", "answer1"), ("image2", "answer2"), ("image3", "answer3")] {
        columns.push((image, structs(&cells(image).map(|name| bytes(name.as_bytes())))));
        columns.push((answer, text(answer)));
    }
    let parquet = dir.join("train-00000-of-00001.parquet");
    write(&parquet, &table(columns), 1);
    let line = |row: usize, question: &str| {
        let part = |n: usize| {
            let image = format!("image{n}-{row}");
            fs::write(dir.join(&image), &image).unwrap();
            format!("\"image{n}\": \"{image}\", \"answer{n}\": \"answer{n}-{row}\"")
        };
        format!("{{\"question\": \"{question}\", {}, {}, {}}}\n", part(1), part(2), part(3))
    };
    let lines = dir.join("vilp.jsonl");
    fs::write(&lines, line(0, QUESTION) + &line(1, "No fact here?")).unwrap();
    [parquet, lines]
}

#[test]
fn a_row_makes_three_questions_in_both_formats() {
    let dir = tempfile::tempdir().unwrap();
    for path in both(dir.path()) {
        let rows = rows(&open(&path, Wording::Fact));
        assert_eq!(rows.len(), 6);
        for (index, row) in rows.iter().enumerate() {
            let (triple, number) = (index / 3, index % 3 + 1);
            assert_eq!(row.id, format!("{}-{number}", triple + 1));
            assert_eq!(row.answer, format!("answer{number}-{triple}"));
            let image = match &row.images[..] {
                [ImageSource::Bytes(bytes)] => bytes.to_vec(),
                [ImageSource::File(path)] => fs::read(path).unwrap(),
                other => panic!("{other:?}"),
            };
            assert_eq!(image, format!("image{number}-{triple}").into_bytes());
            let role = if number == 1 { Role::Prior } else { Role::Score };
            let place = Place { triple: triple as u64, role, wording: Some("fact".into()) };
            assert_eq!(row.labels.place.as_ref(), Some(&place));
        }
        assert_eq!(rows[0].problem, format!("Answer with one word. {QUESTION}"));
    }
}

#[test]
fn the_plain_wording_drops_what_comes_before_the_first_full_stop() {
    let dir = tempfile::tempdir().unwrap();
    let [parquet, _] = both(dir.path());
    let rows = rows(&open(&parquet, Wording::Plain));
    assert_eq!(rows[2].problem, "Answer with one word. Which colour has the banana?");
    assert_eq!(rows[3].problem, "Answer with one word. No fact here?");
    assert_eq!(rows[2].labels.place.as_ref().unwrap().wording.as_deref(), Some("plain"));
    for (question, wanted) in
        [("a.b? c.", "b? c."), ("all.", "all."), ("", ""), ("no stop", "no stop"), (". x", "x")]
    {
        assert_eq!(Wording::Plain.of(question), wanted);
        assert_eq!(Wording::Fact.of(question), question);
    }
}

#[test]
fn another_layout_is_refused_with_the_column_that_lacks() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.jsonl");
    fs::write(&path, "{\"question\": \"?\", \"image1\": \"a\", \"answer1\": \"x\"}").unwrap();
    let error = Vilp::open(Wording::Fact, |fields| Dataset::open(&path, fields, None)).unwrap_err();
    assert!(
        matches!(&error, DatasetError::Row(bad) if bad.reason.contains("no field \"answer2\"")),
        "{error}"
    );
}

#[test]
fn rows_of_both_formats_say_the_same_of_themselves() {
    let dir = tempfile::tempdir().unwrap();
    let lines = dir.path().join("a.jsonl");
    fs::write(dir.path().join("i"), "x").unwrap();
    let base = "\"image\": \"i\", \"problem\": \"?\", \"answer\": \"a\"";
    fs::write(
        &lines,
        format!(
            "{{{base}, \"kind\": \"colour\", \"triple\": 7, \"role\": \"score\", \"wording\": \"fact\", \
             \"wrong_answers\": [\"b\", \"c\"]}}\n{{{base}}}\n"
        ),
    )
    .unwrap();
    let mut wrong = ListBuilder::new(StringBuilder::new());
    wrong.values().append_value("b");
    wrong.values().append_value("c");
    wrong.append(true);
    wrong.append(false);
    let triples: ArrayRef = Arc::new(Int64Array::from(vec![Some(7), None]));
    let optional = |text| texts(&[Some(text), None]);
    let parquet = dir.path().join("a.parquet");
    let columns = vec![
        ("image", structs(&[bytes(b"x"), bytes(b"x")])),
        ("problem", texts(&[Some("?"), Some("?")])),
        ("answer", texts(&[Some("a"), Some("a")])),
        ("kind", optional("colour")),
        ("triple", triples),
        ("role", optional("score")),
        ("wording", optional("fact")),
        ("wrong_answers", Arc::new(wrong.finish()) as ArrayRef),
    ];
    write(&parquet, &table(columns), 10);
    let place = Place { triple: 7, role: Role::Score, wording: Some("fact".into()) };
    let labels = Labels {
        kind: Some("colour".into()),
        place: Some(place),
        wrong_answers: vec!["b".into(), "c".into()],
        ..Labels::default()
    };
    for path in [lines, parquet] {
        let set = Dataset::open(&path, &Fields::default(), None).unwrap();
        assert_eq!(set.load(0).unwrap().unwrap().labels, labels);
        assert_eq!(set.load(1).unwrap().unwrap().labels, Labels::default());
    }
}

#[test]
fn a_triple_without_a_role_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.jsonl");
    for (more, field) in [
        ("\"triple\": 1", "role"),
        ("\"triple\": 1, \"role\": \"other\"", "role"),
        ("\"triple\": -1, \"role\": \"prior\"", "triple"),
        ("\"wrong_answers\": \"b\"", "wrong_answers"),
        ("\"wrong_answers\": [\" \"]", "wrong_answers"),
    ] {
        fs::write(&path, format!("{{\"image\": \"i\", \"problem\": \"?\", \"answer\": \"a\", {more}}}"))
            .unwrap();
        let error = Dataset::open(&path, &Fields::default(), None).unwrap_err().to_string();
        assert!(error.contains("a.jsonl:1") && error.contains(&format!("{field:?}")), "{error}");
    }
}
