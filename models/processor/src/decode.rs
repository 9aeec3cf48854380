//! File bytes to 8-bit RGB, as Pillow's `Image.open(...).convert("RGB")` gives it.
//!
//! What a model sees must not depend on who decoded the file, so the conventions are Pillow's: transparency is
//! dropped, not blended; grey is repeated; 16-bit colour keeps its high byte, 16-bit grey is cut off at 255; an
//! animation is its first frame. A photo is turned upright as its camera noted, as `ImageOps.exif_transpose` does.
//!
//! Files are not trusted: their size and the dimensions in their header are checked before anything is
//! decoded.

use std::io::Cursor;
use std::path::Path;

use image::codecs::{jpeg::JpegDecoder, png::PngDecoder, webp::WebPDecoder};
use image::{ColorType, ImageDecoder, ImageFormat, Limits, RgbImage};

use crate::files::{self, FileError};
use crate::orientation;

/// Bounds on what is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Most pixels, width times height. The default is 178,956,970, where Pillow too refuses.
    pub max_pixels: u64,
    /// Most bytes of the encoded file. The default is 256 MiB.
    pub max_bytes: u64,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self { max_pixels: 2 * 89_478_485, max_bytes: 256 << 20 }
    }
}

/// Why an image could not be decoded.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The file could not be read, or is over the byte limit.
    #[error(transparent)]
    File(#[from] FileError),
    /// There are more encoded bytes than the limit allows.
    #[error("the encoded image has {found} bytes, at most {limit} are taken")]
    TooManyBytes {
        /// Bytes of the encoded image.
        found: u64,
        /// The limit.
        limit: u64,
    },
    /// The bytes are no image of a supported format.
    #[error(
        "not a PNG, JPEG, GIF or WebP image{} (it starts with {start:02x?}): convert it to one of these",
        format.map_or(String::new(), |format| format!(" but a {format:?}"))
    )]
    Unsupported {
        /// The format, where it is one that is known.
        format: Option<ImageFormat>,
        /// The first bytes, at most eight.
        start: Vec<u8>,
    },
    /// What git keeps in the place of a large file.
    #[error("a Git LFS pointer in the image's place: {}", vigos_core::pointer::ADVICE)]
    Pointer,
    /// There is nothing.
    #[error("the image has no bytes: found an empty file, wanted a PNG, JPEG, GIF or WebP image")]
    NoBytes,
    /// The header promises more pixels than the limit allows; nothing was decoded.
    #[error(
        "the image is {width} by {height} pixels, at most {limit} pixels in all are taken: scale it down"
    )]
    TooLarge {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Most pixels.
        limit: u64,
    },
    /// A side of the image is zero.
    #[error("the image is {width} by {height} pixels: there is nothing in it")]
    Empty {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// The file is damaged, or uses a feature that is not supported.
    #[error("the {format} image is damaged or cut off: {reason}")]
    Broken {
        /// The file's format.
        format: &'static str,
        /// The decoder's words.
        reason: String,
    },
}

/// Decodes the file at `path`.
///
/// # Errors
/// As [`decode`], and if the file cannot be read.
pub fn open(path: &Path, limits: &DecodeLimits) -> Result<RgbImage, DecodeError> {
    decode(&read(path, limits)?, limits)
}

/// The encoded bytes of the file at `path`.
///
/// # Errors
/// If the file cannot be read, or has more bytes than the limit allows.
pub fn read(path: &Path, limits: &DecodeLimits) -> Result<Vec<u8>, DecodeError> {
    Ok(files::read_bytes(path, limits.max_bytes)?)
}

/// The width and height in an image's header, before it is turned upright; nothing is decoded.
///
/// # Errors
/// As [`decode`], but for damage that only decoding finds.
pub fn size(bytes: &[u8], limits: &DecodeLimits) -> Result<(u32, u32), DecodeError> {
    let (width, height) = match format_of(bytes, limits)? {
        ImageFormat::Png => png_size(bytes)?,
        ImageFormat::Jpeg => JpegDecoder::new(Cursor::new(bytes)).map_err(broken("JPEG"))?.dimensions(),
        ImageFormat::Gif => FirstFrame::open(bytes)?.screen,
        _ => WebPDecoder::new(Cursor::new(bytes)).map_err(broken("WebP"))?.dimensions(),
    };
    check_size(width, height, limits)?;
    Ok((width, height))
}

/// Decodes an image from the bytes of a PNG, JPEG, GIF or WebP file, told apart by their content.
///
/// # Errors
/// If the format is another, the file is damaged or cut off, a side is zero, or a limit is exceeded.
pub fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<RgbImage, DecodeError> {
    let format = format_of(bytes, limits)?;
    let image = match format {
        ImageFormat::Png => decode_png(bytes, limits),
        ImageFormat::Jpeg => decode_jpeg(bytes, limits),
        ImageFormat::Gif => decode_gif(bytes, limits),
        _ => {
            let decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(broken("WebP"))?;
            // The decoder reads what is there, were the rest of the file missing.
            if webp_size(bytes).is_none_or(|size| size > bytes.len() as u64) {
                return Err(DecodeError::Broken { format: "WebP", reason: "it ends before its end".into() });
            }
            pixels(decoder, "WebP", limits, high_byte)
        }
    }?;
    Ok(orientation::upright(image, bytes, format))
}

