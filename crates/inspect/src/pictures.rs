//! The images of a row: there, not there, or not to be decoded.

use std::borrow::Cow;
use std::io;
use std::path::Path;

use vigos_core::files::{FileError, read_limited};

use vigos_data::ImageSource;
use vigos_processor::{DecodeLimits, RgbImage, decode};

use crate::error::InspectError;

/// An image that was looked at.
pub(crate) enum Picture {
    /// As it is decoded.
    Sound(RgbImage),
    /// Its file is not there.
    Missing(String),
    /// It cannot be decoded.
    Broken(String),
}

/// Looks at an image; one of more than `max_pixels` pixels is not decoded.
pub(crate) fn look(source: &ImageSource, max_pixels: u64) -> Picture {
    let limits = DecodeLimits { max_pixels, ..DecodeLimits::default() };
    let encoded = match source {
        ImageSource::File(path) if !path.is_file() => {
            return Picture::Missing(format!("there is no image file {}", path.display()));
        }
        ImageSource::File(path) => match decode::read(path, &limits) {
            Ok(bytes) => Cow::Owned(bytes),
            Err(error) => return Picture::Broken(named(source, &error.to_string())),
        },
        ImageSource::Bytes(bytes) => Cow::Borrowed(&bytes[..]),
        ImageSource::Link(link) => return Picture::Missing(format!("{link} was not fetched")),
    };
    match decode::decode(&encoded, &limits) {
        Ok(image) => Picture::Sound(image),
        Err(error) => Picture::Broken(named(source, &error.to_string())),
    }
}

fn named(source: &ImageSource, message: &str) -> String {
    match source {
        ImageSource::File(path) => format!("field `image`: {}: {message}", path.display()),
        ImageSource::Bytes(_) | ImageSource::Link(_) => format!("field `image`: {message}"),
    }
}

/// The encoded image of a row that was loaded.
///
/// # Errors
/// If its file cannot be read.
pub(crate) fn encoded(source: &ImageSource) -> Result<Vec<u8>, InspectError> {
    match source {
        ImageSource::File(path) => Ok(read_limited(path, DecodeLimits::default().max_bytes)?),
        ImageSource::Bytes(bytes) => Ok(bytes.to_vec()),
        ImageSource::Link(link) => {
            Err(FileError::io("read", Path::new(&**link), io::ErrorKind::NotFound.into()).into())
        }
    }
}

/// The ending of the file that an encoded image is kept in, told by its first bytes.
pub(crate) fn ending(encoded: &[u8]) -> &'static str {
    match encoded {
        [0xff, 0xd8, ..] => "jpg",
        [0x89, b'P', b'N', b'G', ..] => "png",
        [b'G', b'I', b'F', ..] => "gif",
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "webp",
        _ => "bin",
    }
}

/// `file` relative to `folder`, with `/` between names; none if it does not lie below.
pub(crate) fn below(folder: &Path, file: &Path) -> Option<String> {
    let parts = file.strip_prefix(folder).ok()?.components();
    let parts = parts.map(|part| part.as_os_str().to_str()).collect::<Option<Vec<_>>>()?;
    Some(parts.join("/"))
}
