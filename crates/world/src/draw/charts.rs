//! A bar chart and a dial, both to be read without a letter.

use tiny_skia::{Path, PathBuilder};

use super::canvas::{Canvas, Frame, path};
use super::figures::{INK, shade};
use crate::scene::{Chart, Dial};

const LINE: [u8; 3] = [176, 180, 186];
/// Darker than white, which is the colour of some needles.
const FACE: [u8; 3] = [208, 214, 222];

/// Cosine and sine of the angle of each mark of the dial, from the left over the top to the right in steps of
/// 30 degrees.
const MARKS: [(f32, f32); 7] = [
    (-1.0, 0.0),
    (-0.866_025_4, 0.5),
    (-0.5, 0.866_025_4),
    (0.0, 1.0),
    (0.5, 0.866_025_4),
    (0.866_025_4, 0.5),
    (1.0, 0.0),
];

/// Draws a bar chart over the whole canvas, with a line for every level.
pub(super) fn bars(canvas: &mut Canvas, chart: &Chart) {
    let (width, height) = canvas.size();
    let (left, right, bottom) = (8.0, width - 6.0, height - 8.0);
    let level = (bottom - 8.0) / f32::from(Chart::HIGHEST);
    for step in 1..=Chart::HIGHEST {
        let y = bottom - level * f32::from(step);
        canvas.rect((left, y - 0.5), (right, y + 0.5), LINE);
    }
    let slot = (right - left) / chart.bars.len() as f32;
    let half = (slot * 0.34).min(11.0);
    for (index, bar) in chart.bars.iter().enumerate() {
        let middle = left + slot * (index as f32 + 0.5);
        let top = bottom - level * f32::from(bar.height);
        canvas.rect((middle - half - 1.0, top - 1.0), (middle + half + 1.0, bottom), shade(bar.colour.rgb()));
        canvas.rect((middle - half, top), (middle + half, bottom), bar.colour.rgb());
    }
    canvas.rect((left - 2.0, 6.0), (left, bottom + 2.0), INK);
    canvas.rect((left - 2.0, bottom), (right, bottom + 2.0), INK);
}

/// Draws a half-round dial in the middle of the canvas.
pub(super) fn dial(canvas: &mut Canvas, dial: &Dial) {
    let (width, height) = canvas.size();
    let radius = (width / 2.0 - 6.0).min(height - 24.0).min(46.0);
    let frame = Frame { x: width / 2.0, y: height / 2.0 + radius * 0.45, radius, mirrored: false };
    // A half circle of four quarter-turn curves' halves; 0.5523 makes a curve round.
    let face = "M -1 0.12 L -1 0 C -1 -0.5523 -0.5523 -1 0 -1 C 0.5523 -1 1 -0.5523 1 0 L 1 0.12 Z";
    if let Some(face) = path(face).and_then(|face| frame.place(&face)) {
        canvas.fill(&face, FACE);
        canvas.line(&face, INK, 2.0);
    }
    for (cosine, sine) in MARKS {
        if let Some(mark) = segment(frame, (cosine, sine), 0.78, 0.95) {
            canvas.line(&mark, INK, 1.5);
        }
    }
    let (cosine, sine) = MARKS.get(usize::from(dial.value)).copied().unwrap_or((0.0, 1.0));
    // A slim triangle from the hub; its base is at a right angle to its direction.
    let (x, y) = (frame.x + cosine * 0.86 * radius, frame.y - sine * 0.86 * radius);
    let base = 0.15 * radius;
    let mut needle = PathBuilder::new();
    needle.move_to(x, y);
    needle.line_to(frame.x + sine * base, frame.y + cosine * base);
    needle.line_to(frame.x - sine * base, frame.y - cosine * base);
    needle.close();
    if let Some(needle) = needle.finish() {
        canvas.line(&needle, shade(dial.colour.rgb()), 2.0);
        canvas.fill(&needle, dial.colour.rgb());
    }
    if let Some(hub) = path("O 0 0 0.12 0.12").and_then(|hub| frame.place(&hub)) {
        canvas.fill(&hub, INK);
    }
}

/// The part of a ray from the middle of the frame that lies between two distances.
fn segment(frame: Frame, (cosine, sine): (f32, f32), from: f32, to: f32) -> Option<Path> {
    let mut builder = PathBuilder::new();
    let at = |distance: f32| {
        (frame.x + cosine * distance * frame.radius, frame.y - sine * distance * frame.radius)
    };
    let ((x0, y0), (x1, y1)) = (at(from), at(to));
    builder.move_to(x0, y0);
    builder.line_to(x1, y1);
    builder.finish()
}
