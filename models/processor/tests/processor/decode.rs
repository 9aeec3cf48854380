//! Images are decoded as Pillow decodes them, and hostile files are refused.

use crate::common;

use std::fs;

use proptest::prelude::*;
use vigos_processor::{DecodeError, DecodeLimits, RgbImage, decode};

/// Every fixture, the JPEG decoder's too, with what Pillow makes of it, `None` where it refuses.
fn fixtures() -> Vec<(String, Vec<u8>, Option<RgbImage>)> {
    let mut paths: Vec<_> = [common::own("decode"), common::jpeg()]
        .iter()
        .flat_map(|folder| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()))
        .filter(|path| path.extension().is_none_or(|extension| extension != "md"))
        .collect();
    paths.sort();
    // What the JPEG decoder is to make of the last one is recorded as it is stored, lying on its side.
    let stored = common::jpeg().join("exif.jpg");
    paths.retain(|path| path.extension().is_some_and(|extension| extension != "rgb") && *path != stored);
    let expected = |bytes: Vec<u8>| {
        let side = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        (bytes != b"ERR").then(|| RgbImage::from_raw(side(0), side(4), bytes[8..].to_vec()).unwrap())
    };
    let fixture = |path: std::path::PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let rgb = fs::read(path.with_file_name(format!("{name}.rgb"))).unwrap();
        (name, fs::read(path).unwrap(), expected(rgb))
    };
    paths.into_iter().map(fixture).collect()
}

#[test]
fn images_of_every_format_are_pillows_to_the_last_bit() {
    let (mut count, mut faults) = (0, Vec::new());
    for (name, bytes, expected) in fixtures() {
        let Some(expected) = expected else { continue };
        match decode::decode(&bytes, &DecodeLimits::default()) {
            Ok(decoded) if decoded == expected => {}
            Ok(_) => faults.push(format!("{name} differs")),
            Err(error) => faults.push(format!("{name} is refused: {error}")),
        }
        count += 1;
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(count >= 45, "only {count} fixtures found");
}

#[test]
fn what_pillow_refuses_is_refused() {
    let (mut count, mut accepted) = (0, Vec::new());
    for (name, bytes, expected) in fixtures() {
        if expected.is_none() {
            accepted.extend(decode::decode(&bytes, &DecodeLimits::default()).is_ok().then_some(name));
            count += 1;
        }
    }
    assert!(accepted.is_empty(), "{accepted:?}");
    assert!(count >= 5, "only {count} fixtures found");
}

#[test]
fn the_header_is_enough_to_refuse_a_bomb() {
    // Nothing follows the header: whoever tried to decode would call it damaged instead.
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    png.extend([30_000u32.to_be_bytes(), 30_000u32.to_be_bytes()].concat());
    png.extend([8, 2, 0, 0, 0]);
    match decode::decode(&png, &DecodeLimits::default()) {
        Err(DecodeError::TooLarge { width: 30_000, height: 30_000, limit }) => assert_eq!(limit, 178_956_970),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_format_respects_the_pixel_limit() {
    let own = ["rgb.png", "g.gif", "lossy.webp"].map(|name| common::own("decode").join(name));
    for path in own.into_iter().chain([common::jpeg().join("gray.jpg")]) {
        let (name, bytes) = (path.display(), fs::read(&path).unwrap());
        let area = 33 * 21;
        let limits = DecodeLimits { max_pixels: area - 1, ..DecodeLimits::default() };
        let error = decode::decode(&bytes, &limits).unwrap_err();
        assert!(matches!(error, DecodeError::TooLarge { width: 33, height: 21, .. }), "{name}: {error}");
        decode::decode(&bytes, &DecodeLimits { max_pixels: area, ..limits }).unwrap();
    }
}

#[test]
fn files_over_the_byte_limit_are_refused() {
    let limits = DecodeLimits { max_bytes: 10, ..DecodeLimits::default() };
    assert!(matches!(
        decode::decode(&[0; 11], &limits),
        Err(DecodeError::TooManyBytes { found: 11, limit: 10 })
    ));
    assert!(matches!(decode::open(&common::own("decode/rgb.png"), &limits), Err(DecodeError::File(_))));
}

#[test]
fn other_formats_and_empty_images_are_named_in_the_error() {
    let limits = DecodeLimits::default();
    assert!(matches!(decode::decode(b"", &limits), Err(DecodeError::NoBytes)));
    assert!(matches!(decode::decode(b"BM not a picture", &limits), Err(DecodeError::Unsupported { .. })));
    let zero = fs::read(common::own("decode/zero.png")).unwrap();
    assert!(matches!(decode::decode(&zero, &limits), Err(DecodeError::Empty { width: 0, .. })));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn damaged_files_never_panic(
        which in 0usize..200,
        cut in 0.0f64..1.2,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
    ) {
        let fixtures = fixtures();
        let (_, mut bytes, _) = fixtures[which % fixtures.len()].clone();
        bytes.truncate((bytes.len() as f64 * cut) as usize);
        for (index, value) in edits {
            if !bytes.is_empty() {
                let at = index.index(bytes.len());
                bytes[at] = value;
            }
        }
        // A small limit keeps a grown header from costing memory and time.
        let limits = DecodeLimits { max_pixels: 1 << 20, ..DecodeLimits::default() };
        let _ = decode::decode(&bytes, &limits);
    }

    #[test]
    fn noise_behind_a_signature_never_panics(
        start in prop::sample::select(vec![&b"\x89PNG\r\n\x1a\n"[..], b"\xff\xd8\xff", b"GIF89a", b"RIFF\x40\0\0\0WEBPVP8 "]),
        noise in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let limits = DecodeLimits { max_pixels: 1 << 20, ..DecodeLimits::default() };
        let _ = decode::decode(&[start, &noise[..]].concat(), &limits);
    }
}
