//! The legend above a figure: names in rows, each behind its sign.

use super::figure::Key;
use super::sheet::{Drawn, Sheet, WIDTH};
use super::style;
use plotters::backend::DrawingBackend;
use plotters::element::Rectangle;
use plotters::style::Color;
use plotters::style::text_anchor::{HPos, VPos};

const MARGIN: f64 = 14.0;
const ROW: f64 = 21.0;
const SIGN: f64 = 28.0;
const TEXT: f64 = 15.5;
const GAP: f64 = 20.0;

/// What stands before a name.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Sign {
    Line,
    MarkedLine,
    Bar,
}

/// Height of a legend in units.
pub(super) fn height(keys: &[Key]) -> f64 {
    let rows = places(keys).last().map_or(0.0, |(_, row)| row + 1.0);
    MARGIN + ROW * rows
}

/// Draws it at the top of the sheet.
pub(super) fn draw<B: DrawingBackend>(sheet: &Sheet<B>, keys: &[Key], sign: Sign) -> Drawn {
    for (key, (x, row)) in keys.iter().zip(places(keys)) {
        let y = sheet.px(MARGIN + ROW * (row + 0.5));
        let (from, to) = (sheet.px(x), sheet.px(x + SIGN - 6.0));
        match (key.trained, sign) {
            (false, _) => sheet.level(key.style, from, to, y)?,
            (true, Sign::Bar) => {
                let side = sheet.px(6.0);
                let corners = [(to - 2 * side, y - side), (to, y + side)];
                let square = Rectangle::new(corners, style::colour(key.style).filled());
                sheet.area.draw(&square).map_err(|error| error.to_string())?;
            }
            (true, _) => sheet.line(vec![(from, y), (to, y)], style::colour(key.style), 2.0)?,
        }
        if key.trained && sign == Sign::MarkedLine {
            sheet.marker(key.style, ((from + to) / 2, y))?;
        }
        let at = (sheet.px(x + SIGN), y);
        sheet.text(&key.name, at, TEXT, (HPos::Left, VPos::Center))?;
    }
    Ok(())
}

/// Left end in units and row of each name.
fn places(keys: &[Key]) -> Vec<(f64, f64)> {
    let mut places = Vec::new();
    let (mut x, mut row) = (MARGIN, 0.0);
    for key in keys {
        // Viewers of an SVG may have a wider font.
        let text = style::font(TEXT).box_size(&key.name).map_or(0.0, |(width, _)| 1.1 * f64::from(width));
        let width = SIGN + text;
        if x > MARGIN && x + width > f64::from(WIDTH) - MARGIN {
            (x, row) = (MARGIN, row + 1.0);
        }
        places.push((x, row));
        x += width + GAP;
    }
    places
}
