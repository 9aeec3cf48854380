//! Parquet data sets in the hub's layout: whole, odd, damaged.

mod damage;
use crate::writer;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, LargeStringArray, RecordBatch};
use parquet::basic::{Compression, GzipLevel, ZstdLevel};
use vigos_data::{BadRow, Dataset, DatasetError, Fields, ImageSource, Reading, Row};
use writer::{
    Image, bytes, categories, lists, named, path, properties, structs, table, texts, write, write_with,
};

fn open(path: &Path) -> Result<Dataset, DatasetError> {
    Dataset::open(path, &Fields::default(), None)
}

fn rows(set: &Dataset) -> Vec<Result<Row, BadRow>> {
    (0..set.count().get()).map(|index| set.load(index).unwrap()).collect()
}

fn ids(set: &Dataset) -> Vec<String> {
    rows(set).into_iter().map(|row| row.unwrap().id).collect()
}

/// The rows of a table written to a file and read back.
fn read(table: &RecordBatch) -> Vec<Result<Row, BadRow>> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("set.parquet");
    write(&file, table, 100);
    rows(&open(&file).unwrap())
}

/// A table of two good columns and this column of images.
fn with_images(column: &str, images: ArrayRef) -> RecordBatch {
    let text = texts(&vec![Some("t"); images.len()]);
    table(vec![(column, images), ("problem", text.clone()), ("answer", text)])
}

fn image_bytes(row: &Row) -> Vec<&[u8]> {
    fn inside(image: &ImageSource) -> &[u8] {
        match image {
            ImageSource::Bytes(bytes) => bytes,
            other => panic!("{other:?}"),
        }
    }
    row.images.iter().map(inside).collect()
}

#[test]
fn structs_of_bytes_and_path_give_rows_with_the_bytes_and_where_they_stand() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("set.parquet");
    write(&file, &named("row", 5), 2);
    let set = open(&file).unwrap();
    assert_eq!(set.count().get(), 5);
    let found: Vec<Row> = rows(&set).into_iter().map(Result::unwrap).collect();
    for (number, row) in found.iter().enumerate() {
        let name = format!("row{number}");
        assert_eq!((&row.id, &row.problem, &row.answer), (&name, &name, &name));
        assert_eq!(image_bytes(row), [name.as_bytes()]);
        let origin = format!("set.parquet: row group {} row {}", number / 2, number % 2);
        assert!(row.origin.ends_with(&origin), "{}", row.origin);
    }
    assert!(matches!(set.load(5), Err(DatasetError::NoSuchRow { index: 5, rows: 5, .. })));
}

#[test]
fn lists_of_structs_give_all_images_and_bad_cells_make_bad_rows_of_their_own() {
    let cells = [
        Some(vec![bytes(b"a"), bytes(b"b")]),
        Some(vec![bytes(b"c")]),
        None,
        Some(vec![]),
        Some(vec![bytes(b"d"), None]),
        Some(vec![Some((None, None))]),
        Some(vec![path("../up.png")]),
        Some(vec![path("gone.png")]),
    ];
    let found = read(&with_images("images", lists(&cells)));
    assert_eq!(image_bytes(found[0].as_ref().unwrap()), [b"a", b"b"]);
    assert_eq!(image_bytes(found[1].as_ref().unwrap()), [b"c"]);
    let reasons = ["found null", "an empty list", "found null", "neither bytes nor a path", "..", "gone.png"];
    for (number, reason) in (2..).zip(reasons) {
        let bad = found[number].as_ref().unwrap_err();
        assert!(bad.reason.contains(reason), "{bad:?}");
        assert!(bad.origin.ends_with(&format!("row group 0 row {number}")), "{bad:?}");
        assert_eq!(bad.id, (number + 1).to_string(), "without a column of names rows are numbered");
    }
}

#[test]
fn images_may_be_bare_bytes_or_paths_beside_the_file() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("there.png"), b"").unwrap();
    let file = dir.path().join("set.parquet");
    let wanted = ImageSource::File(dir.path().canonicalize().unwrap().join("there.png"));
    for images in [texts(&[Some("there.png")]), structs(&[path("there.png")])] {
        write(&file, &with_images("image", images), 1);
        assert_eq!(rows(&open(&file).unwrap())[0].as_ref().unwrap().images, std::slice::from_ref(&wanted));
    }
    let bare: ArrayRef = Arc::new(arrow_array::BinaryArray::from(vec![b"png".as_slice()]));
    assert_eq!(image_bytes(read(&with_images("image", bare))[0].as_ref().unwrap()), [b"png"]);
}

