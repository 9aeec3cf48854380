//! Every layout in every format: the ten rows of its file, written as each format has them, are the same rows.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::RecordBatch;
use arrow_array::builder::{
    ArrayBuilder, BooleanBuilder, Float64Builder, ListBuilder, StringBuilder, StructBuilder,
};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use arrow_schema::{DataType, Field, Schema};
use serde_json::{Map, Value, json};
use vigos_data::{DataLayout, Dataset, DemonstrationFields, Fields, ImageSource, Reading, Row, Turns};

use crate::writer;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures")
}

fn records(layout: DataLayout) -> Vec<Map<String, Value>> {
    let path = fixtures().join("layouts").join(layout.name()).with_extension("jsonl");
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn open(path: &Path, turns: Turns) -> Dataset {
    let images = fixtures().join("images");
    let reading = Reading { image_root: Some(&images), turns, ..Reading::default() };
    Dataset::open_with(path, None, &Fields::default(), reading)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All rows; without their names and places.
fn rows(set: &Dataset) -> Vec<Row> {
    let row = |index| match set.load(index).unwrap() {
        Ok(row) => Row { id: String::new(), origin: String::new(), ..row },
        Err(bad) => panic!("{}: {}", bad.origin, bad.reason),
    };
    (0..set.count().get()).map(row).collect()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn zstandard(content: &[u8]) -> Vec<u8> {
    zstd::encode_all(content, 1).unwrap()
}

/// The records as JSON, as an array.
fn array(records: &[Map<String, Value>]) -> Vec<u8> {
    serde_json::to_vec_pretty(records).unwrap()
}

/// The records as a table with separators; what is no text is JSON.
fn table(records: &[Map<String, Value>], separator: u8) -> Vec<u8> {
    let names = columns(records);
    let mut writer = csv::WriterBuilder::new().delimiter(separator).from_writer(Vec::new());
    writer.write_record(&names).unwrap();
    for record in records {
        let cell = |name: &String| match record.get(name) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        writer.write_record(names.iter().map(cell)).unwrap();
    }
    writer.into_inner().unwrap()
}

fn columns(records: &[Map<String, Value>]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for name in records.iter().flat_map(Map::keys) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    names
}

/// The type that holds all of these values: numbers beside texts become texts, a value beside a list a list of one.
fn kind(values: &[&Value]) -> DataType {
    let some: Vec<&Value> = values.iter().copied().filter(|value| !value.is_null()).collect();
    if some.is_empty() {
        return DataType::Utf8;
    }
    if some.iter().any(|value| value.is_array()) {
        let items: Vec<&Value> = some
            .iter()
            .flat_map(|value| value.as_array().map_or(vec![*value], |items| items.iter().collect()))
            .collect();
        return DataType::List(Arc::new(Field::new("item", kind(&items), true)));
    }
    if some.iter().all(|value| value.is_object()) {
        let mut names: Vec<&String> = Vec::new();
        for name in some.iter().filter_map(|value| value.as_object()).flat_map(Map::keys) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let field = |name: &String| {
            let held: Vec<&Value> = some.iter().filter_map(|value| value.get(name)).collect();
            Field::new(name, kind(&held), true)
        };
        return DataType::Struct(names.into_iter().map(field).collect());
    }
    match () {
        () if some.iter().all(|value| value.is_boolean()) => DataType::Boolean,
        () if some.iter().all(|value| value.is_number()) => DataType::Float64,
        () => DataType::Utf8,
    }
}

/// A builder of a type with a way to fill it from JSON.
fn fill(builder: &mut dyn ArrayBuilder, kind: &DataType, value: &Value) {
    let any = builder.as_any_mut();
    match kind {
        DataType::Utf8 => {
            let builder = any.downcast_mut::<StringBuilder>().unwrap();
            builder.append_option(match value {
                Value::Null => None,
                Value::String(text) => Some(text.clone()),
                other => Some(other.to_string()),
            });
        }
        DataType::Boolean => any.downcast_mut::<BooleanBuilder>().unwrap().append_option(value.as_bool()),
        DataType::Float64 => any.downcast_mut::<Float64Builder>().unwrap().append_option(value.as_f64()),
        DataType::List(item) => {
            let builder = any.downcast_mut::<ListBuilder<Box<dyn ArrayBuilder>>>().unwrap();
            let items = match value {
                Value::Null => Vec::new(),
                Value::Array(items) => items.iter().collect(),
                other => vec![other],
            };
            items.iter().for_each(|value| fill(builder.values().as_mut(), item.data_type(), value));
            builder.append(!value.is_null());
        }
        DataType::Struct(children) => {
            let builder = any.downcast_mut::<StructBuilder>().unwrap();
            for (at, child) in children.iter().enumerate() {
                let value = value.get(child.name()).unwrap_or(&Value::Null);
                fill(builder.field_builders_mut()[at].as_mut(), child.data_type(), value);
            }
            builder.append(!value.is_null());
        }
        other => panic!("{other}"),
    }
}

/// The record with one type in each column, as a table has it and JSON need not.
fn columnar(record: &Map<String, Value>) -> Map<String, Value> {
    let parts = |said: &Value| match said {
        Value::String(text) => json!([{"type": "text", "text": text}]),
        parts => parts.clone(),
    };
    let turns = |role: &str, said: &Value| match said {
        Value::String(text) => json!([{"role": role, "content": [{"type": "text", "text": text}]}]),
        turns => turns
            .as_array()
            .unwrap()
            .iter()
            .map(|turn| json!({"role": turn["role"], "content": parts(&turn["content"])}))
            .collect(),
    };
    let is_trl = record.contains_key("prompt");
    let each = record.iter().map(|(name, value)| {
        let value = match (name.as_str(), value) {
            ("messages", turns_of) => turns("user", turns_of),
            ("prompt", said) => turns("user", said),
            ("completion", said) => turns("assistant", said),
            ("images", Value::Array(images)) if is_trl => {
                images.iter().map(|image| json!({"path": image.get("path").unwrap_or(image)})).collect()
            }
            ("choices", Value::Object(lists)) => lists["text"].clone(),
            ("options", Value::Array(_)) => json!(value.to_string()),
            ("answers", Value::Array(items)) => {
                items.iter().map(|item| item.get("answer").unwrap_or(item).clone()).collect()
            }
            (_, value) => value.clone(),
        };
        (name.clone(), value)
    });
    each.collect()
}

/// The records as a table of Arrow.
fn batch(records: &[Map<String, Value>]) -> RecordBatch {
    let records: Vec<_> = records.iter().map(columnar).collect();
    let column = |name: &String| -> (String, ArrayRef) {
        let values: Vec<&Value> =
            records.iter().map(|record| record.get(name).unwrap_or(&Value::Null)).collect();
        let kind = kind(&values);
        let mut builder = arrow_array::builder::make_builder(&kind, values.len());
        values.iter().for_each(|value| fill(builder.as_mut(), &kind, value));
        (name.clone(), builder.finish())
    };
    RecordBatch::try_from_iter_with_nullable(columns(&records).iter().map(|name| {
        let (name, column) = column(name);
        (name, column, true)
    }))
    .unwrap()
}

fn arrow(batch: &RecordBatch, packing: Option<CompressionType>) -> Vec<u8> {
    let options = IpcWriteOptions::default().try_with_compression(packing).unwrap();
    let mut bytes = Vec::new();
    let mut writer = FileWriter::try_new_with_options(&mut bytes, &batch.schema(), options).unwrap();
    writer.write(&batch.slice(0, 4)).unwrap();
    writer.write(&batch.slice(4, batch.num_rows() - 4)).unwrap();
    writer.finish().unwrap();
    drop(writer);
    bytes
}

fn stream(batch: &RecordBatch) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = StreamWriter::try_new(&mut bytes, &batch.schema()).unwrap();
    writer.write(batch).unwrap();
    writer.finish().unwrap();
    drop(writer);
    bytes
}

/// The records as an archive, the pictures of a row beside its JSON.
fn archive(records: &[Map<String, Value>]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    let mut add = |name: String, content: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, content).unwrap();
    };
    for (number, record) in records.iter().enumerate() {
        add(format!("set/{number:04}.json"), &serde_json::to_vec(record).unwrap());
    }
    archive.into_inner().unwrap()
}

