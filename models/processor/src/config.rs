//! `preprocessor_config.json`: how a model wants its images.

use std::path::Path;

use serde::Deserialize;

use crate::files::{self, FileError};
use crate::resize::{self, ResizeError};

/// The file's name in a model's folder.
pub const FILE_NAME: &str = "preprocessor_config.json";

const MAX_FILE_BYTES: u64 = 1 << 20;
/// Sides of a merged patch beyond this are not a vision transformer's.
const MAX_PATCH_SIDE: u32 = 1024;
/// One image beyond this (a gigapixel) would not fit in memory as patches.
const MAX_PIXELS: u64 = 1 << 30;
/// Pillow's number for bicubic, the only filter that Qwen-VL models use.
const BICUBIC: u32 = 3;

/// How a model wants its images, with every number checked.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageConfig {
    /// Pixels along a side of a patch.
    pub patch_size: u32,
    /// Patches along a side of what the model merges into one token.
    pub merge_size: u32,
    /// Frames of a patch; a still image is repeated.
    pub temporal_patch_size: u32,
    /// Fewest pixels of a resized image.
    pub min_pixels: u64,
    /// Most pixels of a resized image.
    pub max_pixels: u64,
    /// Per channel, subtracted from the rescaled value.
    pub mean: [f32; 3],
    /// Per channel, what the difference is divided by.
    pub std: [f32; 3],
    /// What a byte is multiplied by first.
    pub rescale_factor: f64,
    /// Whether images are resized to a fitting size; if not, theirs must fit already.
    pub do_resize: bool,
    /// Whether bytes are multiplied by the factor.
    pub do_rescale: bool,
    /// Whether mean and standard deviation are applied.
    pub do_normalize: bool,
}

/// What is wrong with `preprocessor_config.json`.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file could not be read or is not JSON of the right form.
    #[error(transparent)]
    File(#[from] FileError),
    /// A value is out of its range.
    #[error("{FILE_NAME}: `{key}` is {found}, wanted {wanted}")]
    Value {
        /// The key.
        key: &'static str,
        /// What it says.
        found: String,
        /// What it may say.
        wanted: &'static str,
    },
    /// A value that has no default is missing.
    #[error("{FILE_NAME}: `{key}` is missing")]
    Missing {
        /// The key.
        key: &'static str,
    },
}

impl ImageConfig {
    /// The settings in the file at `path`.
    ///
    /// # Errors
    /// If the file cannot be read, or a number in it is missing or out of range.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        files::read_json::<Raw>(path, MAX_FILE_BYTES)?.check()
    }

    /// The settings in the JSON of a `preprocessor_config.json`.
    ///
    /// # Errors
    /// If it cannot be understood, or a number in it is missing or out of range.
    pub fn from_json(json: &[u8]) -> Result<Self, ConfigError> {
        let malformed = |source| FileError::Json { path: FILE_NAME.into(), source };
        serde_json::from_slice::<Raw>(json).map_err(malformed)?.check()
    }

    /// The same settings with at most `max_pixels` pixels to an image. `min_pixels` gives way if it is larger.
    ///
    /// # Errors
    /// If the number is zero or over a gigapixel.
    pub fn with_max_pixels(mut self, max_pixels: u64) -> Result<Self, ConfigError> {
        self.max_pixels = in_range("max_pixels", max_pixels, 1..=MAX_PIXELS, "1 to 2^30 pixels")?;
        self.min_pixels = self.min_pixels.min(max_pixels);
        Ok(self)
    }

    /// Pixels that both sides of a resized image are divisible by.
    pub fn factor(&self) -> u32 {
        self.patch_size * self.merge_size
    }

    /// The `(height, width)` in pixels at which the model sees an image of `height` by `width` pixels.
    ///
    /// # Errors
    /// If the image is empty or too long and thin.
    pub fn resized(&self, height: u32, width: u32) -> Result<(u32, u32), ResizeError> {
        resize::smart_resize(height, width, self.factor(), self.min_pixels, self.max_pixels)
    }
}

