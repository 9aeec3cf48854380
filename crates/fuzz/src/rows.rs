//! Data sets: rows as text, as Parquet and Arrow, and in archives.

use std::path::Path;
use std::sync::Once;

use vigos_data::{BadRow, Dataset, DemonstrationFields, Fields, ImageSource, Reading, Row, RowFields};

use crate::parts::is_a_line;
use crate::scratch;

/// Most rows of a set that are looked at.
const ROWS: usize = 40;

/// Rows of a text file are the same however many of them may be bad, and however many are read. The first byte says
/// which kind of file it is.
pub fn rows(data: &[u8]) {
    let Some((kind, text)) = data.split_first() else { return };
    scratch::there("a.png");
    let name = match kind {
        b'a' => "rows.json",
        b'c' | b'w' => "rows.csv",
        b't' => "rows.tsv",
        b'g' => "rows.jsonl.gz",
        _ => "rows.jsonl",
    };
    let fields = match kind {
        b'd' | b'w' => RowFields::Demonstrations(DemonstrationFields::default()),
        _ => RowFields::Questions(Fields::default()),
    };
    let path = scratch::write(name, text);
    let open = |max_bad_share, limit| {
        let reading = Reading { max_bad_share, limit, ..Reading::default() };
        Dataset::open_with(&path, None, fields.clone(), reading)
    };
    let (lenient, strict) = (open(1.0, None), open(0.0, None));
    let all = lenient.as_ref().map(|set| look(set, &path)).unwrap_or_default();
    let is_bad_text =
        |row: &Result<Row, BadRow>| row.as_ref().is_err_and(|bad| !bad.reason.contains("no image file"));
    match &strict {
        Ok(set) => assert_eq!(look(set, &path), all, "read strictly"),
        Err(error) => {
            assert!(is_a_line(&error.to_string()), "{error}");
            let whole = lenient.as_ref().is_ok_and(|set| set.count().get() <= ROWS);
            assert!(!whole || all.iter().any(is_bad_text), "refused for nothing: {error}");
        }
    }
    if let Ok(first) = open(1.0, Some(1)) {
        assert_eq!(first.count().get(), 1);
        let found = look(&first, &path);
        assert!(all.is_empty() || found.first() == all.first(), "read alone, another");
    }
}

/// Rows of a Parquet file are the same when they are loaded again, in whatever order.
pub fn parquet(data: &[u8]) {
    stored("rows.parquet", data);
}

/// Rows of an Arrow file or stream are the same when they are loaded again, in whatever order.
pub fn arrow(data: &[u8]) {
    stored("rows.arrow", data);
}

/// Rows of an archive are the same when they are loaded again, in whatever order.
pub fn archive(data: &[u8]) {
    stored("rows.tar", data);
}

fn stored(name: &str, data: &[u8]) {
    // The readers of Parquet and Arrow panic on some files and are caught at it; libFuzzer's hook would end the process before.
    static QUIET: Once = Once::new();
    QUIET.call_once(|| std::panic::set_hook(Box::new(|_| {})));
    scratch::there("a.png");
    let path = scratch::write(name, data);
    match Dataset::open(&path, &Fields::default(), None) {
        Ok(set) => drop(look(&set, &path)),
        Err(error) => assert!(is_a_line(&error.to_string()), "{error}"),
    }
}

/// The first rows, each looked at.
fn look(set: &Dataset, path: &Path) -> Vec<Result<Row, BadRow>> {
    let count = set.count().get();
    let load = |index| set.load(index).ok();
    let rows: Vec<Option<Result<Row, BadRow>>> = (0..count.min(ROWS)).map(load).collect();
    for (index, row) in rows.iter().enumerate().rev() {
        assert_eq!(&load(index), row, "loaded again, another");
    }
    assert!(set.load(count).is_err(), "a row beyond the last");
    let (file, folder) = (path.display().to_string(), scratch::folder());
    for row in rows.iter().flatten() {
        match row {
            Ok(row) => {
                assert!(row.origin.starts_with(&file) && !row.images.is_empty());
                assert!(row.demonstration.is_some() || !row.answer.trim().is_empty());
                for image in &row.images {
                    if let ImageSource::File(image) = image {
                        assert!(image.starts_with(&folder) && image.is_file(), "{}", image.display());
                    }
                }
            }
            Err(bad) => {
                assert!(bad.origin.starts_with(&file));
                assert!(is_a_line(&bad.reason) && bad.reason.chars().count() <= 500, "{}", bad.reason);
                assert!(bad.id.chars().count() <= 200, "{}", bad.id);
            }
        }
    }
    rows.into_iter().flatten().collect()
}