#[test]
fn every_layout_is_the_same_rows_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    for layout in DataLayout::ALL {
        let records = records(layout);
        let plain = fixtures().join("layouts").join(layout.name()).with_extension("jsonl");
        let wanted = rows(&open(&plain, Turns::Last));
        assert_eq!(wanted.len(), 10);
        let lines = fs::read(&plain).unwrap();
        let columnar = batch(&records);
        let parquet = folder.path().join("set.parquet");
        writer::write(&parquet, &columnar, 3);
        let parquet = fs::read(parquet).unwrap();
        for (name, content) in [
            ("set.jsonl.gz", gzip(&lines)),
            ("set.jsonl.zst", zstandard(&lines)),
            ("set.json", array(&records)),
            ("set.json.gz", gzip(&array(&records))),
            ("set.json.zst", zstandard(&array(&records))),
            ("set.csv", table(&records, b',')),
            ("set.csv.zst", zstandard(&table(&records, b','))),
            ("set.tsv", table(&records, b'\t')),
            ("set.tsv.gz", gzip(&table(&records, b'\t'))),
            ("set.parquet", parquet.clone()),
            ("set.parquet.gz", gzip(&parquet)),
            ("set.parquet.zst", zstandard(&parquet)),
            ("set.arrow", arrow(&columnar, None)),
            ("set.feather", arrow(&columnar, Some(CompressionType::LZ4_FRAME))),
            ("other.feather", arrow(&columnar, Some(CompressionType::ZSTD))),
            ("stream.arrow", stream(&columnar)),
            ("set.arrow.gz", gzip(&arrow(&columnar, None))),
            ("set.arrow.zst", zstandard(&stream(&columnar))),
            ("set.tar", archive(&records)),
            ("set.tar.gz", gzip(&archive(&records))),
            ("set.tgz", gzip(&archive(&records))),
            ("set.tar.zst", zstandard(&archive(&records))),
        ] {
            let path = folder.path().join(name);
            fs::write(&path, content).unwrap();
            let set = open(&path, Turns::Last);
            assert_eq!(rows(&set), wanted, "{} in {name}", layout.name());
            let fields = set.fields(0).unwrap().unwrap();
            assert!(fields.keys().any(|name| name.contains("id")), "{name}: {fields:?}");
        }
    }
}

