//! Drawing: a figure as SVG and as PNG, by the same code.
//!
//! Lengths are in units: a pixel of the SVG, which is [`WIDTH`] units wide; the PNG has twice as many pixels, drawn
//! twice as large again and averaged, since the library's bitmaps have hard edges.

mod bars;
mod figure;
mod legend;
mod lines;
mod sheet;
mod style;

pub(crate) use figure::{Bar, Bars, Group, Key, Level, Lines, Panel, Point, Series};

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder, RgbImage, imageops};
use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::drawing::IntoDrawingArea;
use plotters::style::{FontStyle, WHITE, register_font};
use sheet::{Drawn, Sheet, WIDTH};

/// Pixels of the PNG a unit.
const SHARPNESS: u32 = 2;
/// Pixels drawn for one of the PNG's, each way.
const OVERSAMPLING: u32 = 2;

/// A figure.
pub(crate) enum Figure {
    Lines(Lines),
    Bars(Bars),
}

/// The figure as SVG.
pub(crate) fn svg(figure: &Figure) -> Result<String, String> {
    fonts()?;
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, (WIDTH, figure.height())).into_drawing_area();
        figure.draw(&Sheet { area: &area, unit: 1.0 })?;
        area.present().map_err(|error| error.to_string())?;
    }
    Ok(text)
}

/// The figure as PNG.
pub(crate) fn png(figure: &Figure) -> Result<Vec<u8>, String> {
    fonts()?;
    let (width, height) = (SHARPNESS * WIDTH, SHARPNESS * figure.height());
    let size = (OVERSAMPLING * width, OVERSAMPLING * height);
    let mut image = RgbImage::new(size.0, size.1);
    {
        let area = BitMapBackend::with_buffer(&mut image, size).into_drawing_area();
        figure.draw(&Sheet { area: &area, unit: f64::from(SHARPNESS * OVERSAMPLING) })?;
        area.present().map_err(|error| error.to_string())?;
    }
    let image = imageops::thumbnail(&image, width, height);
    let mut bytes = Vec::new();
    PngEncoder::new_with_quality(&mut bytes, CompressionType::Best, FilterType::Adaptive)
        .write_image(&image, width, height, ExtendedColorType::Rgb8)
        .map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// Noto Sans as the font of every text. Viewers of the SVG take their own of that kind.
fn fonts() -> Drawn {
    register_font(style::FONT, FontStyle::Normal, notosans::REGULAR_TTF)
        .map_err(|_| "its font cannot be read".to_owned())
}

impl Figure {
    /// Height in units.
    fn height(&self) -> u32 {
        match self {
            Self::Lines(lines) => lines.height(),
            Self::Bars(bars) => bars.height(),
        }
    }

    fn draw<B: DrawingBackend>(&self, sheet: &Sheet<B>) -> Drawn {
        sheet.area.fill(&WHITE).map_err(|error| error.to_string())?;
        match self {
            Self::Lines(lines) => lines.draw(sheet),
            Self::Bars(bars) => bars.draw(sheet),
        }
    }
}
