//! Components to red, green and blue.

use crate::error::{JpegError, Result};
use crate::frame::{Frame, Markers};
use crate::transform::Plane;
use crate::upsample::Upsampling;

/// What the components of a file are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ColorSpace {
    Gray,
    Rgb,
    YCbCr,
    /// Ink, stored inverted, as Adobe's programs do and everybody assumes.
    Cmyk,
    /// The same with the first three as brightness and colour.
    Ycck,
}

impl ColorSpace {
    /// The space that the markers tell, or custom where they do not.
    pub(crate) fn of(frame: &Frame, markers: &Markers) -> Result<Self> {
        let ids: Vec<u8> = frame.components.iter().map(|component| component.id).collect();
        match (ids.len(), markers.adobe_transform) {
            (1, _) => Ok(Self::Gray),
            (3, _) if markers.has_jfif => Ok(Self::YCbCr),
            (3, Some(0)) => Ok(Self::Rgb),
            (3, None) if ids == *b"RGB" => Ok(Self::Rgb),
            (3, _) => Ok(Self::YCbCr),
            (4, None | Some(0)) => Ok(Self::Cmyk),
            (4, Some(_)) => Ok(Self::Ycck),
            _ => Err(JpegError::Unsupported("two components")),
        }
    }
}

/// Red, green and blue of every pixel, row by row.
pub(crate) fn to_rgb(frame: &Frame, planes: &[Plane], space: ColorSpace) -> Result<Vec<u8>> {
    let upsamplings = frame
        .components
        .iter()
        .map(|component| Upsampling::of(component, frame))
        .collect::<Result<Vec<_>>>()?;
    let mut rgb = vec![0; frame.width * frame.height * 3];
    let mut rows = vec![vec![0; frame.width]; planes.len()];
    for (y, out) in rgb.chunks_exact_mut(frame.width * 3).enumerate() {
        for (((row, upsampling), component), plane) in
            rows.iter_mut().zip(&upsamplings).zip(&frame.components).zip(planes)
        {
            upsampling.row(y, component, plane, row);
        }
        for (x, pixel) in out.chunks_exact_mut(3).enumerate() {
            let value = |component: usize| rows[component][x];
            pixel.copy_from_slice(&match space {
                ColorSpace::Gray => [value(0); 3],
                ColorSpace::Rgb => [value(0), value(1), value(2)],
                ColorSpace::YCbCr => from_ycbcr([value(0), value(1), value(2)]),
                ColorSpace::Cmyk => from_inks([value(0), value(1), value(2)], value(3)),
                ColorSpace::Ycck => {
                    let inverse = from_ycbcr([value(0), value(1), value(2)]);
                    from_inks(inverse.map(|value| 255 - value), value(3))
                }
            });
        }
    }
    Ok(rgb)
}

/// ITU-R BT.601 over the full range, in 16-bit fixed point.
fn from_ycbcr([y, cb, cr]: [u8; 3]) -> [u8; 3] {
    const BITS: u32 = 16;
    const HALF: i32 = 1 << (BITS - 1);
    const fn fixed(value: f64) -> i32 {
        (value * 65536.0 + 0.5) as i32
    }
    let (y, cb, cr) = (i32::from(y), i32::from(cb) - 128, i32::from(cr) - 128);
    let red = y + ((fixed(1.40200) * cr + HALF) >> BITS);
    let green = y + ((-fixed(0.34414) * cb - fixed(0.71414) * cr + HALF) >> BITS);
    let blue = y + ((fixed(1.77200) * cb + HALF) >> BITS);
    [red, green, blue].map(|value| value.clamp(0, 255) as u8)
}

/// From stored (inverted) inks and black.
fn from_inks(stored: [u8; 3], stored_black: u8) -> [u8; 3] {
    let light = i32::from(stored_black);
    stored.map(|stored| {
        let product = (255 - i32::from(stored)) * light + 128;
        (light - (((product >> 8) + product) >> 8)).clamp(0, 255) as u8
    })
}