/// The format of a file that may be decoded, one of four.
fn format_of(bytes: &[u8], limits: &DecodeLimits) -> Result<ImageFormat, DecodeError> {
    if bytes.len() as u64 > limits.max_bytes {
        return Err(DecodeError::TooManyBytes { found: bytes.len() as u64, limit: limits.max_bytes });
    }
    match image::guess_format(bytes).ok() {
        Some(format @ (ImageFormat::Png | ImageFormat::Jpeg | ImageFormat::Gif | ImageFormat::WebP)) => {
            Ok(format)
        }
        _ if bytes.is_empty() => Err(DecodeError::NoBytes),
        _ if vigos_core::pointer::is_pointer(bytes) => Err(DecodeError::Pointer),
        format => Err(DecodeError::Unsupported { format, start: bytes.iter().copied().take(8).collect() }),
    }
}

/// Bytes that a WebP file says it has, the header of its container included.
fn webp_size(bytes: &[u8]) -> Option<u64> {
    let size = bytes.get(4..)?.first_chunk()?;
    Some(u64::from(u32::from_le_bytes(*size)) + 8)
}

/// Width and height, which stand at a fixed place.
fn png_size(bytes: &[u8]) -> Result<(u32, u32), DecodeError> {
    let side = |at: usize| bytes.get(at..)?.first_chunk().map(|side| u32::from_be_bytes(*side));
    side(16)
        .zip(side(20))
        .ok_or_else(|| DecodeError::Broken { format: "PNG", reason: "it ends within its header".into() })
}

fn decode_png(bytes: &[u8], limits: &DecodeLimits) -> Result<RgbImage, DecodeError> {
    /// Rows and metadata, not the image itself, which is bounded by its pixels.
    const MAX_SCRATCH_BYTES: u64 = 256 << 20;
    let (width, height) = png_size(bytes)?;
    check_size(width, height, limits)?;
    // The header says what the decoder no longer tells: that a 16-bit grey image with a transparent shade is not one
    // with an alpha channel.
    let is_grey_16 = bytes.get(24..26) == Some(&[16, 0]);

    let mut scratch = Limits::no_limits();
    scratch.max_alloc = Some(MAX_SCRATCH_BYTES);
    let decoder = PngDecoder::with_limits(Cursor::new(bytes), scratch).map_err(broken("PNG"))?;
    let narrow = if is_grey_16 { saturated } else { high_byte };
    pixels(decoder, "PNG", limits, narrow)
}

fn decode_jpeg(bytes: &[u8], limits: &DecodeLimits) -> Result<RgbImage, DecodeError> {
    let general = JpegDecoder::new(Cursor::new(bytes)).map_err(broken("JPEG"))?;
    let (width, height) = general.dimensions();
    check_size(width, height, limits)?;
    // The general decoder fills what is missing with grey, which must not pass for a picture.
    if !has_jpeg_end(bytes) {
        return Err(DecodeError::Broken { format: "JPEG", reason: "it has no end marker".into() });
    }
    let exact = vigos_jpeg::decode(bytes, width, height).ok();
    // Rare kinds, and damage that others tolerate: a picture a level or two off is better than none.
    exact
        .and_then(|rgb| RgbImage::from_raw(width, height, rgb))
        .map_or_else(|| pixels(general, "JPEG", limits, high_byte), Ok)
}

/// The first frame on the screen that it was made for. Transparency is an index like any other.
fn decode_gif(bytes: &[u8], limits: &DecodeLimits) -> Result<RgbImage, DecodeError> {
    let FirstFrame { mut decoder, screen: (columns, rows), corner: (left, top), size, background, palette } =
        FirstFrame::open(bytes)?;
    let (frame_width, frame_height) = size;
    check_size(columns, rows, limits)?;
    if frame_width == 0 || frame_height == 0 {
        return Err(DecodeError::Empty { width: frame_width as u32, height: frame_height as u32 });
    }

    let mut indices = vec![0; decoder.buffer_size()];
    decoder.read_into_buffer(&mut indices).map_err(broken("GIF"))?;
    let palette = palette.or_else(|| decoder.global_palette().map(<[u8]>::to_vec));
    let color = |index: u8| match &palette {
        Some(palette) => {
            palette.chunks_exact(3).nth(usize::from(index)).map_or([0; 3], |c| [c[0], c[1], c[2]])
        }
        None => [index; 3],
    };
    let colors: Vec<[u8; 3]> = (0..=u8::MAX).map(color).collect();

    let mut image = RgbImage::from_pixel(columns, rows, image::Rgb(colors[usize::from(background)]));
    for (y, row) in indices.chunks_exact(frame_width).enumerate() {
        for (x, index) in row.iter().enumerate() {
            image.put_pixel((left + x) as u32, (top + y) as u32, image::Rgb(colors[usize::from(*index)]));
        }
    }
    Ok(image)
}

