//! What is drawn on.

use plotters::backend::DrawingBackend;
use plotters::coord::Shift;
use plotters::drawing::DrawingArea;

/// Width of a figure: that of a page on GitHub.
pub(super) const WIDTH: u32 = 900;

/// What is drawn on: an area of a backend, and the backend's pixels a unit.
pub(super) struct Sheet<'a, B: DrawingBackend> {
    pub(super) area: &'a DrawingArea<B, Shift>,
    pub(super) unit: f64,
}

/// A drawing that failed, in the library's words.
pub(super) type Drawn = Result<(), String>;

impl<B: DrawingBackend> Sheet<'_, B> {
    /// So many units in pixels.
    pub(super) fn px(&self, units: f64) -> i32 {
        (self.unit * units).round() as i32
    }

    /// The same of what cannot be negative.
    pub(super) fn size(&self, units: f64) -> u32 {
        self.px(units).unsigned_abs().max(1)
    }
}
