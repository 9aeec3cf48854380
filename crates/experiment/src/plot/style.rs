//! How methods look: the colours of Okabe and Ito, which most colour-blind people tell apart, and markers.

use super::sheet::{Drawn, Sheet};
use plotters::backend::DrawingBackend;
use plotters::chart::ChartContext;
use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::types::RangedCoordf64;
use plotters::element::{Circle, PathElement, Polygon, Text};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color, FontDesc, FontTransform, IntoFont, RGBColor, ShapeStyle, TextStyle};

/// The name under which the font is registered, and which viewers of an SVG know.
pub(super) const FONT: &str = "sans-serif";
/// Size of numbers at axes, in units.
pub(super) const NUMBER: f64 = 14.5;
/// Text.
pub(super) const INK: RGBColor = RGBColor(40, 40, 40);
/// Lines of the grid.
pub(super) const GRID: RGBColor = RGBColor(226, 226, 226);
/// Axes.
pub(super) const AXIS: RGBColor = RGBColor(150, 150, 150);

const COLOURS: [RGBColor; 8] = [
    RGBColor(0, 114, 178),
    RGBColor(86, 180, 233),
    RGBColor(213, 94, 0),
    RGBColor(0, 158, 115),
    RGBColor(230, 159, 0),
    RGBColor(204, 121, 167),
    RGBColor(0, 0, 0),
    // Yellow is hard to see on white: last.
    RGBColor(240, 228, 66),
];
/// Of levels, told apart by their dashes.
const LEVELS: [RGBColor; 2] = [RGBColor(110, 110, 110), RGBColor(160, 130, 90)];
const MARKERS: usize = 7;

/// Colour of a trained method.
pub(super) fn colour(style: usize) -> RGBColor {
    COLOURS[style % COLOURS.len()]
}

/// A stroke of this width in units.
pub(super) fn stroke<B: DrawingBackend>(sheet: &Sheet<B>, colour: RGBColor, width: f64) -> ShapeStyle {
    colour.stroke_width(sheet.size(width))
}

/// Font of a size in pixels.
pub(super) fn font(size: f64) -> FontDesc<'static> {
    (FONT, size).into_font()
}

/// Draws the axes of a chart and the grid across it; what stands at the x axis is up to the chart.
pub(super) fn axes<B: DrawingBackend>(
    sheet: &Sheet<B>,
    chart: &mut ChartContext<B, Cartesian2d<RangedCoordf64, RangedCoordf64>>,
) -> Drawn {
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(0)
        .y_labels(7)
        .max_light_lines(0)
        .bold_line_style(stroke(sheet, GRID, 1.0))
        .axis_style(stroke(sheet, AXIS, 1.0))
        .label_style(TextStyle::from(font(sheet.unit * NUMBER)).color(&INK))
        .y_label_formatter(&|y| plain(*y))
        .set_all_tick_mark_size(sheet.size(4.0))
        .draw()
        .map_err(|error| error.to_string())
}

/// A number without noughts behind its point.
pub(super) fn plain(number: f64) -> String {
    let text = format!("{number:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".into() } else { text.to_owned() }
}

impl<B: DrawingBackend> Sheet<'_, B> {
    /// Writes a text at a place in pixels, `size` in units.
    pub(super) fn text(
        &self,
        text: &str,
        at: (i32, i32),
        size: f64,
        (horizontal, vertical): (HPos, VPos),
    ) -> Drawn {
        let style = TextStyle::from(font(self.unit * size)).color(&INK).pos(Pos::new(horizontal, vertical));
        self.area.draw(&Text::new(text, at, style)).map_err(|error| error.to_string())
    }

    /// Writes the title of a vertical axis from below to above, its middle at a place in pixels.
    pub(super) fn upright(&self, text: &str, at: (i32, i32), size: f64) -> Drawn {
        let font = font(self.unit * size).transform(FontTransform::Rotate270);
        let style = TextStyle::from(font).color(&INK).pos(Pos::new(HPos::Center, VPos::Center));
        self.area.draw(&Text::new(text, at, style)).map_err(|error| error.to_string())
    }

    /// Draws a line through places in pixels.
    pub(super) fn line(&self, places: Vec<(i32, i32)>, colour: RGBColor, width: f64) -> Drawn {
        let path = PathElement::new(places, stroke(self, colour, width));
        self.area.draw(&path).map_err(|error| error.to_string())
    }

    /// Draws the horizontal line of a method that is not trained.
    pub(super) fn level(&self, style: usize, from: i32, to: i32, y: i32) -> Drawn {
        let (dash, gap) = if style.is_multiple_of(2) { (6.0, 4.0) } else { (2.0, 3.0) };
        let mut x = from;
        while x < to {
            let end = (x + self.px(dash)).min(to);
            self.line(vec![(x, y), (end, y)], LEVELS[style % LEVELS.len()], 1.5)?;
            x = end + self.px(gap);
        }
        Ok(())
    }

    /// Draws a standard error: a bar with caps.
    pub(super) fn error(&self, x: i32, low: i32, high: i32, colour: RGBColor, width: f64) -> Drawn {
        let cap = self.px(3.0);
        self.line(vec![(x, low), (x, high)], colour, width)?;
        self.line(vec![(x - cap, low), (x + cap, low)], colour, width)?;
        self.line(vec![(x - cap, high), (x + cap, high)], colour, width)
    }

    /// Draws the marker of a trained method.
    pub(super) fn marker(&self, style: usize, (x, y): (i32, i32)) -> Drawn {
        let colour = colour(style);
        let filled = colour.filled();
        let at = |dx: f64, dy: f64| (x + self.px(dx), y + self.px(dy));
        let polygon = |corners: &[(f64, f64)]| {
            let corners: Vec<(i32, i32)> = corners.iter().map(|(dx, dy)| at(*dx, *dy)).collect();
            self.area.draw(&Polygon::new(corners, filled)).map_err(|error| error.to_string())
        };
        match (style + style / COLOURS.len()) % MARKERS {
            0 => {
                let circle = Circle::new((x, y), self.size(3.8), filled);
                self.area.draw(&circle).map_err(|error| error.to_string())
            }
            1 => polygon(&[(-3.4, -3.4), (3.4, -3.4), (3.4, 3.4), (-3.4, 3.4)]),
            2 => polygon(&[(0.0, -4.6), (4.4, 3.2), (-4.4, 3.2)]),
            3 => polygon(&[(0.0, -4.8), (4.8, 0.0), (0.0, 4.8), (-4.8, 0.0)]),
            4 => polygon(&[(0.0, 4.6), (4.4, -3.2), (-4.4, -3.2)]),
            5 => {
                self.line(vec![at(-3.6, -3.6), at(3.6, 3.6)], colour, 2.0)?;
                self.line(vec![at(-3.6, 3.6), at(3.6, -3.6)], colour, 2.0)
            }
            _ => {
                self.line(vec![at(-4.4, 0.0), at(4.4, 0.0)], colour, 2.0)?;
                self.line(vec![at(0.0, -4.4), at(0.0, 4.4)], colour, 2.0)
            }
        }
    }
}
