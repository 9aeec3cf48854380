//! How each thing is drawn: a few filled paths, from back to front, in a square from -1 to 1.
//!
//! What is filled with the thing's own colour gets an outline of a darker shade of it.

use std::sync::LazyLock;

use tiny_skia::Path;

use super::canvas::{Canvas, Frame, path};
use crate::things::{Colour, Thing};

/// Nearly black, for eyes and lines.
pub(super) const INK: [u8; 3] = [38, 38, 44];
const SNOW: [u8; 3] = [252, 252, 252];
const LEAF: [u8; 3] = [70, 140, 60];
const WATER: [u8; 3] = [120, 190, 232];
const NOSE: [u8; 3] = [236, 120, 40];
/// Width of an outline, in units.
const OUTLINE: f32 = 0.1;

/// What a path is filled with.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Fill {
    /// The thing's colour, outlined.
    Body,
    /// A darker shade of it.
    Shade,
    /// A lighter tint of it.
    Tint,
    /// A colour of its own.
    Own([u8; 3]),
}

use Fill::{Body, Own, Shade, Tint};

/// Draws a thing.
pub(super) fn draw(canvas: &mut Canvas, frame: Frame, thing: Thing, colour: Colour) {
    let Some(layers) = FIGURES.get(thing as usize) else { return };
    let body = colour.rgb();
    for (fill, path) in layers {
        let Some(path) = frame.place(path) else { continue };
        match fill {
            Body => {
                // Half of the line lies inside and is painted over, so that the thing keeps its colour.
                canvas.line(&path, shade(body), 2.0 * OUTLINE * frame.radius);
                canvas.fill(&path, body);
            }
            Shade => canvas.fill(&path, shade(body)),
            Tint => canvas.fill(&path, tint(body)),
            Own(rgb) => canvas.fill(&path, *rgb),
        }
    }
}

/// A darker shade.
pub(super) fn shade(rgb: [u8; 3]) -> [u8; 3] {
    rgb.map(|channel| (u16::from(channel) * 9 / 16) as u8)
}

/// A lighter tint.
fn tint(rgb: [u8; 3]) -> [u8; 3] {
    rgb.map(|channel| (u16::from(channel) + (u16::from(u8::MAX) - u16::from(channel)) * 9 / 16) as u8)
}

/// The layers of every thing, by its number, made once.
static FIGURES: LazyLock<Vec<Vec<(Fill, Path)>>> = LazyLock::new(|| {
    let things = Thing::EVERYDAY.into_iter().chain(Thing::SHAPES);
    let layers = |thing| figure(thing).iter().filter_map(|(fill, text)| Some((*fill, path(text)?))).collect();
    things.map(layers).collect()
});

