//! Files that are cut off, flipped or lie.

use parquet::file::properties::WriterProperties;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use vigos_data::ImageSource;

use arrow_array::builder::BinaryDictionaryBuilder;
use arrow_array::types::Int32Type;
use parquet::basic::Encoding;
use parquet::file::properties::WriterVersion;
use proptest::prelude::*;
use vigos_data::{Dataset, DatasetError, Fields};

use super::writer::{bytes, lists, named, properties, structs, table, texts, write, write_with};
use super::{image_bytes, open, with_images};

/// A file of the table, and its bytes.
fn file(rows: usize) -> (tempfile::TempDir, PathBuf, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("set.parquet");
    write(&path, &named("row", rows), 4);
    let bytes = fs::read(&path).unwrap();
    (dir, path, bytes)
}

/// Opens the file and loads every row; what is wrong, if anything.
fn read_all(path: &Path) -> Result<usize, DatasetError> {
    let set = open(path)?;
    let count = set.count().get().min(1000);
    for index in 0..count {
        let _bad_rows_are_no_errors = set.load(index)?;
    }
    Ok(count)
}

#[test]
fn a_file_that_is_cut_off_anywhere_is_an_error_that_names_it() {
    let (_dir, path, whole) = file(6);
    for length in (0..whole.len()).step_by(37).chain([whole.len() - 1]) {
        fs::write(&path, &whole[..length]).unwrap();
        let message = read_all(&path).unwrap_err().to_string();
        assert!(message.contains("set.parquet"), "{length}: {message}");
    }
}

#[test]
fn a_damaged_page_makes_the_rows_of_its_group_bad_and_no_others() {
    let (_dir, path, whole) = file(8);
    let mut damaged = whole.clone();
    // The first page of the first column follows the magic bytes.
    damaged[4..40].fill(0xff);
    fs::write(&path, &damaged).unwrap();
    let set = open(&path).unwrap();
    // In turns, so that the damaged group is asked for again.
    for row in [0, 7, 3, 4, 1] {
        match set.load(row).unwrap() {
            Ok(found) => assert!(row >= 4 && found.id == format!("row{row}"), "{found:?}"),
            Err(bad) => {
                assert!(row < 4 && bad.id == (row + 1).to_string(), "{bad:?}");
                assert!(bad.origin.ends_with(&format!("set.parquet: row group 0 row {row}")), "{bad:?}");
                assert!(bad.reason.contains("cannot be read as Parquet: row group 0: "), "{bad:?}");
            }
        }
    }
}

#[test]
fn a_page_that_claims_to_become_gigabytes_is_refused_before_it_is_decompressed() {
    let (_dir, path, whole) = file(4);
    // Field 1, an i32: the type; field 2: the decompressed size; field 3: the compressed one, as varints in
    // zigzag form.
    assert_eq!((whole[4], whole[6]), (0x15, 0x15));
    let length = |at: usize| 1 + whole[at..].iter().position(|byte| byte & 0x80 == 0).unwrap();
    let (size, compressed) = (7, 7 + length(7) + 1);
    let content = compressed + length(compressed);
    let grown = 5 - length(size);
    let old = whole[compressed..content].iter().rev().fold(0_u64, |n, byte| n << 7 | u64::from(byte & 0x7f));
    let mut lying = whole[..size].to_vec();
    lying.extend([0xfe, 0xff, 0xff, 0xff, 0x0f]);
    lying.push(0x15);
    // The header grows, so that the page has to shrink.
    lying.extend(varint(old - 2 * grown as u64, length(compressed)));
    lying.extend(&whole[content..]);
    // Behind the rest of the header, in content that nobody gets to read.
    let from = grown + content + 12;
    lying.drain(from..from + grown);
    assert_eq!(lying.len(), whole.len());
    fs::write(&path, &lying).unwrap();
    let set = open(&path).unwrap();
    let error = set.load(0).unwrap_err();
    assert!(matches!(error, DatasetError::LargeRowGroup { unit: "bytes", .. }), "{error}");
    assert!(error.to_string().contains("smaller row groups"), "{error}");
}

/// A varint of so many bytes.
fn varint(value: u64, length: usize) -> Vec<u8> {
    let byte = |i: usize| (value >> (7 * i)) as u8 & 0x7f | if i + 1 < length { 0x80 } else { 0 };
    (0..length).map(byte).collect()
}

#[test]
fn a_footer_that_claims_more_than_there_is_is_refused() {
    let (_dir, path, mut whole) = file(2);
    let at = whole.len() - 8;
    whole[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    fs::write(&path, &whole).unwrap();
    let message = open(&path).unwrap_err().to_string();
    assert!(message.contains("footer claims 4294967295 bytes"), "{message}");
}

#[test]
fn what_is_no_parquet_file_is_said_to_be_none() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("set.parquet");
    for content in [&b""[..], b"PAR1", b"{\"problem\": 1}\n"] {
        fs::write(&path, content).unwrap();
        let message = open(&path).unwrap_err().to_string();
        assert!(message.contains("set.parquet") && message.contains("Parquet"), "{message}");
    }
    let absent = Dataset::open(&dir.path().join("no.parquet"), &Fields::default(), None).unwrap_err();
    assert!(absent.to_string().contains("no.parquet"), "{absent}");
}

