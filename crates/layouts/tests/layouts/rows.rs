//! Ten rows in every layout, and the rows that almost have one.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use vigos_grade::grade_question;
use vigos_layouts::{DemonstrationFields, Reader, RowFields, recognised};
use vigos_recipe::{BadRow, DataLayout, Fields, ImageSource, Row, Speaker, Turns};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures")
}

fn questions() -> RowFields {
    RowFields::from(&Fields::default())
}

/// The records of a layout's file.
fn records(layout: DataLayout) -> Vec<Map<String, Value>> {
    let path = fixtures().join("layouts").join(layout.name()).with_extension("jsonl");
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn read_as(
    record: &Map<String, Value>,
    fields: RowFields,
    layout: DataLayout,
    turns: Turns,
) -> Vec<Result<Row, BadRow>> {
    Reader { fields, layout, turns, links: Default::default() }.rows(
        record,
        "set:1",
        1,
        &fixtures().join("images"),
    )
}

fn rows(record: &Map<String, Value>, turns: Turns) -> Vec<Result<Row, BadRow>> {
    read_as(record, questions(), DataLayout::Auto, turns)
}

/// Question, answer and the names of the images.
fn seen(row: &Row) -> (String, String, Vec<String>) {
    let name = |image: &ImageSource| match image {
        ImageSource::File(path) => path.file_name().unwrap().to_string_lossy().into_owned(),
        ImageSource::Bytes(bytes) => format!("{} bytes", bytes.len()),
        ImageSource::Link(link) => link.to_string(),
    };
    (row.problem.clone(), row.answer.clone(), row.images.iter().map(name).collect())
}

fn object(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

/// What is said of a record that cannot be used.
fn refused(record: Value, layout: DataLayout) -> String {
    let rows = read_as(&object(record.clone()), questions(), layout, Turns::Refuse);
    let [Err(bad)] = rows.as_slice() else { panic!("{record}: {rows:?}") };
    assert_eq!(bad.origin, "set:1");
    bad.reason.clone()
}

#[test]
fn the_layout_of_a_row_is_told_by_its_fields_and_reading_by_name_gives_the_same() {
    for layout in DataLayout::ALL {
        let records = records(layout);
        assert_eq!(records.len(), 10);
        for record in &records {
            assert_eq!(recognised(record, &questions()), Some(layout), "{record:?}");
            let read = rows(record, Turns::Last);
            assert!(read.iter().all(Result::is_ok), "{record:?}: {read:?}");
            assert_eq!(read_as(record, questions(), layout, Turns::Last), read);
        }
    }
    assert_eq!(recognised(&object(json!({"image": "a.png", "caption": "a cat"})), &questions()), None);
}

#[test]
fn a_question_its_images_and_the_answer_are_what_the_layout_says() {
    let of = |layout, row: usize| seen(rows(&records(layout)[row], Turns::Last)[0].as_ref().unwrap());
    let wanted = |problem: &str, answer: &str, images: &[&str]| {
        (problem.to_owned(), answer.to_owned(), images.iter().map(|name| (*name).to_owned()).collect())
    };
    let two = ["wide.png", "tall.png"];
    let cases: &[(DataLayout, usize, &str, &str, &[&str])] = &[
        (DataLayout::Rows, 0, "How many cups stand on the table?", "3", &["wide.png"]),
        (DataLayout::Rows, 8, "Are the two alike?", "false", &two),
        (DataLayout::Rows, 9, "Is <image> larger than <image>?", "yes", &two),
        (DataLayout::Llava, 0, "How many cups stand on the table?", "3", &["wide.png"]),
        (DataLayout::Llava, 1, "Which colour is the largest shape?\n<image>", "teal", &["tall.png"]),
        (DataLayout::Llava, 8, "Are the two alike?", "no", &two),
        (DataLayout::Messages, 5, "Which animal is behind the fence?<image>", "a goat", &["wide.png"]),
        (DataLayout::Messages, 7, "Is it dark?", "yes", &["tiny.png"]),
        (DataLayout::Messages, 9, "And its colour?", "grey", &["gray.png"]),
        (DataLayout::Sharegpt, 9, "Are they alike?", "no", &two),
        (DataLayout::Trl, 3, "What does the sign say?", "EXIT", &["gray.png"]),
        (DataLayout::Trl, 5, "Which animal is behind the fence?", "a goat", &["wide.png"]),
        (DataLayout::Vqa, 0, "How many cups stand on the table?", "3", &["wide.png"]),
        (DataLayout::Vqa, 3, "Which colour is it?\nA. red\nB. grey\nC. blue", "B", &["gray.png"]),
        (DataLayout::Vqa, 5, "Which is it?\nA. a cat\nB. a dog's bed", "A", &["tall.png"]),
        (DataLayout::Vqa, 6, "Which is it?\nA. a cat\nB. a dog\nC. a cow", "C", &["tiny.png"]),
        (DataLayout::Vqa, 7, "Which is it?\nA. a cat\nB. a dog", "B", &["wide.png"]),
        (DataLayout::Vqa, 8, "What is it?", "a cat", &["wide.png"]),
        (DataLayout::Vqa, 9, "What is on the photo?", "grass", &["photo.jpg"]),
        (DataLayout::Instruction, 8, "Answer the question.\nWhat colour is it?", "teal", &["wide.png"]),
    ];
    for (layout, row, problem, answer, images) in cases {
        assert_eq!(of(*layout, *row), wanted(problem, answer, images), "{} row {row}", layout.name());
    }
}

#[test]
fn a_choice_is_graded_by_its_letter_and_by_its_text() {
    let row = rows(&records(DataLayout::Vqa)[3], Turns::Refuse).remove(0).unwrap();
    for (said, right) in [("B", true), ("(b)", true), ("grey", true), ("A", false), ("blue", false)] {
        assert_eq!(grade_question(&row.problem, said, &row.answer), right, "{said}");
    }
}

#[test]
fn what_a_system_is_told_is_kept_wherever_it_stands() {
    for (layout, row) in [
        (DataLayout::Llava, 9),
        (DataLayout::Messages, 8),
        (DataLayout::Sharegpt, 7),
        (DataLayout::Trl, 8),
        (DataLayout::Instruction, 9),
    ] {
        let row = rows(&records(layout)[row], Turns::Refuse).remove(0).unwrap();
        let [told] = row.before.as_slice() else { panic!("{row:?}") };
        assert_eq!((told.speaker, told.text.as_str()), (Speaker::System, "Answer with one word."), "{row:?}");
    }
    let demonstrations = RowFields::from(&DemonstrationFields::default());
    let record = &records(DataLayout::Llava)[9];
    let row = read_as(record, demonstrations, DataLayout::Auto, Turns::Refuse).remove(0).unwrap();
    assert_eq!((row.before.len(), row.demonstration.unwrap().completion), (1, "teal".to_owned()));
}

#[test]
fn a_conversation_is_refused_or_its_last_question_is_asked_or_each() {
    let record = &records(DataLayout::Sharegpt)[9];
    let refused = rows(record, Turns::Refuse).remove(0).unwrap_err().reason;
    assert!(refused.contains("found 3 questions") && refused.contains("data.turns = \"last\""), "{refused}");

    let last = rows(record, Turns::Last).remove(0).unwrap();
    let said: Vec<(&str, &str)> = last.before.iter().map(|t| (t.speaker.name(), t.text.as_str())).collect();
    assert_eq!(
        said,
        [
            ("user", "<image>What is it?"),
            ("assistant", "A square."),
            ("user", "And this? <image>"),
            ("assistant", "a circle")
        ]
    );
    let each: Vec<Row> = rows(record, Turns::Each).into_iter().map(Result::unwrap).collect();
    assert_eq!(each.iter().map(|row| row.id.as_str()).collect::<Vec<_>>(), ["s9-1", "s9-2", "s9-3"]);
    assert_eq!(each.iter().map(|row| row.images.len()).collect::<Vec<_>>(), [1, 2, 2]);
    assert_eq!(
        each.iter().map(|row| row.answer.as_str()).collect::<Vec<_>>(),
        ["A square.", "a circle", "no"]
    );
    assert_eq!(each[1].problem, "And this? <image>");
    assert_eq!(Row { id: last.id.clone(), ..each[2].clone() }, last);
    // A conversation of one question is a row of its own name.
    assert_eq!(rows(&records(DataLayout::Sharegpt)[0], Turns::Each)[0].as_ref().unwrap().id, "s0");
}

#[test]
fn a_row_that_almost_has_a_layout_says_what_is_wrong() {
    let talk = |turns: Value| json!({"image": "wide.png", "conversations": turns});
    let vqa = |choices: Value, answer: Value| json!({"image": "wide.png", "question": "Which?", "choices": choices, "answer": answer});
    for (record, parts) in [
        // Images that are more or fewer than their places.
        (
            talk(json!([{"from": "human", "value": "<image><image>p"}, {"from": "gpt", "value": "x"}])),
            ["\"conversations\"", "found 2 marks `<image>` in the question and 1 image"],
        ),
        (
            json!({"images": ["wide.png", "tall.png"], "messages": [{"role": "user", "content": "<image>p"}, {"role": "assistant", "content": "x"}]}),
            ["\"messages\"", "found 1 mark `<image>` in the question and 2 images"],
        ),
        // An empty answer.
        (
            talk(json!([{"from": "human", "value": "p"}, {"from": "gpt", "value": " "}])),
            ["\"conversations\"", "found a blank turn of the assistant, wanted a text"],
        ),
        (
            json!({"image": "wide.png", "prompt": "p", "completion": ""}),
            ["\"completion\"", "found a blank string"],
        ),
        (json!({"image": "wide.png", "question": "p", "answer": ""}), ["\"answer\"", "found a blank string"]),
        (json!({"image": "wide.png", "problem": "p", "answer": ""}), ["\"answer\"", "found a blank string"]),
        (json!({"image": "wide.png", "prompt": "p"}), ["no field \"answer\"", "image, prompt"]),
        (json!({"image": "wide.png", "question": "p"}), ["no field \"answer\"", "multiple_choice_answer"]),
        // Someone who is not known.
        (
            talk(json!([{"from": "narrator", "value": "p"}])),
            ["found a turn of \"narrator\"", "wanted those of system, user and assistant"],
        ),
        (talk(json!([{"value": "p"}])), ["found a turn without `role` or `from`", "who speaks"]),
        // Several answers.
        (
            talk(
                json!([{"from": "human", "value": "p"}, {"from": "gpt", "value": "x"}, {"from": "gpt", "value": "y"}]),
            ),
            ["two turns of the assistant in a row", "several answers"],
        ),
        (
            json!({"image": "wide.png", "question": "p", "answers": ["x", "y"]}),
            ["\"answers\": found several answers, 2 of them, wanted one", "the most frequent"],
        ),
        (
            json!({"image": "wide.png", "problem": "p", "answer": ["x", "y"]}),
            ["\"answer\"", "found a list of 2 answers, wanted one"],
        ),
        // Turns out of order.
        (
            talk(json!([{"from": "human", "value": "p"}, {"from": "human", "value": "q"}])),
            ["\"conversations\"", "two turns of the user in a row"],
        ),
        (talk(json!([{"from": "gpt", "value": "x"}])), ["\"conversations\"", "no turn of the user"]),
        (
            talk(json!([{"from": "human", "value": "p"}, {"from": "system", "value": "s"}])),
            ["found a turn of the system within the conversation", "before it"],
        ),
        // Choices.
        (
            vqa(json!(["a", "b"]), json!(2)),
            ["\"answer\": found \"2\", wanted one of 2 choices", "counted from 0"],
        ),
        (vqa(json!(["a", "b"]), json!("c")), ["\"answer\": found \"c\"", "its letter"]),
        (
            vqa(json!(["1", "2", "3"]), json!("1")),
            ["\"answer\": found \"1\", which can mean several", "write the letter"],
        ),
        (vqa(json!(["a"]), json!(0)), ["\"choices\": found one choice", "two or more"]),
        (vqa(json!(["a", null]), json!(0)), ["\"choices\": found null as a choice", "not blank"]),
        (vqa(json!("a or b"), json!(0)), ["\"choices\": found a string", "a list of choices"]),
        // Nothing that is known.
        (
            json!({"image": "wide.png", "caption": "a cat"}),
            ["no field \"problem\"; found the fields image, caption", "data.fields"],
        ),
        (json!({"prompt": "p", "completion": "x"}), ["no field \"image\"", "prompt, completion"]),
        (
            json!({"image": "https://example.org/a.png", "prompt": "p", "completion": "x"}),
            ["found a link to example.org", "data.image_links"],
        ),
        (json!({"image": "../a.png", "prompt": "p", "completion": "x"}), ["has a .. part", "below"]),
    ] {
        let message = refused(record.clone(), DataLayout::Auto);
        assert!(parts.iter().all(|part| message.contains(part)), "{record}: {message}");
    }
}

#[test]
fn a_layout_that_is_named_is_wanted_and_no_other() {
    let record = json!({"image": "wide.png", "problem": "p", "answer": "x"});
    for (layout, field) in [
        (DataLayout::Llava, "conversations"),
        (DataLayout::Sharegpt, "conversations"),
        (DataLayout::Messages, "messages"),
        (DataLayout::Trl, "prompt"),
        (DataLayout::Vqa, "question"),
        (DataLayout::Instruction, "instruction"),
    ] {
        let message = refused(record.clone(), layout);
        let said = format!("no field {field:?} with a value; found the fields image, problem, answer");
        assert!(message.contains(&said) && message.contains("data.layout"), "{message}");
    }
    let talk = json!({"image": "wide.png", "conversations": []});
    assert!(refused(talk, DataLayout::Rows).contains("no field \"problem\""));
}

#[test]
fn a_question_of_which_the_choices_are_listed_keeps_its_own_list() {
    let record = json!({"image": "wide.png", "question": "Which?\nA. a cat\nB. a dog", "choices": ["a cat", "a dog"], "answer": "B"});
    let row = rows(&object(record), Turns::Refuse).remove(0).unwrap();
    assert_eq!((row.problem.as_str(), row.answer.as_str()), ("Which?\nA. a cat\nB. a dog", "B"));
}

fn values() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "",
        " ",
        "<image>",
        "p",
        "A",
        "wide.png",
        "../x",
        "human",
        "gpt",
        "user",
        "assistant",
        "system",
        "['a', 'b']",
        "data:image/png;base64,iVBO",
        "https://x",
        "image",
        "text",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-2_i64..30).prop_map(Value::from),
        words.prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let keys = prop::sample::select(vec![
            "from",
            "value",
            "role",
            "content",
            "type",
            "text",
            "image",
            "image_url",
            "url",
            "path",
            "bytes",
            "answer",
            "label",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::vec((keys, inner), 0..4).prop_map(|pairs| {
                Value::Object(pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn no_record_makes_a_reader_panic_and_no_row_is_without_images(
        fields in prop::collection::vec(
            (prop::sample::select(vec![
                "image", "images", "conversations", "messages", "system", "prompt", "completion", "question", "choices",
                "options", "A", "B", "answer", "answers", "label", "problem", "solution", "query", "response", "id",
            ]), values()),
            0..6,
        ),
        layout in prop::sample::select(DataLayout::ALL.to_vec()),
        turns in prop::sample::select(vec![Turns::Refuse, Turns::Last, Turns::Each]),
        auto: bool,
    ) {
        let record: Map<String, Value> = fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        let layout = if auto { DataLayout::Auto } else { layout };
        for fields in [questions(), RowFields::from(&DemonstrationFields::default())] {
            let read = read_as(&record, fields.clone(), layout, turns);
            prop_assert!(!read.is_empty());
            prop_assert!(turns == Turns::Each || read.len() == 1);
            for row in read.iter().flatten() {
                prop_assert!(!row.images.is_empty());
                prop_assert!(row.demonstration.is_some() || !row.answer.trim().is_empty());
            }
            prop_assert_eq!(&read, &read_as(&record, fields, layout, turns));
        }
    }
}