#[test]
fn each_question_of_a_conversation_is_a_row_in_every_format_and_a_limit_counts_rows() {
    let folder = tempfile::tempdir().unwrap();
    let records = records(DataLayout::Sharegpt);
    let columnar = batch(&records);
    writer::write(&folder.path().join("set.parquet"), &columnar, 3);
    let lines = fs::read(fixtures().join("layouts/sharegpt.jsonl")).unwrap();
    for (name, content) in [
        ("set.jsonl", lines.clone()),
        ("set.jsonl.gz", gzip(&lines)),
        ("set.arrow", arrow(&columnar, None)),
        ("set.tar", archive(&records)),
    ] {
        fs::write(folder.path().join(name), content).unwrap();
    }
    for name in ["set.jsonl", "set.jsonl.gz", "set.parquet", "set.arrow", "set.tar"] {
        let path = folder.path().join(name);
        let set = open(&path, Turns::Each);
        let found = rows(&set);
        assert_eq!(found.len(), 12, "{name}");
        assert_eq!((found[11].before.len(), found[10].before.len()), (4, 2), "{name}");
        let mut order = set.order(7);
        let mut all: Vec<usize> = (0..12).map(|index| order.at(index).1).collect();
        all.sort_unstable();
        assert_eq!(all, (0..12).collect::<Vec<_>>(), "{name}");
        let images = fixtures().join("images");
        let reading =
            Reading { image_root: Some(&images), turns: Turns::Each, limit: Some(11), ..Reading::default() };
        let few = Dataset::open_with(&path, None, &Fields::default(), reading).unwrap();
        assert_eq!(rows(&few), found[..11], "{name}");
    }
}

