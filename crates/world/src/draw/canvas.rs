//! A drawing surface: opaque shapes with smooth edges on a ground.

use image::RgbImage;
use tiny_skia::{Color, FillRule, LineJoin, Paint, Path, PathBuilder, Pixmap, Rect, Stroke, Transform};

/// Where a figure is drawn: its own square from -1 to 1 around a centre.
#[derive(Debug, Clone, Copy)]
pub(super) struct Frame {
    /// Pixels from the left.
    pub(super) x: f32,
    /// Pixels from the top.
    pub(super) y: f32,
    /// Pixels of one unit.
    pub(super) radius: f32,
    /// Whether left and right change sides.
    pub(super) mirrored: bool,
}

/// The surface.
pub(super) struct Canvas {
    /// `None` only for a size that cannot be drawn, which the configuration refuses.
    pixmap: Option<Pixmap>,
    width: u32,
    height: u32,
}

impl Canvas {
    /// A surface of one colour.
    pub(super) fn new(width: u32, height: u32, ground: [u8; 3]) -> Self {
        let mut pixmap = Pixmap::new(width, height);
        if let Some(pixmap) = &mut pixmap {
            pixmap.fill(colour(ground));
        }
        Self { pixmap, width, height }
    }

    /// Its size in pixels.
    pub(super) fn size(&self) -> (f32, f32) {
        (self.width as f32, self.height as f32)
    }

    /// Fills a path that is given in pixels.
    pub(super) fn fill(&mut self, path: &Path, rgb: [u8; 3]) {
        if let Some(pixmap) = &mut self.pixmap {
            pixmap.fill_path(path, &paint(rgb), FillRule::Winding, Transform::identity(), None);
        }
    }

    /// Draws along a path that is given in pixels.
    pub(super) fn line(&mut self, path: &Path, rgb: [u8; 3], width: f32) {
        let stroke = Stroke { width, line_join: LineJoin::Round, ..Stroke::default() };
        if let Some(pixmap) = &mut self.pixmap {
            pixmap.stroke_path(path, &paint(rgb), &stroke, Transform::identity(), None);
        }
    }

    /// Fills and outlines the rectangle between two corners.
    pub(super) fn rect(&mut self, (left, top): (f32, f32), (right, bottom): (f32, f32), rgb: [u8; 3]) {
        if let Some(rect) = Rect::from_ltrb(left, top, right, bottom) {
            self.fill(&PathBuilder::from_rect(rect), rgb);
        }
    }

    /// What was drawn.
    pub(super) fn into_image(self) -> RgbImage {
        let mut image = RgbImage::new(self.width, self.height);
        if let Some(pixmap) = &self.pixmap {
            // Every pixel is opaque, so premultiplied values are the values.
            for (pixel, drawn) in image.pixels_mut().zip(pixmap.pixels()) {
                pixel.0 = [drawn.red(), drawn.green(), drawn.blue()];
            }
        }
        image
    }
}

impl Frame {
    /// A path in this frame's units as a path in pixels.
    pub(super) fn place(self, path: &Path) -> Option<Path> {
        let across = if self.mirrored { -self.radius } else { self.radius };
        path.clone().transform(Transform::from_row(across, 0.0, 0.0, self.radius, self.x, self.y))
    }
}

/// The path of a text: `M x y` and `L x y` move and draw, `Q` and `C` are curves with one and two control points
/// before the end, `Z` closes, `O x y rx ry` is an ellipse. What is none of these ends it.
pub(super) fn path(text: &str) -> Option<Path> {
    let mut builder = PathBuilder::new();
    let mut words = text.split_ascii_whitespace();
    while let Some(command) = words.next() {
        let mut next = || words.next().and_then(|word| word.parse::<f32>().ok());
        match command {
            "M" => builder.move_to(next()?, next()?),
            "L" => builder.line_to(next()?, next()?),
            "Q" => builder.quad_to(next()?, next()?, next()?, next()?),
            "C" => builder.cubic_to(next()?, next()?, next()?, next()?, next()?, next()?),
            "O" => {
                let (x, y, rx, ry) = (next()?, next()?, next()?, next()?);
                builder.push_oval(Rect::from_ltrb(x - rx, y - ry, x + rx, y + ry)?);
            }
            "Z" => builder.close(),
            _ => return None,
        }
    }
    builder.finish()
}

fn paint(rgb: [u8; 3]) -> Paint<'static> {
    let mut paint = Paint::default();
    paint.set_color(colour(rgb));
    paint.anti_alias = true;
    paint
}

fn colour([red, green, blue]: [u8; 3]) -> Color {
    Color::from_rgba8(red, green, blue, u8::MAX)
}
