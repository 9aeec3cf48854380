//! JPEG as libjpeg-turbo decodes it, to the last bit.
//!
//! It exists because the standard leaves rounding open: decoders differ by several levels, most of all where coarser
//! colour is interpolated. Pillow uses libjpeg-turbo, so models have been trained on its pixels, and what a model
//! sees must not depend on who decoded the file. No decoder in Rust has those bits; this one follows libjpeg-turbo's
//! arithmetic: the accurate integer transform, "fancy" upsampling and its colour conversion.
//!
//! It decodes the files that there are: Huffman-coded samples of 8 bits, sequential or progressive, grey, YCbCr, RGB,
//! CMYK and YCCK. It does not decode arithmetic coding, lossless files, 12-bit samples or several frames, and it
//! refuses damage that others tolerate: whoever calls has a general decoder for those. The camera's note on
//! orientation is not read, as Pillow's `open` does not.
//!
//! [`decode`] is all of it. Files are not trusted: memory goes with the size that the caller names, and nothing
//! panics.

mod color;
mod entropy;
mod error;
mod file;
mod frame;
mod scan;
mod tables;
mod transform;
mod upsample;

pub use error::JpegError;

use color::ColorSpace;
use file::File;

/// Decodes the JPEG file in `bytes`, which a look at its header has found to be `width` by `height` pixels: red,
/// green and blue of every pixel, row by row.
///
/// The caller names the size, and so decides how much memory may be taken, before anything is decoded.
///
/// ```
/// # let bytes = include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/gray.jpg"));
/// let rgb = vigos_jpeg::decode(bytes, 33, 21)?;
/// assert_eq!(rgb.len(), 33 * 21 * 3);
/// # Ok::<(), vigos_jpeg::JpegError>(())
/// ```
///
/// # Errors
/// If the file is damaged, cut off, of a kind that is not decoded here, or of another size.
pub fn decode(bytes: &[u8], width: u32, height: u32) -> Result<Vec<u8>, JpegError> {
    let file = File::read(bytes, (width as usize, height as usize))?;
    let frame = file.frame.ok_or(JpegError::Short("the file"))?;
    let space = ColorSpace::of(&frame, &file.color)?;
    let planes = frame.components.iter().map(|component| component.plane()).collect::<Result<Vec<_>, _>>()?;
    color::to_rgb(&frame, &planes, space)
}
