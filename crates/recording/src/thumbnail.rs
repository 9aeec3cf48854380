//! A picture scaled down and encoded for a line of JSON.

use crate::format::Picture;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::{CompressionType, FilterType as PngFilter, PngEncoder};
use image::imageops::{FilterType, resize};
use image::{ExtendedColorType, ImageEncoder, RgbImage};

/// Quality of a JPEG file, of 100.
const QUALITY: u8 = 80;

/// A picture whose longer side has at most `side` pixels, as PNG or as JPEG, whichever is smaller: drawings are PNG then,
/// photographs JPEG. Nothing of a picture or a side of no pixels.
pub fn thumbnail(image: &RgbImage, side: u32) -> Option<Picture> {
    let (width, height) = image.dimensions();
    let longer = width.max(height);
    if side == 0 || width == 0 || height == 0 {
        return None;
    }
    let scaled = |pixels: u32| (u64::from(pixels) * u64::from(side) / u64::from(longer)).max(1) as u32;
    let small = match longer > side {
        true => &resize(image, scaled(width), scaled(height), FilterType::Triangle),
        false => image,
    };
    let (width, height) = small.dimensions();
    let (mut png, mut jpeg) = (Vec::new(), Vec::new());
    PngEncoder::new_with_quality(&mut png, CompressionType::Best, PngFilter::Adaptive)
        .write_image(small, width, height, ExtendedColorType::Rgb8)
        .ok()?;
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY).encode_image(small).ok()?;
    let (kind, file) = if png.len() <= jpeg.len() { ("image/png", png) } else { ("image/jpeg", jpeg) };
    Some(Picture { width, height, kind: kind.into(), data: STANDARD.encode(file) })
}
