//! A run's metrics as curves of a bounded number of points, read line by line.

use crate::visible::visible;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use vigos_core::jsonl::{JsonLinesError, LastLine, ReadOptions, read_lines};
use vigos_core::leaves::leaves;

/// Most metrics that a file may have.
const MOST_NAMES: usize = 400;
/// Most letters of a metric's name.
const LONGEST_NAME: usize = 120;

/// Values that are drawn as one point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    sum: f64,
    count: u32,
    /// The lowest.
    pub(crate) low: f64,
    /// The highest.
    pub(crate) high: f64,
}

impl Point {
    fn of(value: f64) -> Self {
        Self { sum: value, count: 1, low: value, high: value }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            sum: self.sum + other.sum,
            count: self.count + other.count,
            low: self.low.min(other.low),
            high: self.high.max(other.high),
        }
    }

    /// Their mean.
    pub(crate) fn mean(&self) -> f64 {
        self.sum / f64::from(self.count)
    }
}

/// The curves of all metrics over the same steps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Curves {
    most: usize,
    /// Lines of a point.
    stride: usize,
    /// Lines read.
    pub(crate) lines: usize,
    /// Steps of each point.
    pub(crate) steps: Vec<Point>,
    /// By the metric's name; a point without a value has none.
    pub(crate) series: BTreeMap<String, Vec<Option<Point>>>,
    /// The sum of all values of a metric.
    pub(crate) sums: BTreeMap<String, f64>,
    /// Tokens that went through the model, by phase.
    pub(crate) work: BTreeMap<String, f64>,
    /// Metrics that were not finite numbers somewhere.
    pub(crate) lost: BTreeMap<String, usize>,
    /// The last line.
    pub(crate) last: BTreeMap<String, f64>,
}

impl Curves {
    /// Reads `metrics.jsonl`; what went wrong after the lines that could be read comes with them.
    ///
    /// # Errors
    /// If the file does not open.
    pub(crate) fn read(path: &Path, most: usize) -> Result<(Self, Option<JsonLinesError>), JsonLinesError> {
        let options = ReadOptions { last_line: LastLine::Dropped, ..ReadOptions::default() };
        let mut curves = Self { most: most.max(2), stride: 1, ..Self::default() };
        for line in read_lines::<Value>(path, options)? {
            match line {
                Ok((_, value)) => curves.add(&value),
                Err(error) => return Ok((curves, Some(error))),
            }
        }
        Ok((curves, None))
    }

    /// Adds a line.
    fn add(&mut self, line: &Value) {
        let Some(step) = line.get("step").and_then(Value::as_f64) else { return };
        let at = self.lines / self.stride;
        self.lines += 1;
        self.last.clear();
        push(&mut self.steps, at, step);
        for (name, leaf) in leaves(line, '/') {
            if name == "step" || name.len() > LONGEST_NAME {
                continue;
            }
            let Some(value) = leaf.as_f64() else {
                if leaf.is_null() {
                    *self.lost.entry(visible(&name, LONGEST_NAME)).or_default() += 1;
                }
                continue;
            };
            self.value(name, at, value);
        }
        self.shares(line, at);
        self.work(line);
        // An odd number of points would leave half a point at the end.
        if self.steps.len() > 2 * self.most && self.lines.is_multiple_of(2 * self.stride) {
            self.halve();
        }
    }

    fn value(&mut self, name: String, at: usize, value: f64) {
        let name = visible(&name, LONGEST_NAME);
        if !self.series.contains_key(&name) && self.series.len() >= MOST_NAMES {
            return;
        }
        let series = self.series.entry(name.clone()).or_default();
        series.resize(series.len().max(at), None);
        match series.get_mut(at) {
            Some(point) => *point = Some(point.map_or(Point::of(value), |p| p.plus(Point::of(value)))),
            None => series.push(Some(Point::of(value))),
        }
        *self.sums.entry(name.clone()).or_default() += value;
        self.last.insert(name, value);
    }