#[test]
fn values_that_repeat_each_other_into_gigabytes_are_refused_before_they_are_decoded() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("set.parquet");
    let delta = || {
        properties()
            .set_writer_version(WriterVersion::PARQUET_2_0)
            .set_dictionary_enabled(false)
            .set_encoding(Encoding::DELTA_BYTE_ARRAY)
    };
    // A page of a megabyte whose 1,500 values have one each.
    let mut column = BinaryDictionaryBuilder::<Int32Type>::new();
    (0..1500).for_each(|_| _ = column.append(vec![7; 1 << 20]).unwrap());
    write_with(&path, &with_images("image", Arc::new(column.finish())), delta());
    assert!(fs::metadata(&path).unwrap().len() < 4 << 20);
    let error = open(&path).unwrap().load(0).unwrap_err();
    assert!(matches!(error, DatasetError::LargeRowGroup { unit: "bytes", .. }), "{error}");

    // Lengths that are more than the page's values.
    let (_dir, path, whole) = encoded(Encoding::DELTA_LENGTH_BYTE_ARRAY);
    // Block size 128 in 4 parts, 3 values.
    let at = whole.windows(4).position(|bytes| bytes == [0x80, 0x01, 0x04, 0x03]).unwrap();
    let mut lying = whole.clone();
    lying[at + 3] = 0x7f;
    fs::write(&path, &lying).unwrap();
    let bad = open(&path).unwrap().load(0).unwrap().unwrap_err();
    assert!(bad.reason.contains("claims 127 lengths for 3 values"), "{bad:?}");
}

/// A file of three rows whose columns are in this encoding, uncompressed.
fn encoded(encoding: Encoding) -> (tempfile::TempDir, PathBuf, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("set.parquet");
    let text = texts(&[Some("alpha"), Some("alphabet"), Some("alpine")]);
    let images = structs(&[bytes(b"i"), bytes(b"ij"), bytes(b"ik")]);
    let plain = WriterProperties::builder().set_dictionary_enabled(false).set_encoding(encoding);
    write_with(&path, &table(vec![("image", images), ("problem", text.clone()), ("answer", text)]), plain);
    let whole = fs::read(&path).unwrap();
    (dir, path, whole)
}

#[test]
fn every_encoding_of_texts_gives_the_same_rows() {
    for encoding in [Encoding::PLAIN, Encoding::DELTA_LENGTH_BYTE_ARRAY, Encoding::DELTA_BYTE_ARRAY] {
        let (_dir, path, _) = encoded(encoding);
        let set = open(&path).unwrap();
        let answers: Vec<_> = (0..3).map(|row| set.load(row).unwrap().unwrap().answer).collect();
        assert_eq!(answers, ["alpha", "alphabet", "alpine"], "{encoding}");
        assert_eq!(
            set.load(1).unwrap().unwrap().images,
            [ImageSource::Bytes(b"ij".as_slice().into())],
            "{encoding}"
        );
    }
}

#[test]
fn a_row_of_very_many_images_is_a_bad_row() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("set.parquet");
    let cells = [Some(vec![bytes(b"i"); 100_000]), Some(vec![bytes(b"i")])];
    write(&path, &with_images("images", lists(&cells)), 2);
    let set = open(&path).unwrap();
    let bad = set.load(0).unwrap().unwrap_err();
    assert!(bad.reason.contains("found 100000 images"), "{bad:?}");
    assert!(set.load(1).unwrap().is_ok());
}

/// The file holds the value once; decoded by the row it would be 600 MB.
#[cfg(target_os = "linux")]
#[test]
fn a_value_that_many_rows_share_is_in_memory_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("set.parquet");
    let mut column = BinaryDictionaryBuilder::<Int32Type>::new();
    (0..600).for_each(|_| _ = column.append(vec![7; 1 << 20]).unwrap());
    let whole = properties().set_dictionary_page_size_limit(1 << 30);
    write_with(&path, &with_images("image", Arc::new(column.finish())), whole);
    let set = open(&path).unwrap();
    assert_eq!(image_bytes(&set.load(599).unwrap().unwrap())[0].len(), 1 << 20);
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kilobytes: u64 = peak.trim().strip_suffix(" kB").unwrap().parse().unwrap();
    assert!(kilobytes < 300_000, "{peak}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn flipped_bytes_are_read_or_refused_and_never_panic(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        list: bool,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("set.parquet");
        if list {
            write(&path, &with_images("images", lists(&[Some(vec![bytes(b"a"), bytes(b"b")]), None])), 1);
        } else {
            write(&path, &named("row", 6), 4);
        }
        let mut damaged = fs::read(&path).unwrap();
        for (place, value) in flips {
            let place = place.index(damaged.len());
            damaged[place] = value;
        }
        fs::write(&path, &damaged).unwrap();
        if let Err(error) = read_all(&path) {
            prop_assert!(error.to_string().contains("set.parquet"), "{}", error);
        }
    }
}