/// A GIF up to the pixels of its first frame.
struct FirstFrame<'a> {
    decoder: gif::Decoder<&'a [u8]>,
    /// Width and height of the screen. A frame that sticks out makes it larger.
    screen: (u32, u32),
    /// Left and top of the frame.
    corner: (usize, usize),
    /// Its width and height.
    size: (usize, usize),
    /// The index of the screen outside of it.
    background: u8,
    /// Its own palette.
    palette: Option<Vec<u8>>,
}

impl<'a> FirstFrame<'a> {
    fn open(bytes: &'a [u8]) -> Result<Self, DecodeError> {
        let mut options = gif::DecodeOptions::new();
        options.set_color_output(gif::ColorOutput::Indexed);
        let mut decoder = options.read_info(bytes).map_err(broken("GIF"))?;
        let no_frame = || DecodeError::Broken { format: "GIF", reason: "it has no frame".into() };
        let frame = decoder.next_frame_info().map_err(broken("GIF"))?.ok_or_else(no_frame)?;
        let (left, top) = (u32::from(frame.left), u32::from(frame.top));
        let (width, height) = (u32::from(frame.width), u32::from(frame.height));
        let (background, palette) =
            (frame.transparent.unwrap_or(0), frame.palette.as_ref().map(|p| p.to_vec()));
        let screen =
            (u32::from(decoder.width()).max(left + width), u32::from(decoder.height()).max(top + height));
        let corner = (left as usize, top as usize);
        Ok(Self { decoder, screen, corner, size: (width as usize, height as usize), background, palette })
    }
}

/// Decodes with `decoder` after a look at the header, and keeps red, green and blue; `narrow` makes a byte of
/// a 16-bit value.
fn pixels(
    decoder: impl ImageDecoder,
    format: &'static str,
    limits: &DecodeLimits,
    narrow: fn(u16) -> u8,
) -> Result<RgbImage, DecodeError> {
    let (width, height) = decoder.dimensions();
    check_size(width, height, limits)?;
    let color = decoder.color_type();
    let mut bytes = vec![0; decoder.total_bytes() as usize];
    decoder.read_image(&mut bytes).map_err(broken(format))?;

    let channels = usize::from(color.channel_count());
    if matches!(color, ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16) {
        bytes = bytes.as_chunks::<2>().0.iter().map(|pair| narrow(u16::from_ne_bytes(*pair))).collect();
    }
    let rgb = if channels == 3 { bytes } else { to_rgb(&bytes, channels) };
    let unfit = || DecodeError::Broken { format, reason: format!("its pixels are of type {color:?}") };
    RgbImage::from_raw(width, height, rgb).ok_or_else(unfit)
}

/// Grey (1 or 2 channels) repeated, alpha (the last of 2 or 4) dropped.
fn to_rgb(bytes: &[u8], channels: usize) -> Vec<u8> {
    let pixels = bytes.chunks_exact(channels);
    if channels < 3 {
        pixels.flat_map(|p| [p[0]; 3]).collect()
    } else {
        pixels.flat_map(|p| [p[0], p[1], p[2]]).collect()
    }
}

fn high_byte(value: u16) -> u8 {
    (value >> 8) as u8
}

fn saturated(value: u16) -> u8 {
    value.min(255) as u8
}

fn check_size(width: u32, height: u32, limits: &DecodeLimits) -> Result<(), DecodeError> {
    if width == 0 || height == 0 {
        return Err(DecodeError::Empty { width, height });
    }
    if u64::from(width) * u64::from(height) > limits.max_pixels {
        return Err(DecodeError::TooLarge { width, height, limit: limits.max_pixels });
    }
    Ok(())
}

/// Whether an end-of-image marker follows the main image's first scan. Earlier ones belong to thumbnails.
fn has_jpeg_end(bytes: &[u8]) -> bool {
    const START_OF_SCAN: u8 = 0xda;
    const END_OF_IMAGE: [u8; 2] = [0xff, 0xd9];
    let mut rest = bytes.get(2..).unwrap_or_default();
    // Segments are a marker, a length that counts itself, and as much data. Stray and fill bytes are skipped.
    while let [first, marker, ..] = rest {
        if *first != 0xff || matches!(marker, 0x00 | 0x01 | 0xff | 0xd0..=0xd8) {
            rest = &rest[1..];
            continue;
        }
        if *marker == START_OF_SCAN {
            return rest.windows(2).any(|pair| pair == END_OF_IMAGE);
        }
        let Some(length) = rest.get(2..4).map(|pair| usize::from(pair[0]) << 8 | usize::from(pair[1])) else {
            return false;
        };
        rest = rest.get(2 + length..).unwrap_or_default();
    }
    false
}

fn broken<E: std::fmt::Display>(format: &'static str) -> impl Fn(E) -> DecodeError {
    move |reason| DecodeError::Broken { format, reason: reason.to_string() }
}
