//! Every kind of file that is decoded has libjpeg-turbo's pixels, and every other one is refused with a reason.
#![allow(clippy::unwrap_used, reason = "a helper of a test may fail as the test itself")]

use proptest::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};
use vigos_jpeg::{JpegError, decode};

/// What all fixtures measure.
const SIZE: (u32, u32) = (33, 21);

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn file(name: &str) -> Vec<u8> {
    fs::read(path(name)).unwrap()
}

/// Every fixture with its pixels in Pillow, `None` where Pillow refuses it.
fn fixtures() -> Vec<(String, Vec<u8>, Option<Vec<u8>>)> {
    let mut names: Vec<String> = fs::read_dir(path(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".jpg"))
        .collect();
    names.sort();
    let pixels = |name: &str| {
        let bytes = file(&format!("{name}.rgb"));
        (bytes != b"ERR").then(|| bytes[8..].to_vec())
    };
    names.into_iter().map(|name| (name.clone(), file(&name), pixels(&name))).collect()
}

/// A fixture with its frame's header changed, which starts with the marker, two bytes of length and the precision.
fn with_frame(name: &str, change: impl Fn(&mut [u8])) -> Vec<u8> {
    let mut bytes = file(name);
    let at = bytes.windows(2).position(|pair| matches!(pair, [0xff, 0xc0..=0xc2])).unwrap();
    change(&mut bytes[at..]);
    bytes
}

#[test]
fn every_kind_of_file_has_pillows_pixels_to_the_last_bit() {
    let mut count = 0;
    for (name, bytes, expected) in fixtures() {
        let Some(expected) = expected else { continue };
        let found = decode(&bytes, SIZE.0, SIZE.1);
        assert!(found.as_ref() == Ok(&expected), "{name}: {:?}", found.err());
        count += 1;
    }
    assert!(count >= 15, "only {count} fixtures found");
}

#[test]
fn a_file_that_is_cut_off_anywhere_is_refused() {
    for name in ["q95s2.jpg", "prog.jpg", "cmyk.jpg"] {
        let bytes = file(name);
        for end in 0..bytes.len() - 1 {
            assert!(decode(&bytes[..end], SIZE.0, SIZE.1).is_err(), "{name} cut off at {end}");
        }
    }
}

#[test]
fn a_file_of_a_kind_that_is_not_decoded_is_told_from_a_damaged_one() {
    let arithmetic = with_frame("gray.jpg", |frame| frame[1] = 0xc9);
    let deep = with_frame("gray.jpg", |frame| frame[4] = 12);
    for (bytes, found) in [(arithmetic, "arithmetic"), (deep, "another width than 8 bits")] {
        let error = decode(&bytes, SIZE.0, SIZE.1).unwrap_err();
        assert!(matches!(error, JpegError::Unsupported(_)) && error.to_string().contains(found), "{error}");
    }
    let unsampled = with_frame("gray.jpg", |frame| frame[11] = 0);
    let error = decode(&unsampled, SIZE.0, SIZE.1).unwrap_err();
    assert_eq!(error.to_string(), "found a sampling factor that is none: the file is damaged");
    assert!(matches!(decode(b"\xff\xd8", 1, 1), Err(JpegError::Short("the file"))));
}

#[test]
fn a_huffman_table_that_libjpeg_refuses_is_refused() {
    let with_table = |head: u8, counts: [u8; 2], symbols: &[u8]| {
        let mut bytes = file("gray.jpg");
        let scan = bytes.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap();
        let segment = [&[0xff, 0xc4, 0, 19 + symbols.len() as u8, head], &counts[..], &[0; 14], symbols];
        bytes.splice(scan..scan, segment.concat());
        decode(&bytes, SIZE.0, SIZE.1).unwrap_err().to_string()
    };
    // Two codes of one bit, of which one is all ones; three of two bits are one fewer than there are.
    assert!(with_table(0x00, [2, 0], &[0, 1]).contains("more Huffman codes"));
    assert!(with_table(0x10, [0, 4], &[0, 1, 2, 3]).contains("more Huffman codes"));
    assert!(!with_table(0x10, [0, 3], &[0, 1, 2]).contains("Huffman codes"));
    assert!(with_table(0x00, [1, 0], &[16]).contains("more than 15 bits"));
}

#[test]
fn a_second_scan_of_what_a_sequential_file_had_already_is_refused() {
    for name in ["gray.jpg", "q95s2.jpg"] {
        let mut bytes = file(name);
        let scan = bytes.windows(2).position(|pair| pair == [0xff, 0xda]).unwrap();
        let again = bytes[scan..].to_vec();
        bytes.truncate(bytes.len() - 2);
        bytes.extend(again);
        let error = decode(&bytes, SIZE.0, SIZE.1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "found a second scan of a component whose first had all of it: the file is damaged"
        );
    }
}

#[test]
fn an_image_of_another_size_than_was_announced_is_refused_before_memory_is_taken() {
    let error = decode(&file("gray.jpg"), 34, 21).unwrap_err();
    assert_eq!(error.to_string(), "found 33 by 21 pixels, wanted 34 by 21");
    // Both sides 65,535: 12.9 GB of pixels.
    let large = with_frame("gray.jpg", |frame| frame[5..9].fill(0xff));
    assert!(matches!(decode(&large, SIZE.0, SIZE.1), Err(JpegError::Size { found: (65_535, 65_535), .. })));
    let empty = with_frame("gray.jpg", |frame| frame[5..9].fill(0));
    assert!(decode(&empty, 0, 0).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn damaged_files_never_panic(
        which in any::<prop::sample::Index>(),
        cut in 0.0f64..1.2,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let fixtures = fixtures();
        let mut bytes = which.get(&fixtures).1.clone();
        bytes.truncate((bytes.len() as f64 * cut) as usize);
        for (index, value) in edits {
            if !bytes.is_empty() {
                let at = index.index(bytes.len());
                bytes[at] = value;
            }
        }
        if let Ok(rgb) = decode(&bytes, SIZE.0, SIZE.1) {
            prop_assert_eq!(rgb.len(), 33 * 21 * 3);
        }
    }
}
