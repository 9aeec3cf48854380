//! Drawing: a figure as SVG and as PNG, by the same code.
//!
//! Lengths are in units: a pixel of the SVG, which is [`WIDTH`] units wide; the PNG has twice as many pixels, drawn
//! twice as large again and averaged, since the library's bitmaps have hard edges.

mod bars;
mod legend;
mod lines;
mod style;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::{ExtendedColorType, ImageEncoder, RgbImage, imageops};
use plotters::backend::{BitMapBackend, DrawingBackend, SVGBackend};
use plotters::coord::Shift;
use plotters::drawing::{DrawingArea, IntoDrawingArea};
use plotters::style::{FontStyle, WHITE, register_font};

/// Width of a figure: that of a page on GitHub.
const WIDTH: u32 = 900;
/// Pixels of the PNG a unit.
const SHARPNESS: u32 = 2;
/// Pixels drawn for one of the PNG's, each way.
const OVERSAMPLING: u32 = 2;

/// A figure.
pub(crate) enum Figure {
    Lines(Lines),
    Bars(Bars),
}

/// Panels of lines, up to three in a row.
pub(crate) struct Lines {
    pub(crate) keys: Vec<Key>,
    pub(crate) panels: Vec<Panel>,
    /// Whether points are marked.
    pub(crate) markers: bool,
}

/// A coordinate system with lines.
pub(crate) struct Panel {
    pub(crate) title: String,
    /// Title of its axis.
    pub(crate) x: String,
    /// Title of its axis.
    pub(crate) y: String,
    pub(crate) series: Vec<Series>,
    pub(crate) levels: Vec<Level>,
    /// Where the x axis has its numbers; none for whole numbers as they fit.
    pub(crate) ticks: Option<Vec<f64>>,
    /// Upper end of the y axis, which begins at 0; none for what the lines need.
    pub(crate) top: Option<f64>,
}

/// A line through points, in the order of x.
pub(crate) struct Series {
    pub(crate) style: usize,
    pub(crate) points: Vec<Point>,
}

/// A point with its standard error.
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) error: Option<f64>,
}

/// A horizontal line.
pub(crate) struct Level {
    pub(crate) style: usize,
    pub(crate) y: f64,
}

/// Groups of bars, from 0 up.
pub(crate) struct Bars {
    /// Title of the axis.
    pub(crate) y: String,
    pub(crate) keys: Vec<Key>,
    pub(crate) groups: Vec<Group>,
}

/// Bars side by side.
pub(crate) struct Group {
    pub(crate) title: String,
    pub(crate) bars: Vec<Bar>,
}

/// A bar with its standard error.
pub(crate) struct Bar {
    pub(crate) style: usize,
    pub(crate) value: f64,
    pub(crate) error: Option<f64>,
}

/// A line of the legend.
pub(crate) struct Key {
    pub(crate) name: String,
    pub(crate) style: usize,
    /// Trained methods have a line or a bar, others a level.
    pub(crate) trained: bool,
}

/// What is drawn on: an area of a backend, and the backend's pixels a unit.
struct Sheet<'a, B: DrawingBackend> {
    area: &'a DrawingArea<B, Shift>,
    unit: f64,
}

/// A drawing that failed, in the library's words.
type Drawn = Result<(), String>;

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

impl<B: DrawingBackend> Sheet<'_, B> {
    /// So many units in pixels.
    fn px(&self, units: f64) -> i32 {
        (self.unit * units).round() as i32
    }

    /// The same of what cannot be negative.
    fn size(&self, units: f64) -> u32 {
        self.px(units).unsigned_abs().max(1)
    }
}
