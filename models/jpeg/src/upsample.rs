//! A component's samples at every pixel. Where a component has half the resolution, its samples are weighted 3
//! to 1 with their neighbours; the rounding alternates, so that it favours neither side.

use crate::error::{JpegError, Result};
use crate::frame::{Component, Frame};
use crate::transform::Plane;

/// How a component gets to full resolution.
#[derive(Clone, Copy)]
pub(crate) enum Upsampling {
    /// It has it.
    Full,
    /// Half the width, interpolated.
    Wide,
    /// Half the height, interpolated.
    High,
    /// Half of both, interpolated.
    Both,
    /// Every sample so many times along each axis.
    Repeat { wide: usize, high: usize },
}

impl Upsampling {
    pub(crate) fn of(component: &Component, frame: &Frame) -> Result<Self> {
        if !frame.h_max.is_multiple_of(component.h) || !frame.v_max.is_multiple_of(component.v) {
            return Err(JpegError::Unsupported("sampling factors that do not divide each other"));
        }
        let (wide, high) = (frame.h_max / component.h, frame.v_max / component.v);
        // Too few samples to have neighbours on both sides are repeated.
        let has_neighbours = component.width > 2;
        Ok(match (wide, high) {
            (1, 1) => Self::Full,
            (2, 1) if has_neighbours => Self::Wide,
            (1, 2) => Self::High,
            (2, 2) if has_neighbours => Self::Both,
            _ => Self::Repeat { wide, high },
        })
    }

    /// Writes the samples of pixel row `y` into `out`, which is as wide as the image.
    pub(crate) fn row(self, y: usize, component: &Component, plane: &Plane, out: &mut [u8]) {
        let source = |row: usize| &plane.samples[row * plane.stride..][..component.width];
        let near = |divisor: usize| source((y / divisor).min(component.height - 1));
        // An even row lies nearer to the one above its own, an odd row to the one below.
        let far = || {
            let row = if y.is_multiple_of(2) { (y / 2).saturating_sub(1) } else { y / 2 + 1 };
            source(row.min(component.height - 1))
        };
        match self {
            Self::Full => out.copy_from_slice(&near(1)[..out.len()]),
            Self::Wide => {
                let row = near(1);
                spread(row.len(), |at| u16::from(row[at]), [1, 2], 2, out);
            }
            Self::High => {
                let bias = if y.is_multiple_of(2) { 1 } else { 2 };
                for ((sample, near), far) in out.iter_mut().zip(near(2)).zip(far()) {
                    *sample = ((u16::from(*near) * 3 + u16::from(*far) + bias) >> 2) as u8;
                }
            }
            Self::Both => {
                let (near, far) = (near(2), far());
                spread(near.len(), |at| u16::from(near[at]) * 3 + u16::from(far[at]), [8, 7], 4, out);
            }
            Self::Repeat { wide, high } => {
                let row = near(high);
                for (x, sample) in out.iter_mut().enumerate() {
                    *sample = row[x / wide];
                }
            }
        }
    }
}

/// Two outputs for each of `count` inputs: three parts of it and one of the neighbour on that side, of its own
/// at the ends. `biases` are what is added, left and right, before `shift` bits are dropped.
fn spread(count: usize, input: impl Fn(usize) -> u16, biases: [u16; 2], shift: u32, out: &mut [u8]) {
    for (x, sample) in out.iter_mut().enumerate() {
        let at = x / 2;
        let neighbour = if x % 2 == 0 { at.saturating_sub(1) } else { (at + 1).min(count - 1) };
        *sample = ((input(at) * 3 + input(neighbour) + biases[x % 2]) >> shift) as u8;
    }
}
