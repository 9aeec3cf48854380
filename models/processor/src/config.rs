//! How a model wants its images: `preprocessor_config.json`, or `image_processor` in `processor_config.json`, which
//! newer savers write in its place.

use std::path::Path;

use serde_json::Value;
use vigos_core::keys::{KeyError, Keys};

use crate::files::{self, FileError};
use crate::resize::{self, ResizeError};

/// The name of the older file in a model's folder.
pub const FILE_NAME: &str = "preprocessor_config.json";
/// The name of the newer one, and where in it the settings are.
const NEWER_FILE: &str = "processor_config.json";
const SECTION: &str = "image_processor";

const MAX_FILE_BYTES: u64 = 1 << 20;
/// Sides of a merged patch beyond this are not a vision transformer's.
const MAX_PATCH_SIDE: u32 = 1024;
/// One image beyond this (a gigapixel) would not fit in memory as patches.
const MAX_PIXELS: u64 = 1 << 30;
/// Pillow's number for bicubic, the only filter that Qwen-VL models use.
const BICUBIC: u64 = 3;
/// What settings are without means and deviations of their own: those of OpenAI's CLIP.
const MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_73];
const STD: [f32; 3] = [0.268_629_54, 0.261_302_6, 0.275_777_1];

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

/// What is wrong with the image settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file could not be read, or a value in it is not as it should be.
    #[error(transparent)]
    File(#[from] FileError),
    /// No file has them.
    #[error("{folder} has no image settings: wanted {FILE_NAME}, or `{SECTION}` in {NEWER_FILE}")]
    Missing {
        /// The model's folder.
        folder: String,
    },
}

impl From<KeyError> for ConfigError {
    fn from(error: KeyError) -> Self {
        Self::File(error.into())
    }
}

impl ImageConfig {
    /// The settings of the model in `folder`. Where both files have them the newer one counts, as in Transformers.
    ///
    /// # Errors
    /// If there are none, or a value in them is malformed or out of range.
    pub fn from_dir(folder: &Path) -> Result<Self, ConfigError> {
        let newer = folder.join(NEWER_FILE);
        if let Some(whole) = files::read_optional_json(&newer, MAX_FILE_BYTES)?
            && let Some(section) = whole.get(SECTION).filter(|section| !section.is_null())
        {
            return Ok(read(&Keys::within(&newer, SECTION, section)?)?);
        }
        let older = folder.join(FILE_NAME);
        match files::read_optional_json(&older, MAX_FILE_BYTES)? {
            Some(settings) => Ok(read(&Keys::of(&older, &settings)?)?),
            None => Err(ConfigError::Missing { folder: folder.display().to_string() }),
        }
    }

    /// The settings in the file at `path`.
    ///
    /// # Errors
    /// If the file cannot be read, or a value in it is malformed or out of range.
    pub fn from_file(path: &Path) -> Result<Self, ConfigError> {
        Ok(read(&Keys::of(path, &files::read_json(path, MAX_FILE_BYTES)?)?)?)
    }

    /// The settings in the JSON of a `preprocessor_config.json`.
    ///
    /// # Errors
    /// If it cannot be understood, or a value in it is malformed or out of range.
    pub fn from_json(json: &[u8]) -> Result<Self, ConfigError> {
        let path = Path::new(FILE_NAME);
        Ok(read(&Keys::of(path, &files::parse_json(path, json)?)?)?)
    }

