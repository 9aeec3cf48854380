//! The size at which a model sees an image, and the filter that brings it there.
//!
//! Models were trained on pixels from Pillow's 8-bit antialiased bicubic, which works in fixed point and
//! rounds to a byte between its two passes. Another bicubic is off by a level or two nearly everywhere, so
//! this one reproduces the arithmetic step by step, and the tests hold it to the last bit.

use std::borrow::Cow;
use std::ops::Range;

use image::RgbImage;

/// Longest side over shortest side that a model takes.
pub const MAX_ASPECT_RATIO: f64 = 200.0;

const CHANNELS: usize = 3;

/// Why an image has no size that the model would take.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ResizeError {
    /// One side is too many times the other.
    #[error(
        "an image of {width} by {height} pixels has an aspect ratio of {ratio:.1}; \
         at most {MAX_ASPECT_RATIO} is taken: crop or drop it"
    )]
    AspectRatio {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Longest side over shortest.
        ratio: f64,
    },
    /// A side is zero.
    #[error("an image of {width} by {height} pixels has nothing in it")]
    Empty {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// The bounds leave no size, or one that no image can have.
    #[error(
        "no size for an image of {width} by {height} pixels with sides divisible by {factor} and \
         {min_pixels} to {max_pixels} pixels: check min_pixels and max_pixels"
    )]
    Bounds {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// What both sides must be divisible by.
        factor: u32,
        /// Fewest pixels.
        min_pixels: u64,
        /// Most pixels.
        max_pixels: u64,
    },
}

/// The `(height, width)` nearest to the image's own with both sides divisible by `factor` (pixels of a merged
/// patch), between `min_pixels` and `max_pixels` in all, and about the same aspect ratio.
///
/// Ties round to even, as Python's `round` does: 70 pixels are 2 × 28, not 3 × 28.
///
/// # Errors
/// If the image is empty, longer than [`MAX_ASPECT_RATIO`] times its width (or the reverse), or the bounds
/// are impossible.
pub fn smart_resize(
    height: u32,
    width: u32,
    factor: u32,
    min_pixels: u64,
    max_pixels: u64,
) -> Result<(u32, u32), ResizeError> {
    if height == 0 || width == 0 {
        return Err(ResizeError::Empty { width, height });
    }
    let ratio = f64::from(height.max(width)) / f64::from(height.min(width));
    if ratio > MAX_ASPECT_RATIO {
        return Err(ResizeError::AspectRatio { width, height, ratio });
    }
    let bounds = || ResizeError::Bounds { width, height, factor, min_pixels, max_pixels };
    if factor == 0 || min_pixels == 0 || min_pixels > max_pixels {
        return Err(bounds());
    }

    let (h, w, f) = (f64::from(height), f64::from(width), f64::from(factor));
    let mut fitted = [(h / f).round_ties_even() * f, (w / f).round_ties_even() * f];
    let pixels = fitted[0] * fitted[1];
    if pixels > max_pixels as f64 {
        let shrink = (h * w / max_pixels as f64).sqrt();
        fitted = [h, w].map(|side| ((side / shrink / f).floor() * f).max(f));
    } else if pixels < min_pixels as f64 {
        let grow = (min_pixels as f64 / (h * w)).sqrt();
        fitted = [h, w].map(|side| (side * grow / f).ceil() * f);
    }
    if fitted.iter().any(|side| *side < f || *side > f64::from(u32::MAX)) {
        return Err(bounds());
    }
    Ok((fitted[0] as u32, fitted[1] as u32))
}

/// `image` at `width` by `height` pixels, exactly as Pillow 13's `Image.resize(..., BICUBIC)` gives it.
///
/// The same size gives the same image; a size with a zero side gives an empty one.
pub fn resize_bicubic(image: &RgbImage, width: u32, height: u32) -> RgbImage {
    if width == 0 || height == 0 || image.width() == 0 || image.height() == 0 {
        return RgbImage::new(width, height);
    }
    let mut resized = Cow::Borrowed(image);
    let columns_first = columns_come_first(image, width, height);
    for columns in [columns_first, !columns_first] {
        if columns && height != resized.height() {
            resized = Cow::Owned(resize_columns(&resized, height));
        } else if !columns && width != resized.width() {
            resized = Cow::Owned(resize_rows(&resized, width));
        }
    }
    resized.into_owned()
}

