//! The camera's note on how a picture is held, and the picture held so.
//!
//! The libraries that models were trained with turn photos upright by it, as people see them; so it is read where
//! Pillow's `ImageOps.exif_transpose` finds it: in EXIF, else in XMP. A note that makes no sense is none.

use image::metadata::Orientation;
use image::{DynamicImage, ImageFormat, RgbImage};

/// `image`, which was decoded from `bytes`, as its note says.
pub(crate) fn upright(image: RgbImage, bytes: &[u8], format: ImageFormat) -> RgbImage {
    let notes = Notes::of(bytes, format);
    let value = notes.exif.and_then(exif_orientation).or_else(|| notes.xmp.and_then(xmp_orientation));
    let Some(orientation) = value.and_then(Orientation::from_exif) else { return image };
    let mut image = DynamicImage::ImageRgb8(image);
    image.apply_orientation(orientation);
    image.into_rgb8()
}

/// What a file says of itself beside its pixels.
#[derive(Default)]
struct Notes<'a> {
    exif: Option<&'a [u8]>,
    xmp: Option<&'a [u8]>,
}

impl<'a> Notes<'a> {
    fn of(bytes: &'a [u8], format: ImageFormat) -> Self {
        match format {
            ImageFormat::Jpeg => Self::of_jpeg(bytes),
            ImageFormat::Png => Self::of_png(bytes),
            ImageFormat::WebP => Self::of_webp(bytes),
            _ => Self::default(),
        }
    }

    /// Those of the segments before the first scan.
    fn of_jpeg(bytes: &'a [u8]) -> Self {
        const START_OF_SCAN: u8 = 0xda;
        const APPLICATION_1: u8 = 0xe1;
        let mut notes = Self::default();
        let mut rest = bytes.get(2..).unwrap_or_default();
        while let [first, marker, ..] = rest {
            if *first != 0xff || matches!(marker, 0x00 | 0x01 | 0xff | 0xd0..=0xd8) {
                rest = &rest[1..];
                continue;
            }
            let length = rest.get(2..4).map_or(0, |pair| usize::from(pair[0]) << 8 | usize::from(pair[1]));
            let (Some(segment), false) = (rest.get(4..2 + length), *marker == START_OF_SCAN) else { break };
            if *marker == APPLICATION_1 {
                // Of several the first begins with the directory that counts.
                notes.exif = notes.exif.or(segment.starts_with(b"Exif\0\0").then_some(segment));
                notes.xmp = notes.xmp.or_else(|| segment.strip_prefix(b"http://ns.adobe.com/xap/1.0/\0"));
            }
            rest = rest.get(2 + length..).unwrap_or_default();
        }
        notes
    }

    /// Those of its chunks, which may come after the pixels.
    fn of_png(bytes: &'a [u8]) -> Self {
        let mut notes = Self::default();
        let mut rest = bytes.get(8..).unwrap_or_default();
        while let [a, b, c, d, kind @ ..] = rest {
            let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
            let Some(content) = kind.get(4..).and_then(|after| after.get(..length)) else { break };
            match kind.get(..4) {
                Some(b"eXIf") => notes.exif = Some(content),
                Some(b"iTXt") if content.starts_with(b"XML:com.adobe.xmp\0") => notes.xmp = Some(content),
                _ => {}
            }
            rest = rest.get(length + 12..).unwrap_or_default();
        }
        notes
    }

    fn of_webp(bytes: &'a [u8]) -> Self {
        let mut notes = Self::default();
        let mut rest = bytes.get(12..).unwrap_or_default();
        while let [k, i, n, d, a, b, c, e, after @ ..] = rest {
            let length = u32::from_le_bytes([*a, *b, *c, *e]) as usize;
            let Some(content) = after.get(..length) else { break };
            match &[*k, *i, *n, *d] {
                b"EXIF" => notes.exif = Some(content),
                b"XMP " => notes.xmp = Some(content),
                _ => {}
            }
            // Chunks begin at even places.
            rest = after.get(length + length % 2..).unwrap_or_default();
        }
        notes
    }
}

/// The orientation in the first directory of EXIF's TIFF structure.
fn exif_orientation(mut exif: &[u8]) -> Option<u8> {
    const ORIENTATION: u16 = 0x0112;
    const SHORT: u16 = 3;
    const LONG: u16 = 4;
    const ENTRY: usize = 12;
    while let Some(rest) = exif.strip_prefix(b"Exif\0\0") {
        exif = rest;
    }
    let is_little = match exif.get(..4)? {
        b"II\x2a\0" | b"II\0\x2a" => true,
        b"MM\0\x2a" | b"MM\x2a\0" => false,
        _ => return None,
    };
    let short = |at: usize| {
        let bytes = *exif.get(at..)?.first_chunk()?;
        Some(if is_little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    };
    let long = |at: usize| {
        let bytes = *exif.get(at..)?.first_chunk()?;
        Some(if is_little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) })
    };
    let directory = long(4)? as usize;
    let entries = usize::from(short(directory)?);
    let entry = (0..entries)
        .map_while(|number| Some(directory.checked_add(2 + number * ENTRY)?).filter(|at| *at < exif.len()))
        .find(|at| short(*at) == Some(ORIENTATION))?;
    let value = match (short(entry + 2)?, long(entry + 4)?) {
        (SHORT, 1) => u32::from(short(entry + 8)?),
        (LONG, 1) => long(entry + 8)?,
        _ => 0,
    };
    // Whatever else is there is a note too, and says nothing.
    Some(u8::try_from(value).unwrap_or(0))
}

/// The digit after `tiff:Orientation=` or in the element of that name.
fn xmp_orientation(xmp: &[u8]) -> Option<u8> {
    const NAME: &[u8] = b"tiff:Orientation";
    let places = xmp.windows(NAME.len()).enumerate().filter(|(_, window)| *window == NAME);
    places.into_iter().find_map(|(at, _)| match xmp.get(at + NAME.len()..)? {
        [b'=', b'"', digit, ..] | [b'>', digit, ..] if digit.is_ascii_digit() => Some(digit - b'0'),
        _ => None,
    })
}
