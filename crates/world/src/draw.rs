//! Scenes as pictures.
//!
//! The same bytes on every machine: positions are drawn as whole steps, paths are made of plain f32 sums and
//! products, the rasteriser runs without SIMD, paints are opaque and blended in integers, and the grain is added
//! in integers.

mod canvas;
mod charts;
mod figures;

use image::RgbImage;

use crate::config;
use crate::dice::Dice;
use crate::scene::{Scene, Stage};
use canvas::{Canvas, Frame};

/// Pale grounds that every colour stands out from, white and pink by their outlines.
const GROUNDS: [[u8; 3]; 5] =
    [[236, 232, 222], [222, 232, 238], [228, 236, 222], [234, 226, 238], [230, 230, 230]];
/// A jitter is a whole number of these steps to the room that there is.
const STEPS: f64 = 32.0;
/// Largest change of a thing's size to either side, as a share.
const SCALE: f64 = 0.06;
/// Side of a grain in pixels.
const GRAIN: u32 = 2;

/// Everything about a picture that the scene leaves open.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Picture {
    width: u32,
    height: u32,
    ground: [u8; 3],
    poses: Vec<Pose>,
    noise: u8,
    grain: u64,
}

/// How a thing stands at its place.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Pose {
    /// Off the middle, as a share of the room, right and down.
    shift: (f32, f32),
    /// Factor of its size.
    scale: f32,
    /// Whether it looks to the other side.
    mirrored: bool,
}

impl Picture {
    /// Draws how a scene is to be shown.
    pub(crate) fn plan(dials: &config::Image, sizes: &[(u32, u32)], scene: &Scene, dice: &mut Dice) -> Self {
        let (first, others) = sizes.split_first().map_or(((84, 84), sizes), |(first, rest)| (*first, rest));
        let (width, height) =
            if others.is_empty() || dice.chance(dials.first) { first } else { dice.pick(others) };
        let count = match scene {
            Scene::Stage(stage) => stage.objects.len(),
            _ => 1,
        };
        let ground = dice.pick(&GROUNDS);
        let poses = (0..count).map(|_| {
            let mut shift = || ((dice.signed() * STEPS).round() / STEPS * dials.jitter) as f32;
            let shift = (shift(), shift());
            let scale = (1.0 + (dice.signed() * STEPS).round() / STEPS * SCALE) as f32;
            Pose { shift, scale, mirrored: dice.chance(0.5) }
        });
        let poses = poses.collect();
        Self { width, height, ground, poses, noise: dials.noise, grain: dice.bits() }
    }
}

/// The picture of a scene.
pub(crate) fn draw(scene: &Scene, picture: &Picture) -> RgbImage {
    let mut canvas = Canvas::new(picture.width, picture.height, picture.ground);
    match scene {
        Scene::Stage(stage) => things(&mut canvas, stage, picture),
        Scene::Chart(chart) => charts::bars(&mut canvas, chart),
        Scene::Dial(dial) => charts::dial(&mut canvas, dial),
    }
    let mut image = canvas.into_image();
    if picture.noise > 0 {
        add_grain(&mut image, picture.noise, picture.grain);
    }
    image
}

fn things(canvas: &mut Canvas, stage: &Stage, picture: &Picture) {
    // Sides are small whole numbers, exact in f32.
    let cell =
        (picture.width as f32 / f32::from(stage.columns), picture.height as f32 / f32::from(stage.rows));
    for (object, pose) in stage.objects.iter().zip(&picture.poses) {
        // On a fine grid things are smaller, so that they stay in their places.
        let fits = cell.0.min(cell.1) / 42.0;
        let radius = object.size.radius() * pose.scale * fits.min(1.0);
        let room = |side: f32| (side / 2.0 - radius - 1.0).max(0.0);
        let centre = |at: u8, side: f32, shift: f32| (f32::from(at) + 0.5) * side + room(side) * shift;
        let frame = Frame {
            x: centre(object.place.column, cell.0, pose.shift.0),
            y: centre(object.place.row, cell.1, pose.shift.1),
            radius,
            mirrored: pose.mirrored,
        };
        figures::draw(canvas, frame, object.thing, object.colour);
    }
}

/// Adds the same change to the three channels of every grain, uniform in -noise..=noise.
fn add_grain(image: &mut RgbImage, noise: u8, seed: u64) {
    let levels = u64::from(noise) * 2 + 1;
    let columns = image.width().div_ceil(GRAIN);
    for (x, y, pixel) in image.enumerate_pixels_mut() {
        let grain = u64::from(y / GRAIN) * u64::from(columns) + u64::from(x / GRAIN);
        // A product of 32 bits with less than 2^8 levels, so the shift leaves less than `levels`.
        let level = ((mix(seed.wrapping_add(grain)) >> 32) * levels) >> 32;
        let change = level as i16 - i16::from(noise);
        for channel in &mut pixel.0 {
            *channel = (i16::from(*channel) + change).clamp(0, 255) as u8;
        }
    }
}

/// The output function of SplitMix64: 64 well-mixed bits of a counter.
fn mix(counter: u64) -> u64 {
    let z = counter.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