    /// The same settings with at most `max_pixels` pixels to an image. `min_pixels` gives way if it is larger.
    ///
    /// # Errors
    /// If the number is zero or over a gigapixel.
    pub fn with_max_pixels(mut self, max_pixels: u64) -> Result<Self, ConfigError> {
        if !(1..=MAX_PIXELS).contains(&max_pixels) {
            return Err(KeyError::new(Path::new(FILE_NAME), "max_pixels", &max_pixels.into(), PIXELS).into());
        }
        self.max_pixels = max_pixels;
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

const PIXELS: &str = "1 to 2^30 pixels";

/// Defaults are those of the class that the file configures.
fn read(keys: &Keys) -> Result<ImageConfig, KeyError> {
    if let Some(kind) = keys.text("image_processor_type")?
        && !kind.starts_with("Qwen")
    {
        return Err(keys.fault("image_processor_type", "Qwen2VLImageProcessor, or another of Qwen's"));
    }
    let side = |key, default: u64, most| -> Result<u32, KeyError> {
        let found = keys.whole(key)?.unwrap_or(default);
        let sound = u32::try_from(found).ok().filter(|side| (1..=most).contains(side));
        sound.ok_or_else(|| keys.fault(key, if most == MAX_PATCH_SIDE { "1 to 1024" } else { "1 to 16" }))
    };
    let patch_size = side("patch_size", 14, MAX_PATCH_SIDE)?;
    let merge_size = side("merge_size", 2, 16)?;
    let temporal_patch_size = side("temporal_patch_size", 2, 16)?;
    if patch_size * merge_size > MAX_PATCH_SIDE {
        return Err(keys.fault("patch_size", "at most 1024 pixels together with `merge_size`"));
    }
    let [min_pixels, max_pixels] = pixels(keys)?;
    if keys.whole("resample")?.is_some_and(|filter| filter != BICUBIC) {
        return Err(keys.fault("resample", "3 (bicubic), the one filter that is supported"));
    }
    if keys.flag("do_convert_rgb")? == Some(false) {
        return Err(keys.fault("do_convert_rgb", "true: images are always read as RGB"));
    }
    let rescale_factor = keys.number("rescale_factor")?.unwrap_or(1.0 / 255.0);
    if !(rescale_factor.is_finite() && rescale_factor > 0.0) {
        return Err(keys.fault("rescale_factor", "a number above 0"));
    }
    Ok(ImageConfig {
        patch_size,
        merge_size,
        temporal_patch_size,
        min_pixels,
        max_pixels,
        mean: channels(keys, "image_mean", MEAN, f32::is_finite, "a finite number or 3 of them")?,
        std: channels(keys, "image_std", STD, |v| v.is_normal() && v > 0.0, "a number above 0 or 3 of them")?,
        rescale_factor,
        do_resize: keys.flag("do_resize")?.unwrap_or(true),
        do_rescale: keys.flag("do_rescale")?.unwrap_or(true),
        do_normalize: keys.flag("do_normalize")?.unwrap_or(true),
    })
}

/// Fewest and most pixels of an image. `size` has them as edges, in spite of which they are pixels of the whole image;
/// where both forms are present the plain keys win.
fn pixels(keys: &Keys) -> Result<[u64; 2], KeyError> {
    const PLAIN: [&str; 2] = ["min_pixels", "max_pixels"];
    const EDGES: [&str; 2] = ["shortest_edge", "longest_edge"];
    let mut found = [keys.whole(PLAIN[0])?, keys.whole(PLAIN[1])?];
    let mut named = PLAIN;
    if let Some(size) = keys.get("size") {
        let wanted = "shortest_edge and longest_edge, both in pixels of the whole image";
        let Ok(edges) = keys.below("size", size) else { return Err(keys.fault("size", wanted)) };
        for i in 0..2 {
            if found[i].is_none() {
                named[i] = if i == 0 { "size.shortest_edge" } else { "size.longest_edge" };
                // The first savers had the plain names in here.
                found[i] = edges.whole(EDGES[i])?.or(edges.whole(PLAIN[i])?);
            }
        }
        if found.contains(&None) {
            return Err(keys.fault("size", wanted));
        }
    }
    let [min, max] = [found[0].unwrap_or(56 * 56), found[1].unwrap_or(28 * 28 * 1280)];
    if !(1..=MAX_PIXELS).contains(&max) {
        return Err(keys.value(named[1], &max.into(), PIXELS));
    }
    if !(1..=max).contains(&min) {
        return Err(keys.value(named[0], &min.into(), "1 to `max_pixels` pixels"));
    }
    Ok([min, max])
}

/// Three numbers, or one that stands for three.
fn channels(
    keys: &Keys,
    key: &str,
    default: [f32; 3],
    sound: impl Fn(f32) -> bool,
    wanted: &'static str,
) -> Result<[f32; 3], KeyError> {
    let numbers: Option<Vec<f32>> = match keys.get(key) {
        None => return Ok(default),
        Some(Value::Array(items)) => items.iter().map(|item| item.as_f64().map(|v| v as f32)).collect(),
        Some(one) => one.as_f64().map(|v| vec![v as f32; 3]),
    };
    match numbers.map(<[f32; 3]>::try_from) {
        Some(Ok(numbers)) if numbers.iter().all(|v| sound(*v)) => Ok(numbers),
        _ => Err(keys.fault(key, wanted)),
    }
}
