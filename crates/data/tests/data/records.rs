//! Text files of rows as people and other tools write them.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use proptest::prelude::*;
use vigos_data::{Dataset, DatasetError, DemonstrationFields, Fields, ImageSource, Reading, Row};

/// A folder with pictures `a`, `b` and `c`, and a file of this name and content.
fn file(name: &str, content: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    for picture in ["a.png", "b.png", "c.png"] {
        fs::write(dir.path().join(picture), picture).unwrap();
    }
    let path = dir.path().join(name);
    fs::write(&path, content).unwrap();
    (dir, path)
}

fn open(path: &Path) -> Result<Dataset, DatasetError> {
    Dataset::open(path, &Fields::default(), None)
}

/// Question, answer and the names of the images, or the data of those that a row holds.
fn seen(row: &Row) -> (String, String, Vec<String>) {
    let image = |image: &ImageSource| match image {
        ImageSource::File(path) => path.file_name().unwrap().to_string_lossy().into_owned(),
        ImageSource::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        ImageSource::Link(link) => link.to_string(),
    };
    (row.problem.clone(), row.answer.clone(), row.images.iter().map(image).collect())
}

/// The rows of a file of this name.
fn rows(name: &str, content: &[u8]) -> Vec<(String, String, Vec<String>)> {
    let (_dir, path) = file(name, content);
    let set = open(&path).unwrap_or_else(|error| panic!("{error}"));
    (0..set.count().get()).map(|index| seen(&set.load(index).unwrap().unwrap())).collect()
}

/// What is said of a row, the only one of its file.
fn refused(row: &str) -> String {
    let (_dir, path) = file("set.jsonl", row.as_bytes());
    let bad = match open(&path) {
        Err(error) => return error.to_string(),
        Ok(set) => set.load(0).unwrap().unwrap_err(),
    };
    format!("{} (id `{}`): {}", bad.origin, bad.id, bad.reason)
}

fn row(problem: &str, answer: &str, images: &[&str]) -> (String, String, Vec<String>) {
    (problem.into(), answer.into(), images.iter().map(|image| (*image).to_owned()).collect())
}

#[test]
fn the_layouts_of_other_trainers_are_read() {
    let two = row("Are they alike?", "no", &["a.png", "b.png"]);
    for line in [
        // LLaVA and ShareGPT.
        r#"{"image": ["a.png", "b.png"], "conversations": [{"from": "human", "value": "<image>\n<image>\nAre they alike?"}, {"from": "gpt", "value": "no"}]}"#,
        r#"{"images": ["a.png", "b.png"], "system": "Be brief.", "conversations": [{"from": "system", "value": "s"}, {"from": "user", "value": "Are they alike?"}, {"from": "assistant", "value": "no"}]}"#,
        // ms-swift, with the answer in either place.
        r#"{"images": ["a.png", "b.png"], "messages": [{"role": "user", "content": "<image><image>Are they alike?"}, {"role": "assistant", "content": "no"}]}"#,
        r#"{"images": ["a.png", "b.png"], "messages": [{"role": "user", "content": "Are they alike?"}], "solution": "no"}"#,
        r#"{"images": ["a.png", "b.png"], "query": "Are they alike?", "response": "no"}"#,
        // OpenAI, and Qwen's parts.
        r#"{"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "a.png"}}, {"type": "image_url", "image_url": "b.png"}, {"type": "text", "text": "Are they alike?"}]}, {"role": "assistant", "content": [{"type": "text", "text": "no"}]}]}"#,
        r#"{"messages": [{"role": "user", "content": [{"type": "image", "image": "a.png", "text": null}, {"type": "image", "path": "b.png"}, {"type": "text", "text": "Are they alike?", "image": null}]}, {"role": "assistant", "content": "no"}]}"#,
        // The pictures of the turns, listed a second time.
        r#"{"images": ["a.png", "b.png"], "messages": [{"role": "user", "content": [{"type": "image", "image": "a.png"}, {"type": "image", "image": "b.png"}, {"type": "text", "text": "Are they alike?"}]}, {"role": "assistant", "content": "no"}]}"#,
        // TRL.
        r#"{"images": [{"bytes": null, "path": "a.png"}, {"path": "b.png"}], "prompt": [{"role": "user", "content": [{"type": "image"}, {"type": "image"}, {"type": "text", "text": "Are they alike?"}]}], "solution": "no"}"#,
        r#"{"images": ["a.png", "b.png"], "prompt": "Are they alike?", "completion": "no"}"#,
        r#"{"images": ["a.png", "b.png"], "problem": "Are they alike?", "solution": "no"}"#,
        // Alpaca.
        r#"{"images": ["a.png", "b.png"], "instruction": "Are they alike?", "input": "", "output": "no"}"#,
        // What the recipe names counts before a layout.
        r#"{"images": ["a.png", "b.png"], "problem": "Are they alike?", "answer": "no", "messages": [{"role": "user", "content": "?"}], "prompt": 3}"#,
    ] {
        assert_eq!(rows("set.jsonl", line.as_bytes()), std::slice::from_ref(&two), "{line}");
    }
}