/// Whether the passes change places. Each rounds, so their order shows. Since version 13 Pillow begins with the
/// height if that loses more than twice as many pixels as the width; earlier versions never did.
fn columns_come_first(image: &RgbImage, width: u32, height: u32) -> bool {
    let lost_width = i64::from(image.width()) - i64::from(width);
    let lost_height = i64::from(image.height()) - i64::from(height);
    lost_height > 0 && lost_height > 2 * lost_width
}

/// The pass of every row to `width` pixels.
fn resize_rows(image: &RgbImage, width: u32) -> RgbImage {
    let taps = Taps::all(image.width() as usize, width as usize);
    let mut out = RgbImage::new(width, image.height());
    let row_bytes = image.width() as usize * CHANNELS;
    let out_bytes = width as usize * CHANNELS;
    for (row, out_row) in image.as_raw().chunks_exact(row_bytes).zip(out.chunks_exact_mut(out_bytes)) {
        for (tap, pixel) in taps.iter().zip(out_row.chunks_exact_mut(CHANNELS)) {
            let mut sum = [HALF; CHANNELS];
            let window = &row[tap.range.start * CHANNELS..tap.range.end * CHANNELS];
            for (source, weight) in window.chunks_exact(CHANNELS).zip(&tap.weights) {
                for (sum, byte) in sum.iter_mut().zip(source) {
                    *sum += i32::from(*byte) * weight;
                }
            }
            for (byte, sum) in pixel.iter_mut().zip(sum) {
                *byte = to_byte(sum);
            }
        }
    }
    out
}

/// The pass of every column to `height` pixels.
fn resize_columns(image: &RgbImage, height: u32) -> RgbImage {
    let row_bytes = image.width() as usize * CHANNELS;
    let taps = Taps::all(image.height() as usize, height as usize);
    let mut out = RgbImage::new(image.width(), height);
    let mut sums = vec![HALF; row_bytes];
    for (tap, out_row) in taps.iter().zip(out.chunks_exact_mut(row_bytes)) {
        sums.fill(HALF);
        let window = &image.as_raw()[tap.range.start * row_bytes..tap.range.end * row_bytes];
        for (source, weight) in window.chunks_exact(row_bytes).zip(&tap.weights) {
            for (sum, byte) in sums.iter_mut().zip(source) {
                *sum += i32::from(*byte) * weight;
            }
        }
        for (byte, sum) in out_row.iter_mut().zip(&sums) {
            *byte = to_byte(*sum);
        }
    }
    out
}

/// Fraction bits of a weight: 32 less 8 for the byte and 2 for the overshoot of a bicubic.
const PRECISION_BITS: u32 = 32 - 8 - 2;
/// One half in that fixed point: what makes the final shift round.
const HALF: i32 = 1 << (PRECISION_BITS - 1);

fn to_byte(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

/// The inputs that make up one output: where they are, and each one's share in fixed point.
struct Taps {
    range: Range<usize>,
    weights: Vec<i32>,
}

impl Taps {
    /// The taps of each of `outputs` places along an axis of `inputs` pixels. When shrinking, the filter
    /// widens with the scale: that is the antialiasing.
    fn all(inputs: usize, outputs: usize) -> Vec<Self> {
        const SUPPORT: f64 = 2.0;
        let scale = inputs as f64 / outputs as f64;
        let filter_scale = scale.max(1.0);
        let support = SUPPORT * filter_scale;
        let inverse = 1.0 / filter_scale;
        let tap = |output: usize| {
            let center = (output as f64 + 0.5) * scale;
            // Casts cut towards zero and to the type's range, which is what the bounds below rely on.
            let start = (center - support + 0.5).max(0.0) as usize;
            let end = ((center + support + 0.5) as usize).min(inputs);
            let shares: Vec<f64> =
                (start..end).map(|input| bicubic((input as f64 - center + 0.5) * inverse)).collect();
            let total: f64 = shares.iter().sum();
            let weights = shares.iter().map(|share| to_fixed(share / total)).collect();
            Self { range: start..end, weights }
        };
        (0..outputs).map(tap).collect()
    }
}

fn to_fixed(share: f64) -> i32 {
    let scaled = share * f64::from(1 << PRECISION_BITS);
    (if scaled < 0.0 { scaled - 0.5 } else { scaled + 0.5 }) as i32
}

/// Keys' cubic convolution with a = −½.
fn bicubic(x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    if x < 1.0 {
        ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * A
    } else {
        0.0
    }
}