#[test]
fn pictures_within_an_archive_are_those_of_its_rows() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("set.tar");
    let mut archive = tar::Builder::new(Vec::new());
    let mut add = |name: &str, content: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        archive.append_data(&mut header, name, content).unwrap();
    };
    add("a/0.jpg", b"first");
    add("a/0.json", br#"{"image": "was/elsewhere.jpg", "conversations": [{"from": "human", "value": "<image>p"}, {"from": "gpt", "value": "x"}]}"#);
    add("a/1.problem.txt", b"Which?\n");
    add("a/1.answer.txt", b"this");
    add("a/1.left.png", b"second");
    add("a/1.right.png", b"third");
    add("a/1.npy", b"features");
    add("README", b"");
    fs::write(&path, archive.into_inner().unwrap()).unwrap();
    let set = Dataset::open(&path, &Fields::default(), None).unwrap();
    let row = |at: usize| set.load(at).unwrap().unwrap();
    let bytes = |content: &[u8]| ImageSource::Bytes(content.into());
    assert_eq!((set.count().get(), row(0).id.as_str(), row(0).answer.as_str()), (2, "a/0", "x"));
    assert_eq!(row(0).images, [bytes(b"first")]);
    assert_eq!((row(1).problem.as_str(), row(1).answer.as_str()), ("Which?", "this"));
    assert_eq!(row(1).images, [bytes(b"second"), bytes(b"third")]);
    assert_eq!(set.format(), "webdataset");
}

#[test]
fn a_folder_is_read_in_one_format_and_in_one_split() {
    let folder = tempfile::tempdir().unwrap();
    let line = |n: usize| format!("{{\"image\": \"a.png\", \"problem\": \"p{n}\", \"answer\": 1}}\n");
    let write = |name: &str, content: &[u8]| fs::write(folder.path().join(name), content).unwrap();
    write("a.png", b"");
    write("state.json", b"{}");
    write("train-00000-of-00002.jsonl", (line(0) + &line(1)).as_bytes());
    write("train-00001-of-00002.jsonl.zst", &zstandard(line(2).as_bytes()));
    write("notes.csv", b"a,b\n1,2\n");
    let problems = |split: Option<&str>| -> Vec<String> {
        let set = Dataset::open_with(folder.path(), split, &Fields::default(), Reading::default()).unwrap();
        rows(&set).into_iter().map(|row| row.problem).collect()
    };
    assert_eq!(problems(None), ["p0", "p1", "p2"]);
    write("test.jsonl", line(9).as_bytes());
    assert_eq!(problems(Some("test")), ["p9"]);
    assert_eq!(problems(Some("train")), ["p0", "p1", "p2"]);
    let both = Dataset::open(folder.path(), &Fields::default(), None).unwrap_err().to_string();
    assert!(both.contains("there are several splits"), "{both}");
}

#[test]
fn demonstrations_are_read_from_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let columnar = batch(&records(DataLayout::Llava));
    let images = fixtures().join("images");
    writer::write(&folder.path().join("set.parquet"), &columnar, 3);
    fs::write(folder.path().join("set.arrow"), arrow(&columnar, None)).unwrap();
    for name in ["set.parquet", "set.arrow"] {
        let reading = Reading { image_root: Some(&images), ..Reading::default() };
        let fields = DemonstrationFields::default();
        let set = Dataset::open_with(&folder.path().join(name), None, &fields, reading).unwrap();
        let row = set.load(9).unwrap().unwrap();
        assert_eq!((row.before.len(), row.demonstration.unwrap().completion.as_str()), (1, "teal"), "{name}");
    }
}

