//! An RGB image to the rows that the vision tower embeds.

use image::RgbImage;

use crate::config::ImageConfig;
use crate::resize::{self, ResizeError};

const CHANNELS: usize = 3;

/// The patches of an image, counted along time, height and width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Grid {
    /// Along time: 1 for a still image.
    pub t: usize,
    /// Along the height.
    pub h: usize,
    /// Along the width.
    pub w: usize,
}

impl Grid {
    /// All patches of the image.
    pub fn patches(&self) -> usize {
        self.t * self.h * self.w
    }

    /// Tokens that the image takes in a prompt, where `merge` by `merge` patches become one.
    /// Zero if `merge` is.
    pub fn tokens(&self, merge: usize) -> usize {
        self.patches().checked_div(merge * merge).unwrap_or(0)
    }
}

/// An image as the vision tower reads it.
#[derive(Debug, Clone, PartialEq)]
pub struct ImagePatches {
    /// How many patches there are, and how they lie.
    pub grid: Grid,
    /// `[patches, channel · time · row · column]`, rows in merge order: the patches that become one token
    /// are neighbours, blocks go left to right and top to bottom.
    pub values: Vec<f32>,
}

/// Why an image cannot be cut into patches.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum PatchError {
    /// It has no size that the model takes.
    #[error(transparent)]
    Size(#[from] ResizeError),
    /// Resizing is off, and the image is not made of whole merged patches.
    #[error(
        "an image of {width} by {height} pixels is not divisible by {factor} on both sides, \
         and `do_resize` is off"
    )]
    Unfit {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// What both sides must be divisible by.
        factor: u32,
    },
}

/// Resizes, rescales and normalises `image` and cuts it into patches.
///
/// # Errors
/// If the image is empty, too long and thin, or does not fit while resizing is off.
pub fn patches(image: &RgbImage, config: &ImageConfig) -> Result<ImagePatches, PatchError> {
    let (height, width) = seen_size(image.height(), image.width(), config)?;
    Ok(patchify(&resize::resize_bicubic(image, width, height), config))
}

/// The grid that [`patches`] gives an image of `height` by `width` pixels.
///
/// # Errors
/// As [`patches`].
pub fn grid(height: u32, width: u32, config: &ImageConfig) -> Result<Grid, PatchError> {
    let (height, width) = seen_size(height, width, config)?;
    Ok(grid_of(height, width, config))
}

/// The `(height, width)` in pixels that is cut into patches.
fn seen_size(height: u32, width: u32, config: &ImageConfig) -> Result<(u32, u32), PatchError> {
    if config.do_resize {
        return Ok(config.resized(height, width)?);
    }
    if width == 0 || height == 0 {
        return Err(ResizeError::Empty { width, height }.into());
    }
    let factor = config.factor();
    if !width.is_multiple_of(factor) || !height.is_multiple_of(factor) {
        return Err(PatchError::Unfit { width, height, factor });
    }
    Ok((height, width))
}

fn grid_of(height: u32, width: u32, config: &ImageConfig) -> Grid {
    Grid { t: 1, h: (height / config.patch_size) as usize, w: (width / config.patch_size) as usize }
}

/// Cuts an image whose sides are multiples of the merged patch.
fn patchify(image: &RgbImage, config: &ImageConfig) -> ImagePatches {
    let patch = config.patch_size as usize;
    let merge = config.merge_size as usize;
    let frames = config.temporal_patch_size as usize;
    let width = image.width() as usize;
    let grid = grid_of(image.height(), image.width(), config);
    let values_of = value_tables(config);
    let mut values = Vec::with_capacity(grid.patches() * CHANNELS * frames * patch * patch);

    for (y, x) in merge_order(grid, merge) {
        for (channel, table) in values_of.iter().enumerate() {
            let start = values.len();
            for row in 0..patch {
                let offset = ((y * patch + row) * width + x * patch) * CHANNELS;
                let pixels = &image.as_raw()[offset..offset + patch * CHANNELS];
                values.extend(pixels.chunks_exact(CHANNELS).map(|pixel| table[usize::from(pixel[channel])]));
            }
            // A still image is a film of equal frames.
            let end = values.len();
            for _ in 1..frames {
                values.extend_from_within(start..end);
            }
        }
    }
    ImagePatches { grid, values }
}

/// The image that was cut into patches, as the vision tower sees it: [`patches`] backwards, but for the resizing. Of a
/// film it is the first frame; patches that fit no grid of this model give nothing.
pub fn unpatched(patches: &ImagePatches, config: &ImageConfig) -> Option<RgbImage> {
    let patch = config.patch_size as usize;
    let Grid { h, w, .. } = patches.grid;
    let size = CHANNELS * config.temporal_patch_size as usize * patch * patch;
    let still = h.checked_mul(w)?.checked_mul(size)?;
    let values = patches.values.get(..still).filter(|values| !values.is_empty())?;
    let (width, height) = (w.checked_mul(patch)?, h.checked_mul(patch)?);
    let mut image = RgbImage::new(width.try_into().ok()?, height.try_into().ok()?);
    let pixels: &mut [u8] = &mut image;
    for ((y, x), values) in
        merge_order(patches.grid, config.merge_size as usize).zip(values.chunks_exact(size))
    {
        for (channel, planes) in values.chunks_exact(size / CHANNELS).enumerate() {
            for (at, value) in planes[..patch * patch].iter().enumerate() {
                let (row, column) = (y * patch + at / patch, x * patch + at % patch);
                pixels[(row * width + column) * CHANNELS + channel] = byte(*value, channel, config);
            }
        }
    }
    Some(image)
}

/// The byte that a value of a patch stands for.
fn byte(value: f32, channel: usize, config: &ImageConfig) -> u8 {
    let mut value = f64::from(value);
    if config.do_normalize {
        value = value * f64::from(config.std[channel]) + f64::from(config.mean[channel]);
    }
    if config.do_rescale {
        value /= config.rescale_factor;
    }
    // A cast saturates.
    value.round() as u8
}

/// The `(y, x)` of every patch, block by block of `merge` by `merge`.
fn merge_order(grid: Grid, merge: usize) -> impl Iterator<Item = (usize, usize)> {
    let blocks = (0..grid.h / merge).flat_map(move |y| (0..grid.w / merge).map(move |x| (y, x)));
    blocks.flat_map(move |(y, x)| {
        (0..merge).flat_map(move |dy| (0..merge).map(move |dx| (y * merge + dy, x * merge + dx)))
    })
}

/// What each byte becomes, per channel: with only 256 inputs a table is both exact and fast.
fn value_tables(config: &ImageConfig) -> [[f32; 256]; CHANNELS] {
    std::array::from_fn(|channel| {
        std::array::from_fn(|byte| {
            let mut value = byte as f32;
            if config.do_rescale {
                // The product is taken in double precision and rounded once.
                value = (byte as f64 * config.rescale_factor) as f32;
            }
            if config.do_normalize {
                value = (value - config.mean[channel]) / config.std[channel];
            }
            value
        })
    })
}
