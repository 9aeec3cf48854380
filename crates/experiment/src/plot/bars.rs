//! Groups of bars with error bars.

use super::figure::Bars;
use super::legend::{self, Sign};
use super::lines::part;
use super::sheet::{Drawn, Sheet, WIDTH};
use super::style;
use plotters::backend::DrawingBackend;
use plotters::chart::ChartBuilder;
use plotters::element::Rectangle;
use plotters::style::text_anchor::{HPos, VPos};
use plotters::style::{Color, WHITE};

const PLOT: f64 = 330.0;
/// Share of a group's room that its bars take.
const FILLED: f64 = 0.84;

impl Bars {
    /// Height in units.
    pub(super) fn height(&self) -> u32 {
        (legend::height(&self.keys) + PLOT).ceil() as u32
    }

    pub(super) fn draw<B: DrawingBackend>(&self, sheet: &Sheet<B>) -> Drawn {
        legend::draw(sheet, &self.keys, Sign::Bar)?;
        let top = legend::height(&self.keys);
        let area = part(sheet, &(0.0..f64::from(WIDTH)), &(top..top + PLOT));
        let groups = self.groups.len().max(1) as f64;
        let highest = self.groups.iter().flat_map(|group| &group.bars);
        let highest = highest.map(|bar| bar.value + bar.error.unwrap_or(0.0)).fold(0.0, f64::max);
        // Room for the numbers above the bars.
        let highest = if highest > 0.0 { 1.12 * highest } else { 1.0 };
        let mut chart = ChartBuilder::on(&area)
            .margin_top(sheet.size(10.0))
            .margin_right(sheet.size(16.0))
            .margin_left(sheet.size(28.0))
            .margin_bottom(sheet.size(6.0))
            .x_label_area_size(sheet.size(30.0))
            .y_label_area_size(sheet.size(44.0))
            .build_cartesian_2d(0.0..groups, 0.0..highest)
            .map_err(|error| error.to_string())?;
        style::axes(sheet, &mut chart)?;

        let place = |x: f64, y: f64| chart.backend_coord(&(x, y));
        let (_, bottom) = place(0.0, 0.0);
        let beside = (sheet.px(18.0), (bottom + place(0.0, highest).1) / 2);
        sheet.upright(&self.y, beside, 15.5)?;
        for (index, group) in self.groups.iter().enumerate() {
            let middle = index as f64 + 0.5;
            let at = (place(middle, 0.0).0, bottom + sheet.px(18.0));
            sheet.text(&group.title, at, 15.5, (HPos::Center, VPos::Center))?;
            let width = FILLED / group.bars.len().max(2) as f64;
            let first = middle - width * group.bars.len() as f64 / 2.0;
            for (number, bar) in group.bars.iter().enumerate() {
                let from = first + width * number as f64;
                let (left, top) = place(from + 0.06 * width, bar.value);
                let (right, _) = place(from + 0.94 * width, 0.0);
                let colour = style::colour(bar.style);
                let block = Rectangle::new([(left, top), (right, bottom)], colour.filled());
                sheet.area.draw(&block).map_err(|error| error.to_string())?;
                let x = (left + right) / 2;
                let error = bar.error.unwrap_or(0.0);
                let high = place(from, bar.value + error).1;
                if bar.error.is_some() {
                    let low = place(from, (bar.value - error).max(0.0)).1;
                    // A bright edge, to be seen on a dark bar.
                    sheet.error(x, low, high, WHITE, 3.0)?;
                    sheet.error(x, low, high, style::INK, 1.2)?;
                }
                let number = (x, high - sheet.px(4.0));
                sheet.text(&format!("{:.2}", bar.value), number, 12.5, (HPos::Center, VPos::Bottom))?;
            }
        }
        Ok(())
    }
}