/// What is said of a file of this name and content.
fn refused(name: &str, content: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, content).unwrap();
    match Dataset::open(&path, &Fields::default(), None) {
        Err(error) => error.to_string(),
        Ok(set) => set.load(0).unwrap().unwrap_err().reason,
    }
}

#[test]
fn a_file_that_is_damaged_or_hostile_is_refused_by_what_is_wrong() {
    let columnar = batch(&records(DataLayout::Rows));
    let good = arrow(&columnar, None);
    let mut claims = good.clone();
    claims[68..72].copy_from_slice(&0x7fff_fff0_u32.to_le_bytes());
    // What a tape ends with, and nothing before.
    let nothing = gzip(&vec![0; 8 << 20]);
    let member = |name: &str, kind: tar::EntryType| {
        let mut header = tar::Header::new_gnu();
        header.set_size(0);
        header.set_entry_type(kind);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        [header.as_bytes().as_slice(), &[0; 1024]].concat()
    };
    let cut = archive(&records(DataLayout::Rows));
    let schema = Schema::new(vec![Field::new("when", DataType::Date32, true)]);
    let dates = RecordBatch::new_empty(Arc::new(schema));
    for (name, content, part) in [
        ("set.arrow", good[..good.len() / 2].to_vec(), "cannot be read as Arrow: the message at byte"),
        ("set.arrow", claims, "does not end"),
        ("set.arrow", b"FEA1....".to_vec(), "Feather's first version"),
        ("set.arrow", b"{\"image\": 1}".to_vec(), "does not begin as Arrow's files and streams do"),
        ("set.arrow", stream(&dates), "has no rows to read"),
        ("set.tar", b"no archive at all".to_vec(), "cannot be read as a WebDataset archive"),
        ("set.tar", cut[..1324].to_vec(), "cut off"),
        ("set.tar", member("../out.json", tar::EntryType::Regular), "leads out of the archive"),
        ("set.tar", member("/etc/passwd.json", tar::EntryType::Regular), "leads out of the archive"),
        ("set.tar", member("0.json", tar::EntryType::Symlink), "wanted plain files"),
        ("set.tar.gz", gzip(&cut)[..100].to_vec(), "unpack"),
        ("set.tar.gz", nothing, "has no rows to read"),
        ("set.jsonl.zst", zstandard(b"{}")[..6].to_vec(), "read"),
    ] {
        let message = refused(name, &content);
        assert!(message.contains(part) && message.chars().count() < 600, "{name} {part}: {message}");
    }
}

/// Files of pyarrow's and of Python's tarfile, where the readers' fuzzing begins too.
#[test]
fn what_the_usual_writers_write_is_read() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.png"), b"").unwrap();
    let rows_of = |from: &str, name: &str| {
        let path = folder.path().join(name);
        fs::copy(corpus.join(from), &path).unwrap();
        let set =
            Dataset::open(&path, &Fields::default(), None).unwrap_or_else(|error| panic!("{from}: {error}"));
        let row = |index| set.load(index).unwrap().unwrap_or_else(|bad| panic!("{from}: {}", bad.reason));
        (0..set.count().get())
            .map(row)
            .map(|row| (row.problem, row.answer, row.images.len()))
            .collect::<Vec<_>>()
    };
    let row = |problem: &str, answer: &str| (problem.to_owned(), answer.to_owned(), 1);
    for name in ["arrow/stream", "arrow/file", "arrow/lz4", "arrow/zstd"] {
        assert_eq!(rows_of(name, "rows.arrow"), [row("p", "x"), row("q", "y")], "{name}");
    }
    let chosen = |question: &str, answer: &str| row(&format!("{question}\nA. a\nB. b"), answer);
    assert_eq!(
        rows_of("arrow/dictionary", "rows.feather"),
        [chosen("p", "A"), chosen("q", "B"), chosen("p", "B")]
    );
    for name in ["archive/json", "archive/texts", "archive/long"] {
        assert_eq!(rows_of(name, "rows.tar"), [row("p", "x")], "{name}");
    }
}