/// The file as it stands, nothing checked.
#[derive(Deserialize)]
struct Raw {
    patch_size: Option<u32>,
    merge_size: Option<u32>,
    temporal_patch_size: Option<u32>,
    min_pixels: Option<u64>,
    max_pixels: Option<u64>,
    size: Option<RawSize>,
    image_mean: Option<Vec<f64>>,
    image_std: Option<Vec<f64>>,
    rescale_factor: Option<f64>,
    resample: Option<u32>,
    do_resize: Option<bool>,
    do_rescale: Option<bool>,
    do_normalize: Option<bool>,
    do_convert_rgb: Option<bool>,
}

/// Pixels of the whole image, in spite of the names.
#[derive(Deserialize)]
struct RawSize {
    shortest_edge: Option<u64>,
    longest_edge: Option<u64>,
}

impl Raw {
    /// Defaults are those of the class that the file configures.
    fn check(self) -> Result<ImageConfig, ConfigError> {
        let side = 1..=MAX_PATCH_SIDE;
        let patch_size = in_range("patch_size", self.patch_size.unwrap_or(14), side.clone(), "1 to 1024")?;
        let merge_size = in_range("merge_size", self.merge_size.unwrap_or(2), 1..=16, "1 to 16")?;
        let factor = patch_size.saturating_mul(merge_size);
        in_range("patch_size", factor, side, "at most 1024 pixels together with `merge_size`")?;
        let temporal =
            in_range("temporal_patch_size", self.temporal_patch_size.unwrap_or(2), 1..=16, "1 to 16")?;

        // Where both forms are present, the plain keys win.
        let size = self.size.as_ref();
        let min_pixels = self.min_pixels.or(size.and_then(|size| size.shortest_edge)).unwrap_or(56 * 56);
        let max_pixels =
            self.max_pixels.or(size.and_then(|size| size.longest_edge)).unwrap_or(28 * 28 * 1280);
        let max_pixels = in_range("max_pixels", max_pixels, 1..=MAX_PIXELS, "1 to 2^30 pixels")?;
        let min_pixels = in_range("min_pixels", min_pixels, 1..=max_pixels, "1 to `max_pixels` pixels")?;

        if let Some(resample) = self.resample {
            in_range(
                "resample",
                resample,
                BICUBIC..=BICUBIC,
                "3 (bicubic), the one filter that is supported",
            )?;
        }
        if self.do_convert_rgb == Some(false) {
            let wanted = "true: images are always read as RGB";
            return Err(ConfigError::Value { key: "do_convert_rgb", found: "false".into(), wanted });
        }
        let rescale_factor = self.rescale_factor.unwrap_or(1.0 / 255.0);
        if !(rescale_factor.is_finite() && rescale_factor > 0.0) {
            let wanted = "a number above 0";
            return Err(ConfigError::Value {
                key: "rescale_factor",
                found: rescale_factor.to_string(),
                wanted,
            });
        }
        Ok(ImageConfig {
            patch_size,
            merge_size,
            temporal_patch_size: temporal,
            min_pixels,
            max_pixels,
            mean: channels("image_mean", self.image_mean, |value| value.is_finite(), "3 finite numbers")?,
            std: channels("image_std", self.image_std, |v| v.is_normal() && v > 0.0, "3 numbers above 0")?,
            rescale_factor,
            do_resize: self.do_resize.unwrap_or(true),
            do_rescale: self.do_rescale.unwrap_or(true),
            do_normalize: self.do_normalize.unwrap_or(true),
        })
    }
}

fn in_range<T: PartialOrd + ToString>(
    key: &'static str,
    value: T,
    range: std::ops::RangeInclusive<T>,
    wanted: &'static str,
) -> Result<T, ConfigError> {
    if range.contains(&value) {
        return Ok(value);
    }
    Err(ConfigError::Value { key, found: value.to_string(), wanted })
}

fn channels(
    key: &'static str,
    values: Option<Vec<f64>>,
    sound: impl Fn(f32) -> bool,
    wanted: &'static str,
) -> Result<[f32; 3], ConfigError> {
    let values = values.ok_or(ConfigError::Missing { key })?;
    let narrow: Vec<f32> = values.iter().map(|value| *value as f32).collect();
    match <[f32; 3]>::try_from(narrow) {
        Ok(channels) if channels.iter().all(|value| sound(*value)) => Ok(channels),
        _ => Err(ConfigError::Value { key, found: format!("{values:?}"), wanted }),
    }
}