#[test]
fn null_blank_and_overlong_texts_make_bad_rows() {
    let long = "x".repeat((1 << 20) + 1);
    let good = texts(&[Some("t"); 4]);
    let bad = texts(&[None, Some(" "), Some(&long), Some("t")]);
    let image = structs(&vec![bytes(b"i"); 4]);
    let made = |problem: &ArrayRef, answer: &ArrayRef| {
        read(&table(vec![("image", image.clone()), ("problem", problem.clone()), ("answer", answer.clone())]))
    };
    let reasons = |found: Vec<Result<Row, BadRow>>| -> Vec<String> {
        found.into_iter().map(|row| row.err().map_or(String::new(), |bad| bad.reason)).collect()
    };
    let answers = reasons(made(&good, &bad));
    assert!(answers[0].contains("\"answer\": found null"), "{answers:?}");
    assert!(answers[1].contains("blank") && answers[2].contains("1048577 bytes"), "{answers:?}");
    let problems = reasons(made(&bad, &good));
    assert!(problems[0].contains("\"problem\": found null"), "{problems:?}");
    assert_eq!((problems[1].as_str(), problems[3].as_str()), ("", ""), "a blank question is one");
}

#[test]
fn answers_and_names_may_be_numbers_and_texts_of_any_width() {
    let image = structs(&vec![bytes(b"i"); 2]);
    let problem: ArrayRef = Arc::new(LargeStringArray::from(vec!["p", "q"]));
    let columns: [(ArrayRef, [&str; 2]); 4] = [
        (Arc::new(Int64Array::from(vec![-3, 4])), ["-3", "4"]),
        (Arc::new(Float64Array::from(vec![0.5, 2.0])), ["0.5", "2"]),
        (Arc::new(BooleanArray::from(vec![true, false])), ["true", "false"]),
        (categories(&["no", "yes"]), ["no", "yes"]),
    ];
    for (answer, wanted) in columns {
        let id: ArrayRef = Arc::new(Int64Array::from(vec![Some(7), None]));
        let columns =
            vec![("image", image.clone()), ("problem", problem.clone()), ("answer", answer), ("id", id)];
        let found: Vec<Row> = read(&table(columns)).into_iter().map(Result::unwrap).collect();
        assert_eq!([&found[0].answer, &found[1].answer], wanted);
        assert_eq!([&found[0].problem, &found[1].problem], ["p", "q"]);
        assert_eq!([&found[0].id, &found[1].id], ["7", "2"]);
    }
}

#[test]
fn a_missing_column_is_named_with_the_file_and_the_columns_found() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("set.parquet");
    let text = texts(&[Some("t")]);
    write(
        &file,
        &table(vec![("image", structs(&[bytes(b"i")])), ("text", text.clone()), ("answer", text)]),
        1,
    );
    let message = open(&file).unwrap_err().to_string();
    for part in ["set.parquet", "\"problem\"", "image, text, answer", "data.fields"] {
        assert!(message.contains(part), "{message}");
    }
    let fields = Fields { problem: "text".into(), ..Fields::default() };
    assert!(Dataset::open(&file, &fields, None).is_ok());
}

#[test]
fn a_column_of_a_wrong_type_is_named_with_its_type() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("set.parquet");
    let number: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let (text, image) = (texts(&[Some("t")]), structs(&[bytes(b"i")]));
    let cases = [
        (number.clone(), text.clone(), image.clone(), "\"problem\": found Int64"),
        (text.clone(), image.clone(), image, "\"answer\": found Struct"),
        (text.clone(), text, number, "\"image\": found Int64"),
    ];
    for (problem, answer, image, said) in cases {
        write(&file, &table(vec![("image", image), ("problem", problem), ("answer", answer)]), 1);
        let message = open(&file).unwrap_err().to_string();
        assert!(message.contains(said) && message.contains("set.parquet"), "{message}");
    }
}

#[test]
fn a_folder_is_its_files_in_order_of_their_names_and_a_limit_takes_the_first_rows() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    fs::create_dir(&data).unwrap();
    write(&data.join("train-00001-of-00002.parquet"), &named("b", 3), 2);
    write(&data.join("train-00000-of-00002.parquet"), &named("a", 3), 2);
    fs::write(data.join("README.md"), "not data").unwrap();
    for folder in [dir.path(), data.as_path()] {
        assert_eq!(ids(&open(folder).unwrap()), ["a0", "a1", "a2", "b0", "b1", "b2"]);
    }
    let limited = Dataset::open(dir.path(), &Fields::default(), Some(4)).unwrap();
    assert_eq!(ids(&limited), ["a0", "a1", "a2", "b0"]);
    let empty = Dataset::open(dir.path(), &Fields::default(), Some(0)).unwrap_err();
    assert!(matches!(empty, DatasetError::Empty { .. }), "{empty}");
}

