//! The images of a request: data URLs, and files below one folder. Nothing is fetched.

use crate::limits::Limits;
use crate::refusal::Refusal;
use crate::registry::below;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::path::PathBuf;
use vigos_core::text::one_line;
use vigos_processor::decode::{decode, read};
use vigos_processor::{DecodeLimits, RgbImage};

/// The key that the messages of a request name.
const KEY: &str = "messages";

/// Where images may come from, and how large they may be.
#[derive(Debug)]
pub(crate) struct Media {
    /// The folder of files that may be shown.
    root: Option<PathBuf>,
    limits: DecodeLimits,
}

impl Media {
    pub(crate) fn new(root: Option<PathBuf>, limits: &Limits) -> Self {
        Self { root, limits: DecodeLimits { max_pixels: limits.pixels, max_bytes: limits.body as u64 } }
    }

    /// The image that a URL stands for.
    ///
    /// # Errors
    /// If it is no image that is taken, or lies where nothing may be read.
    pub(crate) fn image(&self, url: &str) -> Result<RgbImage, Refusal> {
        let fault = |message: String| Refusal::bad(format!("{KEY}: an image cannot be used: {message}"));
        let bytes = if let Some(data) = url.strip_prefix("data:") {
            let (kind, data) = data.split_once(',').unwrap_or_default();
            if !kind.ends_with(";base64") {
                return Err(fault("its data URL is not in base64 (data:image/png;base64,…)".into()));
            }
            STANDARD.decode(data.trim()).map_err(|error| fault(format!("its base64 is damaged: {error}")))?
        } else if url.contains("://") && !url.starts_with("file://") {
            let shown = one_line(url, 80);
            return Err(fault(format!("{shown}: links are not fetched; send a data URL")));
        } else {
            let Some(root) = &self.root else {
                return Err(fault("files are shown only where the server was given --media-root".into()));
            };
            let path = below(root, url.strip_prefix("file://").unwrap_or(url))?;
            if !path.is_file() {
                return Err(fault(format!("{}: there is no such file", one_line(url, 120))));
            }
            // Neither the folder nor what the file has is anyone's business.
            read(&path, &self.limits)
                .map_err(|_| fault(format!("{}: it cannot be read", one_line(url, 120))))?
        };
        decode(&bytes, &self.limits).map_err(|error| fault(error.to_string()))
    }
}