/// The layers of a thing as texts, see [`path`].
fn figure(thing: Thing) -> &'static [(Fill, &'static str)] {
    match thing {
        Thing::Banana => &[
            (
                Body,
                "M -0.84 -0.78 L -0.58 -0.82 C -0.4 -0.3 0.2 0.06 0.84 -0.02 L 0.92 0.3 \
                    C 0.5 1.12 -1.1 1 -0.84 -0.78 Z",
            ),
            (Shade, "M -0.72 -0.3 C -0.5 0.36 0.16 0.6 0.86 0.2 C 0.16 0.5 -0.44 0.28 -0.72 -0.3 Z"),
            (Own(INK), "M -0.88 -0.94 L -0.62 -0.98 L -0.6 -0.72 L -0.85 -0.68 Z"),
            (Own(INK), "M 0.8 -0.06 L 0.94 -0.06 L 0.99 0.3 L 0.86 0.34 Z"),
        ],
        Thing::Tomato => &[
            (Body, "O 0 0.16 0.92 0.74"),
            (Tint, "O -0.46 0.04 0.16 0.2"),
            (
                Own(LEAF),
                "M 0 -0.2 L -0.2 -0.4 L -0.68 -0.22 L -0.46 -0.6 L -0.7 -0.84 L -0.16 -0.7 L 0 -1 \
                         L 0.16 -0.7 L 0.7 -0.84 L 0.46 -0.6 L 0.68 -0.22 L 0.2 -0.4 Z",
            ),
        ],
        Thing::Frog => &[
            (Body, "O -0.5 -0.56 0.36 0.36"),
            (Body, "O 0.5 -0.56 0.36 0.36"),
            (Body, "O 0 0.2 0.92 0.66"),
            (Own(SNOW), "O -0.5 -0.58 0.24 0.24"),
            (Own(SNOW), "O 0.5 -0.58 0.24 0.24"),
            (Own(INK), "O -0.46 -0.56 0.13 0.14"),
            (Own(INK), "O 0.46 -0.56 0.13 0.14"),
            (Own(INK), "M -0.62 0.2 Q 0 0.78 0.62 0.2 Q 0 0.54 -0.62 0.2 Z"),
        ],
        Thing::Carrot => &[
            (
                Own(LEAF),
                "M 0 -0.3 L -0.62 -0.86 L -0.3 -0.82 L -0.24 -1 L 0 -0.84 L 0.24 -1 L 0.3 -0.82 \
                         L 0.62 -0.86 Z",
            ),
            (Body, "M -0.62 -0.3 Q 0 -0.7 0.62 -0.3 Q 0.5 0.52 0 0.96 Q -0.5 0.52 -0.62 -0.3 Z"),
            (Shade, "M -0.6 -0.08 L -0.14 -0.03 L -0.57 0.03 Z"),
            (Shade, "M 0.54 0.12 L 0.1 0.17 L 0.5 0.23 Z"),
            (Shade, "M -0.4 0.38 L -0.04 0.43 L -0.34 0.49 Z"),
        ],
        Thing::Eggplant => &[
            (
                Body,
                "M -0.06 -0.5 C -0.36 -0.2 -0.98 -0.02 -0.9 0.46 C -0.8 1.02 0 1.06 0.34 0.5 \
                    C 0.56 0.14 0.66 -0.16 0.5 -0.4 Z",
            ),
            (Tint, "M -0.66 0.3 Q -0.62 0.04 -0.32 -0.1 Q -0.5 0.14 -0.5 0.42 Z"),
            (
                Own(LEAF),
                "M -0.2 -0.28 Q -0.1 -0.76 0.36 -0.76 Q 0.82 -0.5 0.64 0.04 L 0.44 -0.2 L 0.3 0.06 \
                         L 0.14 -0.26 L -0.06 -0.02 Z",
            ),
            (Own(LEAF), "M 0.2 -0.7 L 0.56 -1 L 0.78 -0.86 L 0.5 -0.56 Z"),
        ],
        Thing::Whale => &[
            (
                Own(WATER),
                "M -0.36 -0.34 Q -0.44 -0.72 -0.84 -0.7 Q -0.5 -1 -0.32 -0.66 Q -0.14 -1 0.2 -0.7 \
                          Q -0.2 -0.72 -0.24 -0.34 Z",
            ),
            (
                Body,
                "M -0.96 0.2 C -0.96 -0.42 -0.16 -0.54 0.26 -0.08 C 0.44 0.1 0.6 0.06 0.66 -0.16 \
                    C 0.44 -0.2 0.36 -0.46 0.42 -0.62 C 0.58 -0.6 0.7 -0.5 0.74 -0.36 \
                    C 0.8 -0.52 0.9 -0.6 0.98 -0.6 C 1.02 -0.4 0.96 -0.22 0.84 -0.14 \
                    C 0.9 0.48 0.5 0.8 -0.14 0.8 C -0.64 0.8 -0.96 0.6 -0.96 0.2 Z",
            ),
            (
                Tint,
                "M -0.88 0.42 C -0.5 0.56 0.1 0.56 0.48 0.54 C 0.3 0.7 0.1 0.76 -0.14 0.76 \
                    C -0.5 0.76 -0.78 0.64 -0.88 0.42 Z",
            ),
            (Own(INK), "O -0.58 0.12 0.1 0.1"),
        ],
        Thing::Pig => &[
            (Body, "M -0.86 -0.92 L -0.16 -0.66 L -0.7 -0.16 Z"),
            (Body, "M 0.86 -0.92 L 0.16 -0.66 L 0.7 -0.16 Z"),
            (Body, "O 0 0.1 0.86 0.8"),
            (Shade, "O 0 0.34 0.44 0.32"),
            (Tint, "O 0 0.34 0.36 0.25"),
            (Own(INK), "O -0.15 0.34 0.08 0.13"),
            (Own(INK), "O 0.15 0.34 0.08 0.13"),
            (Own(INK), "O -0.38 -0.14 0.11 0.12"),
            (Own(INK), "O 0.38 -0.14 0.11 0.12"),
        ],
        Thing::Bear => &[
            (Body, "O -0.62 -0.6 0.34 0.34"),
            (Body, "O 0.62 -0.6 0.34 0.34"),
            (Shade, "O -0.62 -0.6 0.16 0.16"),
            (Shade, "O 0.62 -0.6 0.16 0.16"),
            (Body, "O 0 0.14 0.84 0.76"),
            (Own(SNOW), "O 0 0.44 0.4 0.33"),
            (Own(INK), "M -0.2 0.22 L 0.2 0.22 L 0 0.48 Z"),
            (Own(INK), "O -0.36 -0.08 0.11 0.12"),
            (Own(INK), "O 0.36 -0.08 0.11 0.12"),
        ],
        Thing::Bat => &[
            (
                Body,
                "M -0.24 -0.2 L -0.26 -0.62 L -0.08 -0.36 L 0.08 -0.36 L 0.26 -0.62 L 0.24 -0.2 \
                    C 0.44 -0.66 0.78 -0.62 0.98 -0.46 Q 0.78 -0.1 0.86 0.38 Q 0.64 0.1 0.5 0.46 \
                    Q 0.3 0.2 0 0.74 Q -0.3 0.2 -0.5 0.46 Q -0.64 0.1 -0.86 0.38 Q -0.78 -0.1 -0.98 -0.46 \
                    C -0.78 -0.62 -0.44 -0.66 -0.24 -0.2 Z",
            ),
            (Own(SNOW), "O -0.1 -0.12 0.08 0.1"),
            (Own(SNOW), "O 0.1 -0.12 0.08 0.1"),
        ],
        Thing::Snowman => &[
            (Body, "O 0 0.46 0.72 0.48"),
            (Body, "O 0 -0.24 0.5 0.4"),
            (
                Own(INK),
                "M -0.52 -0.5 L 0.52 -0.5 L 0.52 -0.62 L 0.3 -0.62 L 0.3 -1 L -0.3 -1 L -0.3 -0.62 \
                        L -0.52 -0.62 Z",
            ),
            (Own(INK), "O -0.16 -0.32 0.07 0.08"),
            (Own(INK), "O 0.16 -0.32 0.07 0.08"),
            (Own(NOSE), "M -0.04 -0.24 L 0.36 -0.12 L -0.04 -0.1 Z"),
            (Own(INK), "O 0 0.3 0.07 0.07"),
            (Own(INK), "O 0 0.54 0.07 0.07"),
        ],
        Thing::Elephant => &[
            (Body, "O -0.62 -0.22 0.36 0.56"),
            (Body, "O 0.62 -0.22 0.36 0.56"),
            (Shade, "O -0.66 -0.2 0.2 0.38"),
            (Shade, "O 0.66 -0.2 0.2 0.38"),
            (
                Body,
                "M -0.5 -0.2 C -0.5 -0.98 0.5 -0.98 0.5 -0.2 C 0.5 0.14 0.24 0.3 0.22 0.5 \
                    C 0.22 0.74 0.42 0.74 0.52 0.6 L 0.68 0.76 C 0.5 1.04 -0.16 1.06 -0.2 0.5 \
                    C -0.22 0.3 -0.5 0.14 -0.5 -0.2 Z",
            ),
            (Own(SNOW), "M -0.4 0.22 L -0.22 0.3 L -0.42 0.66 Z"),
            (Own(SNOW), "M 0.4 0.22 L 0.22 0.3 L 0.42 0.56 Z"),
            (Own(INK), "O -0.22 -0.24 0.09 0.1"),
            (Own(INK), "O 0.22 -0.24 0.09 0.1"),
        ],
        Thing::Mouse => &[
            (
                Own(INK),
                "M 0.5 0.56 C 0.98 0.7 1.02 0.1 0.74 -0.1 C 0.7 -0.3 0.86 -0.42 0.98 -0.36 L 0.98 -0.26 \
                        C 0.86 -0.3 0.78 -0.24 0.82 -0.14 C 1.14 0.2 1.04 0.82 0.5 0.72 Z",
            ),
            (
                Body,
                "M -0.98 0.5 C -0.8 0.1 -0.4 -0.26 0.06 -0.24 C 0.62 -0.2 0.86 0.3 0.6 0.72 L -0.6 0.74 \
                    Q -0.92 0.7 -0.98 0.5 Z",
            ),
            (Body, "O -0.24 -0.3 0.32 0.34"),
            (Tint, "O -0.24 -0.3 0.17 0.19"),
            (Own(INK), "O -0.56 0.28 0.09 0.1"),
            (Own(INK), "O -0.94 0.5 0.09 0.09"),
        ],
        Thing::Circle => &[(Body, "O 0 0 0.88 0.88")],
        Thing::Square => &[(Body, "M -0.8 -0.8 L 0.8 -0.8 L 0.8 0.8 L -0.8 0.8 Z")],
        Thing::Triangle => &[(Body, "M 0 -0.86 L 0.9 0.74 L -0.9 0.74 Z")],
        Thing::Star => &[(
            Body,
            "M 0 -0.94 L 0.24 -0.3 L 0.92 -0.28 L 0.38 0.14 L 0.57 0.8 L 0 0.42 \
                                 L -0.57 0.8 L -0.38 0.14 L -0.92 -0.28 L -0.24 -0.3 Z",
        )],
        Thing::Heart => &[(
            Body,
            "M 0 0.86 C -1.24 -0.06 -0.84 -0.88 -0.42 -0.82 C -0.18 -0.8 0 -0.6 0 -0.42 \
                                  C 0 -0.6 0.18 -0.8 0.42 -0.82 C 0.84 -0.88 1.24 -0.06 0 0.86 Z",
        )],
        Thing::Cross => &[(
            Body,
            "M -0.3 -0.88 L 0.3 -0.88 L 0.3 -0.3 L 0.88 -0.3 L 0.88 0.3 L 0.3 0.3 \
                                  L 0.3 0.88 L -0.3 0.88 L -0.3 0.3 L -0.88 0.3 L -0.88 -0.3 L -0.3 -0.3 Z",
        )],
    }
}
