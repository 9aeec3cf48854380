//! Panels of lines with error bars.

use super::figure::{Lines, Panel, Point};
use super::legend::{self, Sign};
use super::sheet::{Drawn, Sheet, WIDTH};
use super::style;
use plotters::backend::DrawingBackend;
use plotters::chart::ChartBuilder;
use plotters::coord::Shift;
use plotters::drawing::DrawingArea;
use plotters::style::text_anchor::{HPos, VPos};
use std::ops::Range;

const PANEL: f64 = 330.0;
/// Size of axis titles.
const TITLE: f64 = 15.5;
/// Points of different methods at one x are set apart by this share of the panel's width.
const APART: f64 = 0.006;

impl Lines {
    fn columns(&self) -> u32 {
        match self.panels.len() {
            1 => 1,
            3 => 3,
            _ => 2,
        }
    }

    /// Height in units.
    pub(super) fn height(&self) -> u32 {
        let rows = (self.panels.len() as u32).div_ceil(self.columns());
        (legend::height(&self.keys) + PANEL * f64::from(rows)).ceil() as u32
    }

    pub(super) fn draw<B: DrawingBackend>(&self, sheet: &Sheet<B>) -> Drawn {
        let sign = if self.markers { Sign::MarkedLine } else { Sign::Line };
        legend::draw(sheet, &self.keys, sign)?;
        let width = f64::from(WIDTH / self.columns());
        for (index, panel) in self.panels.iter().enumerate() {
            let (row, column) = (index as u32 / self.columns(), index as u32 % self.columns());
            let left = f64::from(column) * width;
            let top = legend::height(&self.keys) + f64::from(row) * PANEL;
            // A single panel would be too wide to read well.
            let inset = if self.columns() == 1 { 90.0 } else { 0.0 };
            let sides = left + inset..left + width - inset;
            panel.draw(sheet, sides, top..top + PANEL, self.markers)?;
        }
        Ok(())
    }
}

impl Panel {
    fn draw<B: DrawingBackend>(
        &self,
        sheet: &Sheet<B>,
        sides: Range<f64>,
        rows: Range<f64>,
        markers: bool,
    ) -> Drawn {
        let area = part(sheet, &sides, &rows);
        let (xs, ys) = (self.xs(), 0.0..self.top());
        let ticks = self.ticks.clone().unwrap_or_else(|| whole(&xs, (sides.end - sides.start) / 55.0));
        let mut chart = ChartBuilder::on(&area)
            .margin_top(sheet.size(if self.title.is_empty() { 10.0 } else { 34.0 }))
            .margin_right(sheet.size(16.0))
            .margin_left(sheet.size(28.0))
            .margin_bottom(sheet.size(28.0))
            .x_label_area_size(sheet.size(24.0))
            .y_label_area_size(sheet.size(40.0))
            .build_cartesian_2d(xs.clone(), ys.clone())
            .map_err(|error| error.to_string())?;
        style::axes(sheet, &mut chart)?;

        let place = |x: f64, y: f64| chart.backend_coord(&(x, y));
        let (left, bottom) = place(xs.start, ys.start);
        let (right, top) = place(xs.end, ys.end);
        for tick in ticks {
            // The library would choose where; a sweep has its own values.
            let x = place(tick, ys.start).0;
            sheet.line(vec![(x, top), (x, bottom - sheet.px(1.0))], style::GRID, 1.0)?;
            sheet.line(vec![(x, bottom), (x, bottom + sheet.px(4.0))], style::AXIS, 1.0)?;
            sheet.text(
                &style::plain(tick),
                (x, bottom + sheet.px(7.0)),
                style::NUMBER,
                (HPos::Center, VPos::Top),
            )?;
        }
        let middle = (left + right) / 2;
        let centre = (HPos::Center, VPos::Center);
        sheet.text(&self.title, (middle, top - sheet.px(15.0)), 16.0, centre)?;
        sheet.text(&self.x, (middle, bottom + sheet.px(36.0)), TITLE, centre)?;
        sheet.upright(&self.y, (sheet.px(sides.start + 18.0), (top + bottom) / 2), TITLE)?;

        for level in &self.levels {
            sheet.level(level.style, left, right, place(xs.start, level.y).1)?;
        }
        let apart = f64::from(right - left) * APART;
        for (index, series) in self.series.iter().enumerate() {
            let colour = style::colour(series.style);
            let aside = if markers { index as f64 - (self.series.len() - 1) as f64 / 2.0 } else { 0.0 };
            let aside = (apart * aside).round() as i32;
            let at = |point: &Point, y: f64| {
                let (x, y) = place(point.x, y.clamp(ys.start, ys.end));
                (x + aside, y)
            };
            let line: Vec<(i32, i32)> = series.points.iter().map(|point| at(point, point.y)).collect();
            sheet.line(line.clone(), colour, if markers { 1.8 } else { 1.5 })?;
            if !markers && line.len() > 1 {
                continue;
            }
            for (point, place) in series.points.iter().zip(line) {
                if let Some(error) = point.error {
                    let (low, high) = (at(point, point.y - error).1, at(point, point.y + error).1);
                    sheet.error(place.0, low, high, colour, 1.2)?;
                }
                sheet.marker(series.style, place)?;
            }
        }
        Ok(())
    }