#[test]
fn a_row_for_another_layout_than_a_question_says_why() {
    for (line, part) in [
        (
            r#"{"image": "a.png", "messages": [{"role": "user", "content": "p"}, {"role": "assistant", "content": "x"}, {"role": "user", "content": "p"}]}"#,
            "wanted one exchange",
        ),
        (r#"{"image": "a.png", "messages": [{"role": "tool", "content": "p"}]}"#, "found a turn of \"tool\""),
        (r#"{"image": "a.png", "messages": [{"role": "assistant", "content": "p"}]}"#, "no turn of the user"),
        (
            r#"{"image": "a.png", "messages": [{"role": "user", "content": null}]}"#,
            "found null as a turn's content",
        ),
        (
            r#"{"image": "a.png", "messages": [{"role": "user", "content": [{"type": "video", "video": "v"}]}]}"#,
            "type \"video\"",
        ),
        (r#"{"image": "a.png", "messages": [{"role": "user", "content": "p"}]}"#, "no field \"answer\""),
        (r#"{"image": "a.png", "messages": "p"}"#, "wanted a list of turns"),
        (
            r#"{"images": ["a.png", "b.png"], "messages": [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "p"}]}], "solution": "x"}"#,
            "found 1 mark `<image>` in the question and 2 images",
        ),
        (
            r#"{"images": ["a.png", "b.png"], "messages": [{"role": "user", "content": [{"type": "image", "path": "c.png"}]}], "solution": "x"}"#,
            "found 1 images in it and 2 beside it",
        ),
        (r#"{"messages": [{"role": "user", "content": "p"}], "solution": "x"}"#, "no field \"image\""),
    ] {
        let message = refused(line);
        assert!(message.contains(part) && message.contains("set.jsonl:1"), "{line}: {message}");
    }
}

#[test]
fn a_renamed_field_is_looked_for_and_no_layout_instead() {
    let (_dir, path) = file("set.jsonl", br#"{"image": "a.png", "problem": "p", "solution": "x"}"#);
    let fields = Fields { answer: "label".into(), ..Fields::default() };
    let message = Dataset::open(&path, &fields, None).unwrap_err().to_string();
    assert!(message.contains("no field \"label\"; found the fields image, problem, solution"), "{message}");
}

#[test]
fn marks_of_images_are_places_and_their_number_counts() {
    let line =
        |problem: &str| format!(r#"{{"images": ["a.png", "b.png"], "problem": "{problem}", "answer": "x"}}"#);
    for (problem, wanted) in [
        ("<image><image>Alike?", "Alike?"),
        (r"<image>\n<image>\n Alike?", "Alike?"),
        ("Is <image> like <image>?", "Is <image> like <image>?"),
        ("<image>Is it like <image>?", "Is it like <image>?"),
        (" Alike?", " Alike?"),
    ] {
        assert_eq!(rows("set.jsonl", line(problem).as_bytes())[0].0, wanted, "{problem}");
    }
    for (problem, found) in
        [("<image>Alike?", "1 mark `<image>`"), ("<image><image><image>", "3 marks `<image>`")]
    {
        let message = refused(&line(problem));
        assert!(message.contains(found) && message.contains("2 images"), "{message}");
    }
}

#[test]
fn layouts_are_read_as_demonstrations_too() {
    for line in [
        r#"{"image": "a.png", "conversations": [{"from": "human", "value": "<image>\nWhat?"}, {"from": "gpt", "value": "a cat"}]}"#,
        r#"{"images": ["a.png"], "prompt": [{"role": "user", "content": "What?"}], "completion": [{"role": "assistant", "content": "a cat"}]}"#,
        r#"{"image": "a.png", "prompt": "What?", "completion": "a cat"}"#,
    ] {
        let (_dir, path) = file("set.jsonl", line.as_bytes());
        let set = Dataset::open(&path, &DemonstrationFields::default(), None).unwrap();
        let row = set.load(0).unwrap().unwrap();
        assert_eq!((row.problem.as_str(), row.images.len()), ("What?", 1), "{line}");
        assert_eq!(row.demonstration.unwrap().completion, "a cat", "{line}");
    }
}

const TWO: &str = r#"{"id": 1, "image": "a.png", "problem": "p, \"]", "answer": "x"}
{"image": "b.png", "problem": "ü", "answer": "y"}"#;

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn one_table_is_the_same_in_every_kind_of_file() {
    let wanted = [row("p, \"]", "x", &["a.png"]), row("ü", "y", &["b.png"])];
    let list = format!("\u{feff} [{}]\n", TWO.replace('\n', ", "));
    let pretty = format!("[\n{}\n]", TWO.replace('\n', "\n,\n").replace(", \"image\"", ",\n \"image\""));
    let table = |by: &str| {
        [["id", "image", "problem", "answer"], ["1", "a.png", "\"p, \"\"]\"", "x"], ["", "b.png", "ü", "y"]]
            .map(|row| row.join(by))
            .join("\r\n")
    };
    for (name, content) in [
        ("set.jsonl", TWO.as_bytes().to_vec()),
        ("set.ndjson", format!("\u{feff}{}\r\n\n", TWO.replace('\n', "\r\n")).into_bytes()),
        ("set.json", TWO.as_bytes().to_vec()),
        ("set.json", list.clone().into_bytes()),
        ("set.jsonl", pretty.into_bytes()),
        ("set.jsonl.gz", gzip(TWO.as_bytes())),
        ("set.JSON.GZ", gzip(list.as_bytes())),
        // Decompressed already by whoever fetched it.
        ("set.jsonl.gz", TWO.as_bytes().to_vec()),
        ("set.csv", table(",").into_bytes()),
        ("set.csv", table(";").into_bytes()),
        ("set.tsv", table("\t").into_bytes()),
        ("set.csv.gz", gzip(table(",").as_bytes())),
    ] {
        assert_eq!(rows(name, &content), wanted, "{name}: {}", String::from_utf8_lossy(&content));
    }
    let lists = "images,problem,answer\n\"[\"\"a.png\"\", \"\"b.png\"\"]\",p,1\n";
    assert_eq!(rows("set.csv", lists.as_bytes()), [row("p", "1", &["a.png", "b.png"])]);
}

#[test]
fn what_is_no_text_in_utf_8_is_called_what_it_is() {
    let wide: Vec<u8> = format!("\u{feff}{TWO}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = TWO.encode_utf16().flat_map(u16::to_be_bytes).collect();
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 1\n";
    for (content, part) in [
        (wide.as_slice(), "UTF-16"),
        (&big, "UTF-16"),
        (pointer, "git lfs pull"),
        (b"PAR1....", "a Parquet file"),
        (b"PK\x03\x04....", "a spreadsheet"),
        (b"<!DOCTYPE html><html>", "a web page"),
        (&[0; 512], "nothing but zero bytes"),
    ] {
        let (_dir, path) = file("set.jsonl", content);
        let message = open(&path).unwrap_err().to_string();
        assert!(message.contains("set.jsonl: found ") && message.contains(part), "{message}");
    }
}

#[test]
fn a_line_that_is_almost_json_says_what_is_not() {
    let line = |tail: &str| format!(r#"{{"image": "a.png", "problem": "p", "answer": "x"{tail}"#);
    for (text, parts) in [
        (line(r#", "score": NaN}"#), ["column 60: found NaN", "write null"]),
        (line(r#", "score": -Infinity}"#), ["found -Infinity", "write null"]),
        (line(r#", "score": None}"#), ["found None", "json.dumps"]),
        (line(r#", "done": True}"#), ["found True", "json.dumps"]),
        ("{'image': 'a.png'}".into(), ["found '", "json.dumps"]),
        (line(""), ["ends within its JSON", "JSON array"]),
        ("{\n".into(), ["ends within its JSON", "JSON array"]),
        (line("]"), ["it is not JSON", "column"]),
    ] {
        let message = refused(&text);
        assert!(
            message.contains("set.jsonl:1") && parts.iter().all(|part| message.contains(part)),
            "{message}"
        );
    }
    let (_dir, path) =
        file("set.jsonl", b"{\"image\": \"a.png\", \"problem\": \"gr\xf6\", \"answer\": \"x\"}");
    let message = open(&path).unwrap_err().to_string();
    assert!(message.contains("not UTF-8: found the byte 0xf6 in column 34"), "{message}");
    for (content, part) in [("[{},", "is it cut off"), ("[]{}", "after the array's end")] {
        let (_dir, path) = file("set.json", content.as_bytes());
        let fault =
            Dataset::open_with(&path, None, &Fields::default(), lenient(0.9)).unwrap_err().to_string();
        assert!(fault.contains(part) && fault.contains("set.json:1"), "{content}: {fault}");
    }
}

fn lenient(max_bad_share: f64) -> Reading<'static> {
    Reading { max_bad_share, ..Reading::default() }
}

#[test]
fn a_fault_of_a_row_is_a_bad_row_where_some_may_be_and_counted_over_the_whole_file() {
    let good = r#"{"image": "a.png", "problem": "p", "answer": "x"}"#;
    let bad = [
        r#"{"image": null, "problem": "p", "answer": "x"}"#,
        r#"{"id": "named", "image": "a.png", "problem": null, "answer": "x"}"#,
        r#"{"image": "a.png", "problem": "p", "answer": ["x"]}"#,
        r#"{"image": "../a.png", "problem": "p", "answer": "x"}"#,
        r#"{"image": "a.png", "caption": "p", "answer": "x"}"#,
        r#"{"image": "a.png", "problem": "p", "answer": "x", "score": NaN}"#,
        "no JSON",
        "3",
    ];
    for (at, line) in bad.iter().enumerate() {
        let (_dir, path) = file("set.jsonl", format!("{line}\n{good}\n{good}\n{good}").as_bytes());
        let set = Dataset::open_with(&path, None, &Fields::default(), lenient(0.25)).unwrap();
        let row = set.load(0).unwrap().unwrap_err();
        assert!(row.origin.ends_with("set.jsonl:1") && !row.reason.is_empty(), "{row:?}");
        assert_eq!(row.id, if at == 1 { "named" } else { "1" });
        assert!(set.load(1).unwrap().is_ok());
        assert!(matches!(open(&path), Err(DatasetError::Row(_))), "{line}");
        let few = Dataset::open_with(&path, None, &Fields::default(), lenient(0.2)).unwrap_err();
        assert!(matches!(few, DatasetError::BadRows { bad: 1, rows: 4, .. }), "{few}");
        // None that is good is an error whatever is allowed: the recipe may name the wrong fields.
        let all = file("set.jsonl", format!("{line}\n{line}").as_bytes());
        let none = Dataset::open_with(&all.1, None, &Fields::default(), lenient(1.0)).unwrap_err();
        assert!(none.is_input() && matches!(none, DatasetError::BadRows { bad: 2, .. }), "{none}");
    }
    let (_dir, path) = file("set.csv", b"image,problem,answer\na.png,p\na.png,p,x\na.png,,x\n");
    let set = Dataset::open_with(&path, None, &Fields::default(), lenient(0.7)).unwrap();
    let reason = |row| set.load(row).unwrap().unwrap_err().reason;
    assert!(reason(0).contains("found 2 cells, wanted 3") && reason(2).contains("found null"));
    assert_eq!(set.load(1).unwrap().unwrap().origin.rsplit_once(':').unwrap().1, "3");
}

#[test]
fn pictures_that_a_row_holds_are_read() {
    let picture = [b"\x89PNG\r\n\x1a\n\0\0\0\r".as_slice(), &[0xfb; 60]].concat();
    let standard = BASE64_STANDARD.encode(&picture);
    let url_safe = BASE64_URL_SAFE_NO_PAD.encode(&picture);
    assert!(standard.contains('+') || standard.contains('/'));
    let bytes = |image: &str| {
        let line = format!(r#"{{"image": {image}, "problem": "p", "answer": "x"}}"#);
        let (_dir, path) = file("set.jsonl", line.as_bytes());
        open(&path).unwrap_or_else(|e| panic!("{image}: {e}")).load(0).unwrap().unwrap().images
    };
    for image in [
        format!("\"data:image/png;base64,{standard}\""),
        format!("\"DATA:image/png;charset=utf-8;BASE64,{standard}\""),
        format!("\"{standard}\""),
        format!("\"{url_safe}\""),
        format!("\"{}\\n{}\"", &standard[..40], &standard[40..]),
        format!(r#"{{"bytes": "{standard}", "path": null}}"#),
        format!(r#"[{{"url": "data:image/png;base64,{url_safe}"}}]"#),
    ] {
        assert_eq!(bytes(&image), [ImageSource::Bytes(picture.clone().into())], "{image}");
    }
    for (image, part) in [
        ("data:image/png;base64,!!!!", "base64 is damaged"),
        ("data:image/png,%89PNG", "wanted data:image/…;base64"),
        ("https://example.org/a.png", "found a link to example.org, which data.image_links does not name"),
        ("s3://bucket/a.png", "an address (s3://bucket/a.png"),
        ("file:///etc/passwd", "is absolute"),
    ] {
        let message = refused(&format!(r#"{{"image": "{image}", "problem": "p", "answer": "x"}}"#));
        assert!(message.contains(part), "{message}");
    }
}

#[test]
fn what_a_row_says_of_itself_keeps_a_message_on_one_line() {
    let lines = [
        r#"{"id": "a\nb", "image": "gone\n.png", "problem": "p", "answer": "x"}"#,
        r#"{"id": "a", "image": "a.png", "problem": "p", "answer": "x"}"#,
    ];
    let (_dir, path) = file("set.jsonl", lines.join("\n").as_bytes());
    let bad = open(&path).unwrap().load(0).unwrap().unwrap_err();
    assert!(bad.reason.contains("gone .png") && !bad.reason.contains('\n') && bad.id == "a b", "{bad:?}");
}

#[test]
fn no_message_grows_with_what_is_in_the_row() {
    let long = "Z".repeat(3 << 20);
    for line in [
        format!(r#"{{"image": "{long}", "problem": "p", "answer": null}}"#),
        format!(r#"{{"image": "../{long}", "problem": "p", "answer": "x"}}"#),
        format!(r#"{{"image": "a/{long}", "problem": "p", "answer": "x"}}"#),
        format!(r#"{{"image": "https://{long}", "problem": "p", "answer": "x"}}"#),
        format!(r#"{{"id": "{long}", "image": "a.png", "problem": "p", "answer": "x"}}"#),
        format!(r#"{{"image": "a.png", "problem": "{long}", "answer": "x"}}"#),
        format!(r#"{{"image": "a.png", "problem": "p", "answer": "{long}"}}"#),
        format!(r#"{{"{long}": 1, "image": "a.png", "problem": "p"}}"#),
        format!(r#"{{"image": "a.png", "messages": [{{"role": "{long}"}}]}}"#),
        format!(
            r#"{{"image": "a.png", "messages": [{{"role": "user", "content": [{{"type": "{long}"}}]}}]}}"#
        ),
        format!(r#"{{"image": "a.png", "problem": "p", "answer": "x", "triple": 1, "role": "{long}"}}"#),
        long.clone(),
    ] {
        let message = refused(&line);
        assert!(message.contains("set.jsonl:1") && message.chars().count() < 800, "{message:.900}");
    }
    // A name that cannot be a file's.
    let (_dir, path) = file(
        "set.jsonl",
        format!(r#"{{"image": "{}", "problem": "p", "answer": "x"}}"#, "a/".repeat(900)).as_bytes(),
    );
    let bad = open(&path).unwrap().load(0).unwrap().unwrap_err();
    assert!(bad.reason.contains("no image file") && bad.reason.chars().count() < 500, "{}", bad.reason);
}

#[test]
fn image_paths_are_relative_to_the_folder_that_is_named_and_stay_below_it() {
    let (dir, path) = file("set.jsonl", br#"{"image": "deep/d.png", "problem": "p", "answer": "x"}"#);
    let root = dir.path().join("pictures");
    fs::create_dir_all(root.join("deep")).unwrap();
    fs::write(root.join("deep/d.png"), b"").unwrap();
    let reading = Reading { image_root: Some(&root), ..Reading::default() };
    let read = || Dataset::open_with(&path, None, &Fields::default(), reading);
    let found = read().unwrap().load(0).unwrap().unwrap().images;
    assert_eq!(found, [ImageSource::File(root.canonicalize().unwrap().join("deep/d.png"))]);
    fs::write(&path, br#"{"image": "../a.png", "problem": "p", "answer": "x"}"#).unwrap();
    assert!(read().unwrap_err().to_string().contains("must lie below"), "{:?}", read());
}

proptest! {
    #[test]
    fn no_content_makes_a_reader_panic_and_no_row_is_without_images(
        name in prop::sample::select(vec!["s.jsonl", "s.json", "s.csv", "s.tsv", "s.jsonl.gz"]),
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "{", "}", "[", "]", ",", ":", "\"", "\\", "\n", "null", "1", "NaN", "image", "images", "problem", "answer",
                "messages", "role", "user", "content", "type", "\"image\":", "\"a.png\"", "\"problem\": \"p\"", "\"answer\": 1",
                "{\"image\": \"a.png\", \"problem\": \"<image>\", \"answer\": 1}", "data:image/png;base64,iVBOR", "\u{feff}", "é",
            ]),
            0..40,
        ),
    ) {
        let (_dir, path) = file(name, pieces.concat().as_bytes());
        if let Ok(set) = Dataset::open_with(&path, None, &Fields::default(), lenient(0.9)) {
            for index in 0..set.count().get() {
                if let Ok(row) = set.load(index).unwrap() {
                    prop_assert!(!row.images.is_empty());
                }
            }
        }
    }
}

#[test]
fn a_number_that_would_lose_digits_is_refused_and_others_are_as_written() {
    let line = |answer: &str| format!(r#"{{"image": "a.png", "problem": "p", "answer": {answer}}}"#);
    for answer in ["12345678901234567890123", "9007199254740993.0", "-1e300"] {
        let message = refused(&line(answer));
        assert!(message.contains("\"answer\"") && message.contains("write it in quotes"), "{message}");
    }
    for answer in ["9007199254740993", "18446744073709551615", "0.25", "-7"] {
        assert_eq!(rows("set.jsonl", line(answer).as_bytes()), [row("p", answer, &["a.png"])]);
    }
}

#[test]
fn two_columns_of_one_name_are_refused_and_columns_without_a_name_are_not() {
    let (_dir, path) = file("set.csv", b"image,problem,answer,answer\na.png,p,1,2\n");
    let message = open(&path).unwrap_err().to_string();
    assert!(message.contains("found two columns \"answer\""), "{message}");
    assert_eq!(rows("set.csv", b"image,problem,answer,,\na.png,p,1,,\n"), [row("p", "1", &["a.png"])]);
}

#[test]
fn a_folder_of_several_formats_is_read_in_the_order_of_the_documentation() {
    let (dir, _) = file("set.csv", b"image,problem,answer\na.png,table,1\n");
    let line = |problem: &str| format!(r#"{{"image": "a.png", "problem": "{problem}", "answer": 1}}"#);
    let problem = || open(dir.path()).unwrap().load(0).unwrap().unwrap().problem;
    fs::write(dir.path().join("list.json"), format!("[{}]", line("list"))).unwrap();
    fs::write(dir.path().join("part.parquet"), b"PAR1").unwrap();
    fs::write(dir.path().join("shard.tar"), b"").unwrap();
    assert_eq!(problem(), "table");
    fs::write(dir.path().join("set.jsonl"), line("lines")).unwrap();
    assert_eq!(problem(), "lines");
}
