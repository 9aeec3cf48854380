//! M-RoPE: three position streams (time, height, width) for text and images.
//!
//! Text advances all three together. An image of `h × w` merged tokens starts at the next position; its
//! tokens keep that position in time and count rows and columns from it, and the text behind it continues
//! after the largest position used (Qwen2-VL, arXiv 2409.12191, section 2.1). How the streams share the rotated
//! pairs of a head is the family's ([`MropeLayout`]).

use crate::config::{MropeLayout, TextConfig};
use burn::tensor::Device;
use std::iter::repeat_n;
use vigos_models::packed::Position;
use vigos_models::rotary::{Rotary, frequencies};
use vigos_processor::ImageSlot;

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

/// The rotary table of these positions: each rotated pair follows its stream.
pub fn rotary(positions: &[Position], config: &TextConfig, device: &Device) -> Rotary {
    let frequencies = frequencies(config.rope_theta, config.head_dim);
    let streams = streams(config);
    let angles: Vec<f32> = positions
        .iter()
        .flat_map(|p| streams.iter().zip(&frequencies).map(move |(&s, f)| p[s] as f32 * f))
        .collect();
    Rotary::new(&angles, config.head_dim / 2, device)
}

/// The stream of each rotated pair of a head.
fn streams(config: &TextConfig) -> Vec<usize> {
    let [time, height, width] = config.mrope_section;
    match config.mrope_layout {
        MropeLayout::Sections => {
            [(0, time), (1, height), (2, width)].iter().flat_map(|&(s, n)| repeat_n(s, n)).collect()
        }
        MropeLayout::Interleaved => (0..config.head_dim / 2)
            .map(|pair| match pair % 3 {
                1 if pair < 3 * height => 1,
                2 if pair < 3 * width => 2,
                _ => 0,
            })
            .collect(),
    }
}