    /// The points' x, with room at both ends.
    fn xs(&self) -> Range<f64> {
        let all = self.series.iter().flat_map(|series| &series.points).map(|point| point.x);
        let (low, high) = ends(all);
        let room = 0.04 * (high - low).max(f64::MIN_POSITIVE);
        if high > low { low - room..high + room } else { low - 1.0..high + 1.0 }
    }

    /// Upper end of the y axis.
    fn top(&self) -> f64 {
        let points = self.series.iter().flat_map(|series| &series.points);
        let bars = points.map(|point| point.y + point.error.unwrap_or(0.0));
        let highest = bars.chain(self.levels.iter().map(|level| level.y)).fold(0.0, f64::max);
        let needed = if highest > 0.0 { 1.06 * highest } else { 1.0 };
        self.top.unwrap_or(needed)
    }
}

/// Least and greatest.
fn ends(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let wider = |ends: Option<(f64, f64)>, value: f64| match ends {
        None => Some((value, value)),
        Some((low, high)) => Some((low.min(value), high.max(value))),
    };
    values.fold(None, wider).unwrap_or((0.0, 1.0))
}

/// At most so many whole numbers in a range, at even distances of 1, 2 or 5 times a power of ten.
fn whole(range: &Range<f64>, most: f64) -> Vec<f64> {
    let least = ((range.end - range.start) / most).max(1.0);
    let power = 10f64.powf(least.log10().floor());
    let step = [1.0, 2.0, 5.0].map(|times| times * power).into_iter().find(|step| *step >= least);
    let step = step.unwrap_or(10.0 * power);
    let first = (range.start / step).ceil() as i64;
    (first..).map(|n| n as f64 * step).take_while(|tick| *tick <= range.end).collect()
}

/// A part of the sheet, sides and rows in units.
pub(super) fn part<B: DrawingBackend>(
    sheet: &Sheet<B>,
    sides: &Range<f64>,
    rows: &Range<f64>,
) -> DrawingArea<B, Shift> {
    let area = sheet.area.clone();
    let (width, height) = area.dim_in_pixel();
    let after = |length: u32, units: f64| length.saturating_sub(sheet.size(units));
    let bottom = if sheet.px(rows.end) >= height as i32 { 0 } else { after(height, rows.end) };
    let right = if sheet.px(sides.end) >= width as i32 { 0 } else { after(width, sides.end) };
    area.margin(sheet.px(rows.start), bottom, sheet.px(sides.start), right)
}
