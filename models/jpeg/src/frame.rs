//! The image that a file announces, and the coefficients read for it so far.

use crate::error::{JpegError, Result};
use crate::tables::number;

/// The image as its header describes it, with what has been decoded so far.
pub(crate) struct Frame {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) is_progressive: bool,
    /// The largest sampling factors of all components.
    pub(crate) h_max: usize,
    pub(crate) v_max: usize,
    pub(crate) components: Vec<Component>,
}

/// One channel.
pub(crate) struct Component {
    pub(crate) id: u8,
    /// Sampling factors: samples for `h_max` by `v_max` pixels.
    pub(crate) h: usize,
    pub(crate) v: usize,
    /// Samples that the image really has.
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Blocks along the padded width and height.
    pub(crate) blocks_wide: usize,
    pub(crate) blocks_high: usize,
    pub(crate) table: usize,
    /// The table in force when the component was first seen.
    pub(crate) quantization: Option<[u16; 64]>,
    /// 64 coefficients for each block, in natural order.
    pub(crate) coefficients: Vec<[i16; 64]>,
}

/// What tells the colour space.
#[derive(Default)]
pub(crate) struct Markers {
    pub(crate) has_jfif: bool,
    pub(crate) adobe_transform: Option<u8>,
}

impl Frame {
    pub(crate) fn read(segment: &[u8], is_progressive: bool, announced: (usize, usize)) -> Result<Self> {
        let [precision, _, _, _, _, count, components @ ..] = segment else {
            return Err(JpegError::Short("the frame's header"));
        };
        let (height, width) = (number(segment, 1)?, number(segment, 3)?);
        if *precision != 8 {
            return Err(JpegError::Unsupported("samples of another width than 8 bits"));
        }
        if (width, height) != announced {
            return Err(JpegError::Size { found: (width, height), wanted: announced });
        }
        if width == 0 || height == 0 {
            return Err(JpegError::Damaged("an image without a pixel"));
        }
        if components.len() != usize::from(*count) * 3 {
            return Err(JpegError::Short("the frame's header"));
        }
        // More would cost memory before anyone asked what they mean.
        if components.len() > 4 * 3 {
            return Err(JpegError::Unsupported("more than four components"));
        }
        let factors = |entry: &[u8]| (usize::from(entry[1] >> 4), usize::from(entry[1] & 15));
        let entries = || components.chunks_exact(3);
        if !entries().all(|entry| (1..=4).contains(&factors(entry).0) && (1..=4).contains(&factors(entry).1))
        {
            return Err(JpegError::Damaged("a sampling factor that is none"));
        }
        let h_max = entries()
            .map(|entry| factors(entry).0)
            .max()
            .ok_or(JpegError::Damaged("a frame without components"))?;
        let v_max = entries()
            .map(|entry| factors(entry).1)
            .max()
            .ok_or(JpegError::Damaged("a frame without components"))?;
        let groups = (width.div_ceil(8 * h_max), height.div_ceil(8 * v_max));
        let component = |entry: &[u8]| {
            let (h, v) = factors(entry);
            let (blocks_wide, blocks_high) = (groups.0 * h, groups.1 * v);
            Component {
                id: entry[0],
                h,
                v,
                width: (width * h).div_ceil(h_max),
                height: (height * v).div_ceil(v_max),
                blocks_wide,
                blocks_high,
                table: usize::from(entry[2]),
                quantization: None,
                coefficients: vec![[0; 64]; blocks_wide * blocks_high],
            }
        };
        let components = entries().map(component).collect();
        Ok(Self { width, height, is_progressive, h_max, v_max, components })
    }
}
