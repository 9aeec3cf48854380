//! An image as a record has it: a path, a link, or the picture itself as text.

use std::path::Path;
use std::sync::Arc;

use base64::Engine;
use base64::alphabet::{STANDARD, URL_SAFE};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;
use vigos_core::paths::contained;
use vigos_recipe::row::ImageSource;

use crate::texts::kind;

/// How pictures begin in base64: JPEG, PNG, GIF and WebP.
const STARTS: [&str; 4] = ["/9j/", "iVBORw0KGgo", "R0lGOD", "UklGR"];
/// Fewest letters of a picture; a path that looks like one is shorter.
const SHORTEST: usize = 48;

/// Where the picture is that `value` names or holds. Paths are relative to `root` and stay below it.
pub(crate) fn source(value: &Value, root: &Path) -> Result<ImageSource, String> {
    match value {
        Value::String(text) => of_text(text, root),
        Value::Object(fields) => {
            let held = |name: &str| fields.get(name).and_then(Value::as_str);
            let picture = held("bytes").or_else(|| held("base64"));
            let path = || ["path", "url", "image_url", "image"].into_iter().find_map(held);
            match (picture, path()) {
                (Some(text), _) if !is_data_url(text) => decoded(text),
                (Some(text), _) | (None, Some(text)) => of_text(text, root),
                (None, None) => {
                    Err("found an object without path or url, wanted the path of an image".into())
                }
            }
        }
        other => Err(format!("found {}, wanted the path of an image", kind(other))),
    }
}

fn of_text(text: &str, root: &Path) -> Result<ImageSource, String> {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        _ if is_data_url(text) => of_data_url(text),
        _ if is_picture(text) => decoded(text),
        Some("http" | "https") => Ok(ImageSource::Link(text.into())),
        Some("ftp" | "s3" | "gs" | "hf") => Err(format!(
            "found an address ({}…), wanted the path of a file or a link of http or https",
            text.chars().take(60).collect::<String>()
        )),
        Some("file") => of_path(text.get("file://".len()..).unwrap_or_default(), root),
        _ => of_path(text, root),
    }
}

fn of_path(text: &str, root: &Path) -> Result<ImageSource, String> {
    contained(root, text).map(ImageSource::File).map_err(|e| e.to_string())
}

fn is_data_url(text: &str) -> bool {
    text.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("data:"))
}

/// The picture in `data:image/png;base64,…`.
fn of_data_url(text: &str) -> Result<ImageSource, String> {
    let (head, data) =
        text.split_once(',').ok_or("found a data: URL without a comma, wanted data:image/…;base64,…")?;
    match head.to_ascii_lowercase().ends_with(";base64") {
        true => decoded(data),
        false => Err("found a data: URL whose data is not base64, wanted data:image/…;base64,…".into()),
    }
}

/// Whether a text is a picture in base64 rather than a path.
fn is_picture(text: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"+/-_=\r\n".contains(&byte);
    text.len() >= SHORTEST
        && STARTS.iter().any(|start| text.starts_with(start))
        && text.bytes().all(is_letter)
}

/// The bytes of a picture in either alphabet of base64, padded or not, in one line or several.
fn decoded(text: &str) -> Result<ImageSource, String> {
    const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let letters: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let alphabet = if letters.iter().any(|letter| b"-_".contains(letter)) { &URL_SAFE } else { &STANDARD };
    let bytes = GeneralPurpose::new(alphabet, LENIENT).decode(letters);
    match bytes {
        Ok(bytes) if bytes.is_empty() => Err("found no data in base64, wanted a picture".into()),
        Ok(bytes) => Ok(ImageSource::Bytes(Arc::from(bytes))),
        Err(e) => Err(format!(
            "found a picture whose base64 is damaged ({e}), wanted a path or data:image/…;base64,…"
        )),
    }
}