#[test]
fn of_several_splits_one_has_to_be_chosen() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("train-00000-of-00001.parquet"), &named("train", 1), 1);
    write(&dir.path().join("test.parquet"), &named("test", 1), 1);
    let message = open(dir.path()).unwrap_err().to_string();
    assert!(message.contains("several splits") && message.contains("test, train"), "{message}");
    let split =
        |name: &str| Dataset::open_with(dir.path(), Some(name), &Fields::default(), Reading::default());
    assert_eq!(ids(&split("test").unwrap()), ["test0"]);
    assert_eq!(ids(&split("train").unwrap()), ["train0"]);
    assert!(split("dev").unwrap_err().to_string().contains("no split \"dev\""));
}

#[test]
fn the_usual_compressions_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("set.parquet");
    let codecs = [
        Compression::UNCOMPRESSED,
        Compression::SNAPPY,
        Compression::ZSTD(ZstdLevel::default()),
        Compression::GZIP(GzipLevel::default()),
    ];
    for codec in codecs {
        write_with(&file, &named("row", 3), properties().set_compression(codec));
        assert_eq!(ids(&open(&file).unwrap()), ["row0", "row1", "row2"], "{codec}");
    }
}

#[test]
fn columns_of_other_names_are_listed_with_the_key_that_takes_the_likely_one() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("set.parquet");
    let text = texts(&[Some("t")]);
    let image = structs(&[bytes(b"i")]);
    let written = |columns: [&str; 2]| {
        let [question, answer] = columns;
        let all = vec![("image", image.clone()), (question, text.clone()), (answer, text.clone())];
        write(&file, &table(all), 1);
        open(&file).unwrap_err().to_string()
    };
    let message = written(["text", "answer"]);
    for part in ["no column \"problem\"", "image, text, answer", "data.fields.problem=text"] {
        assert!(message.contains(part), "{message}");
    }
    let message = written(["problem", "Answers"]);
    assert!(message.ends_with("such as data.fields.answer=Answers"), "{message}");
    let message = written(["problem", "choices"]);
    assert!(message.ends_with("name another one under data.fields"), "{message}");
    let fields = Fields { problem: "text".into(), ..Fields::default() };
    written(["text", "answer"]);
    assert_eq!(Dataset::open(&file, &fields, None).unwrap().count().get(), 1);
}

/// Two files of pyarrow's, which has more codecs than are read.
#[test]
fn another_compression_is_refused_by_its_name_before_any_row_is_read() {
    for codec in ["brotli", "lz4"] {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/{codec}.parquet"));
        let message = open(&file).unwrap_err().to_string();
        for part in [codec.to_uppercase().as_str(), "ZSTD", "compression=\"zstd\""] {
            assert!(message.contains(part), "{message}");
        }
    }
}

#[test]
fn an_epoch_reads_every_row_once_and_the_next_in_another_order() {
    let dir = tempfile::tempdir().unwrap();
    for part in 0..3 {
        write(&dir.path().join(format!("{part}.parquet")), &named(&format!("f{part}-"), 7), 3);
    }
    let set = open(dir.path()).unwrap();
    let mut order = set.order(5);
    let mut epoch = |number: u64| -> Vec<String> {
        (number * 21..(number + 1) * 21).map(|at| set.load(order.at(at).1).unwrap().unwrap().id).collect()
    };
    let (first, second) = (epoch(0), epoch(1));
    assert_ne!(first, second);
    assert_eq!(first, epoch(0));
    let sorted = |mut names: Vec<String>| {
        names.sort();
        names
    };
    assert_eq!(sorted(first), sorted(second));
}

#[test]
fn a_row_group_of_more_rows_than_one_batch_is_read_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("set.parquet");
    write(&file, &named("row", 2500), 2500);
    let set = open(&file).unwrap();
    for index in [0, 1023, 1024, 2047, 2048, 2499] {
        assert_eq!(set.load(index).unwrap().unwrap().id, format!("row{index}"));
    }
    let images: Vec<Image> = vec![bytes(b"same"); 3000];
    let found = read(&with_images("image", structs(&images)));
    assert!(found.iter().all(|row| image_bytes(row.as_ref().unwrap()) == [b"same"]));
}
