//! Encoded images: to patches, and JPEG by two decoders.

use std::io::Cursor;

use image::codecs::jpeg::{JpegDecoder, JpegEncoder};
use image::{ColorType, DynamicImage, ExtendedColorType, ImageDecoder, RgbImage};
use vigos_processor::config::ImageConfig;
use vigos_processor::{DecodeLimits, decode, patches};

/// What a model of either generation asks for, with room for few patches.
const SETTINGS: [&str; 2] = [
    r#"{"patch_size": 14, "min_pixels": 3136, "max_pixels": 12544}"#,
    r#"{"patch_size": 16, "min_pixels": 1024, "max_pixels": 16384, "image_mean": 0.5, "image_std": 0.5}"#,
];
const LIMITS: DecodeLimits = DecodeLimits { max_pixels: 1 << 18, max_bytes: 1 << 20 };

/// Levels that two decoders of JPEG may be apart: each rounds on its way, and the colours multiply it.
const PICTURE: u8 = 4;

/// What the general decoder says of files that libjpeg-turbo at most warns of, and the exact one decodes as it does: stray
/// bytes before a marker, a marker without a length where it looks for one, and numbers in a scan's header that a
/// sequential file has no use for.
const TOLERATED: [&str; 3] =
    ["Marker missing where expected", "Found a marker with invalid length", "Error parsing SOS Segment"];

/// An image that decodes has the size that its header was planned with, and as many finite values as its grid says.
pub fn image(data: &[u8]) {
    let size = decode::size(data, &LIMITS);
    let image = match decode::decode(data, &LIMITS) {
        Ok(image) => image,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let (width, height) = image.dimensions();
    let size = size.expect("what decodes has a size");
    assert!(size == (width, height) || size == (height, width), "{size:?} became {width} by {height}");
    for settings in SETTINGS {
        let config = ImageConfig::from_json(settings.as_bytes()).expect("the settings are sound");
        let planned = patches::grid(height, width, &config);
        let cut = patches::patches(&image, &config);
        assert_eq!(cut.as_ref().map(|cut| cut.grid).map_err(Clone::clone), planned);
        let Ok(cut) = cut else { continue };
        let side = config.patch_size as usize;
        let patch = 3 * config.temporal_patch_size as usize * side * side;
        assert_eq!(cut.values.len(), cut.grid.patches() * patch);
        let within = |value: &f32| value.is_finite() && value.abs() < 3.0;
        assert!(cut.values.iter().all(within), "a byte became what no byte becomes");
        // A long thin image keeps a row of tokens, however few pixels it may have.
        let (rows, columns) = (cut.grid.h / 2, cut.grid.w / 2);
        let pixels = (cut.grid.patches() * side * side) as u64;
        assert!(pixels <= config.max_pixels || rows.min(columns) == 1, "{pixels} pixels");
    }
}

/// What the exact decoder accepts the general one does too, with the same size and nearly the same pixels.
///
/// How far apart: in a picture, `PICTURE` levels. A first byte `e` makes one of the bytes: `e WIDTH HEIGHT QUALITY
/// CHANNELS`, then values, repeated as needed. In any other file, `PICTURE` too, but only where it is grey and both have
/// shades between black and white in the whole block of 8 by 8: what no encoder writes may leave a decoder's range, and where it does libjpeg-turbo
/// begins again at the other end, while others stop. In colour such a place is seen as any shade.
pub fn jpeg(data: &[u8]) {
    match data {
        [b'e', width, height, quality, channels, values @ ..] if !values.is_empty() => {
            let [width, height] = [width, height].map(|side| u32::from(side % 64) + 1);
            let color = if channels % 2 == 0 { ExtendedColorType::L8 } else { ExtendedColorType::Rgb8 };
            let count = width as usize * height as usize * usize::from(color.channel_count());
            let pixels: Vec<u8> = values.iter().copied().cycle().take(count).collect();
            let mut file = Vec::new();
            let mut encoder = JpegEncoder::new_with_quality(&mut file, quality % 100 + 1);
            encoder.encode(&pixels, width, height, color).expect("a picture can be encoded");
            let (exact, general, _) = both(&file).expect("what was encoded is decoded");
            assert_eq!(exact.dimensions(), (width, height));
            let apart = exact.iter().zip(general.iter()).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(apart <= Some(PICTURE), "{apart:?} levels apart");
        }
        file => {
            let Some((exact, general, is_grey)) = both(file) else { return };
            if is_grey {
                let apart = apart_within_range(&exact, &general);
                assert!(apart <= PICTURE, "{apart:?} levels apart");
            }
        }
    }
}

/// The most levels that two grey pictures are apart in blocks that neither has black or white in.
fn apart_within_range(exact: &RgbImage, general: &RgbImage) -> u8 {
    const SIDE: usize = 8;
    let (width, height) = (exact.width() as usize, exact.height() as usize);
    let block = |row: usize, column: usize| {
        let rows = row..(row + SIDE).min(height);
        let places =
            rows.flat_map(move |y| (column..(column + SIDE).min(width)).map(move |x| (x as u32, y as u32)));
        places.map(|(x, y)| [exact.get_pixel(x, y).0[0], general.get_pixel(x, y).0[0]]).collect::<Vec<_>>()
    };
    let corners = (0..height).step_by(SIDE).flat_map(|y| (0..width).step_by(SIDE).map(move |x| (y, x)));
    let blocks = corners.map(|(y, x)| block(y, x));
    let within = blocks.filter(|block| !block.iter().flatten().any(|shade| matches!(shade, 0 | 255)));
    within.flatten().map(|[a, b]| a.abs_diff(b)).max().unwrap_or(0)
}

/// A file by both decoders, and whether it is grey; nothing if the exact one refuses it.
fn both(file: &[u8]) -> Option<(RgbImage, RgbImage, bool)> {
    let general = JpegDecoder::new(Cursor::new(file)).ok()?;
    let (width, height) = general.dimensions();
    if u64::from(width) * u64::from(height) > LIMITS.max_pixels {
        return None;
    }
    let exact = vigos_jpeg::decode(file, width, height);
    assert!(vigos_jpeg::decode(file, width + 1, height).is_err(), "another size than it has");
    let exact = RgbImage::from_raw(width, height, exact.ok()?).expect("three bytes a pixel");
    let is_grey = general.color_type() == ColorType::L8;
    match DynamicImage::from_decoder(general) {
        Ok(general) => Some((exact, general.into_rgb8(), is_grey)),
        Err(error) if TOLERATED.iter().any(|words| error.to_string().contains(words)) => None,
        Err(error) => panic!("only the exact decoder reads it: {error}"),
    }
}
