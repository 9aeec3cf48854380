//! Pictures as PNG files.

use std::io::Cursor;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder, RgbImage};

use crate::error::WorldError;

/// The bytes of a PNG file, the same wherever they are made: the encoder's fast method is a fixed code. The filter
/// leaves nothing of a grain but its first pixel.
///
/// # Errors
/// [`WorldError::Encode`] with `name`.
pub fn png(name: &str, image: &RgbImage) -> Result<Vec<u8>, WorldError> {
    let mut bytes = Cursor::new(Vec::new());
    let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Paeth);
    encoder
        .write_image(image, image.width(), image.height(), ExtendedColorType::Rgb8)
        .map_err(|e| WorldError::Encode { file: name.to_owned(), reason: e.to_string() })?;
    Ok(bytes.into_inner())
}