    /// Adds the tokens of each phase up: its rate times its time.
    fn work(&mut self, line: &Value) {
        let phases = |key: &str| line.get(key).and_then(Value::as_object);
        let (Some(rates), Some(times)) = (phases("tokens_per_second"), phases("seconds")) else { return };
        for (phase, rate) in rates.iter().take(16) {
            let time = times.get(phase).and_then(Value::as_f64);
            if let (Some(rate), Some(time)) = (rate.as_f64(), time) {
                *self.work.entry(phase.clone()).or_default() += rate * time;
            }
        }
    }

    /// Shares that a line says as two counts.
    fn shares(&mut self, line: &Value, at: usize) {
        if let Some(terms) = line.get("terms").and_then(Value::as_object) {
            for (name, term) in terms {
                let number = |key: &str| term.get(key).and_then(Value::as_f64);
                if let (Some(clipped), Some(tokens)) =
                    (number("clipped"), number("tokens").filter(|t| *t > 0.0))
                {
                    self.value(format!("terms/{name}/clipped_share"), at, clipped / tokens);
                }
            }
        }
        if let Some(fallback) = line.get("fallback_rate").and_then(Value::as_f64) {
            self.value("valid_rate".into(), at, 1.0 - fallback);
        }
    }

    /// Makes one point of two.
    fn halve(&mut self) {
        self.stride *= 2;
        self.steps = self.steps.chunks(2).filter_map(|two| two.iter().copied().reduce(Point::plus)).collect();
        for series in self.series.values_mut() {
            *series = series.chunks(2).map(|two| two.iter().copied().flatten().reduce(Point::plus)).collect();
        }
    }

    /// Whether points stand for several lines.
    pub(crate) fn is_thinned(&self) -> bool {
        self.stride > 1
    }

    /// The means of the first and of the last tenth of a metric's points.
    pub(crate) fn ends(&self, name: &str) -> Option<(f64, f64)> {
        let known: Vec<Point> = self.series.get(name)?.iter().copied().flatten().collect();
        let few = (known.len() / 10).max(1);
        let mean = |points: &[Point]| points.iter().copied().reduce(Point::plus).map(|p| p.mean());
        Some((mean(known.get(..few)?)?, mean(&known[known.len() - few..])?))
    }

    /// Whether a metric is there and has been `wanted` in every line.
    pub(crate) fn always(&self, name: &str, wanted: f64) -> bool {
        self.series.get(name).is_some_and(|points| {
            points.iter().flatten().all(|p| p.low == wanted && p.high == wanted)
                && points.iter().any(Option::is_some)
        })
    }

    /// The last step.
    pub(crate) fn last_step(&self) -> Option<f64> {
        self.steps.last().map(|step| step.high)
    }
}

fn push(points: &mut Vec<Point>, at: usize, value: f64) {
    match points.get_mut(at) {
        Some(point) => *point = point.plus(Point::of(value)),
        None => points.push(Point::of(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn curves(most: usize, lines: usize) -> Curves {
        let mut curves = Curves { most, stride: 1, ..Curves::default() };
        for step in 1..=lines {
            let even = if step % 2 == 0 { json!(step) } else { json!(null) };
            curves.add(&json!({"step": step, "loss": step, "even": even}));
        }
        curves
    }

    #[test]
    fn points_are_bounded_and_keep_mean_range_and_sum() {
        for lines in [1, 7, 64, 1000, 12_345] {
            let found = curves(50, lines);
            assert!(found.steps.len() <= 102, "{lines}: {}", found.steps.len());
            let loss: Vec<Point> = found.series["loss"].iter().copied().flatten().collect();
            let (low, high) = (loss[0].low, loss.last().unwrap().high);
            assert_eq!((low, high, found.lines), (1.0, lines as f64, lines));
            assert_eq!(found.sums["loss"], (lines * (lines + 1) / 2) as f64);
            assert_eq!(loss.iter().map(|p| p.count).sum::<u32>(), lines as u32);
            // Values and steps of a point belong to the same lines.
            for (step, point) in found.steps.iter().zip(&found.series["loss"]) {
                assert_eq!(step.mean(), point.unwrap().mean());
            }
        }
    }

    #[test]
    fn a_value_that_is_missing_is_a_gap_and_counted() {
        let found = curves(50, 9);
        assert_eq!(
            found.series["even"].iter().map(Option::is_some).collect::<Vec<_>>(),
            [false, true, false, true, false, true, false, true]
        );
        assert_eq!(found.lost["even"], 5);
    }
}
