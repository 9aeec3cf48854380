//! M-RoPE: three position streams (time, height, width) for text and images.
//!
//! Text advances all three together. An image of `h × w` merged tokens starts at the next position; its
//! tokens keep that position in time and count rows and columns from it, and the text behind it continues
//! after the largest position used (Qwen2-VL, arXiv 2409.12191, section 2.1).

use crate::config::TextConfig;
use crate::layers::{Rotary, frequencies};
use burn::tensor::Device;
use vigos_processor::ImageSlot;

/// Position of one token in the three streams.
pub type Position = [u32; 3];

/// Positions of a sequence of `length` tokens with these images, in order.
pub fn positions(length: usize, images: &[ImageSlot], merge: usize) -> Vec<Position> {
    let mut positions = Vec::with_capacity(length);
    let mut next = 0u32;
    let text = |positions: &mut Vec<Position>, next: &mut u32, until: usize| {
        while positions.len() < until {
            positions.push([*next; 3]);
            *next += 1;
        }
    };
    for image in images {
        text(&mut positions, &mut next, image.start);
        let (rows, columns) = (image.grid.h / merge, image.grid.w / merge);
        for frame in 0..image.grid.t {
            for y in 0..rows {
                positions.extend((0..columns).map(|x| [frame as u32, y as u32, x as u32].map(|v| v + next)));
            }
        }
        next += image.grid.t.max(rows).max(columns) as u32;
    }
    text(&mut positions, &mut next, length);
    positions
}

/// The rotary table of these positions: each rotated pair follows the stream of its section.
pub fn rotary(positions: &[Position], config: &TextConfig, device: &Device) -> Rotary {
    let frequencies = frequencies(config.rope_theta, config.head_dim);
    let streams: Vec<usize> = config
        .mrope_section
        .iter()
        .enumerate()
        .flat_map(|(stream, n)| std::iter::repeat_n(stream, *n))
        .collect();
    let angles: Vec<f32> = positions
        .iter()
        .flat_map(|p| streams.iter().zip(&frequencies).map(move |(&s, f)| p[s] as f32 * f))
        .collect();
    Rotary::new(&angles, config.head_dim / 2, device)
}
