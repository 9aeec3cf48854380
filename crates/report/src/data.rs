//! The page's data: what its script draws from.

use crate::charts::charts;
use crate::curves::{Curves, Point};
use crate::folder::Run;
use crate::snapshots::Rollout;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use vigos_recording::rounded;

/// Version of the data's form.
const VERSION: u32 = 1;

/// The data of some runs as JSON that can stand inside of a page: what could end its element is written as an escape.
pub(crate) fn data(runs: &[Run]) -> String {
    let mut table = Table::default();
    let shown: Vec<Value> = runs.iter().map(|run| of_run(run, &mut table)).collect();
    let curves: Vec<&Curves> = runs.iter().filter_map(|run| run.curves.as_ref()).collect();
    let data = json!({
        "version": VERSION,
        "runs": shown,
        "charts": charts(&curves),
        "texts": table.texts.values,
        "pictures": table.pictures.values,
    });
    data.to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

fn of_run(run: &Run, table: &mut Table) -> Value {
    let curves = run.curves.as_ref();
    let steps = curves.map_or_else(Vec::new, |c| c.steps.iter().map(|s| rounded(s.mean())).collect());
    let series = curves.map_or_else(Map::new, |c| {
        c.series.iter().map(|(name, s)| (name.clone(), of_series(c, s))).collect()
    });
    json!({
        "name": run.name,
        "steps": steps,
        "series": series,
        "rollouts": run.snapshots.rollouts.iter().map(|rollout| table.rollout(rollout)).collect::<Vec<_>>(),
        "recorded": run.snapshots.recorded,
        "evaluations": run.evaluations,
        "leakage": run.leakage,
    })
}

/// A curve's means; where points stand for several lines its range too.
fn of_series(curves: &Curves, points: &[Option<Point>]) -> Value {
    let column = |of: &dyn Fn(&Point) -> f64| {
        let known =
            points.iter().map(|point| point.as_ref().map(|p| json!(rounded(of(p)))).unwrap_or_default());
        known.chain(std::iter::repeat(Value::Null)).take(curves.steps.len()).collect::<Vec<_>>()
    };
    let mut series = json!({"mean": column(&Point::mean)});
    if curves.is_thinned() {
        series["low"] = column(&|p| p.low).into();
        series["high"] = column(&|p| p.high).into();
    }
    series
}

/// Texts and pictures that occur again and again, each once.
#[derive(Default)]
struct Table {
    texts: Shared,
    pictures: Shared,
}

#[derive(Default)]
struct Shared {
    places: HashMap<String, usize>,
    values: Vec<String>,
}

impl Shared {
    fn place(&mut self, text: &str) -> usize {
        if let Some(place) = self.places.get(text) {
            return *place;
        }
        self.values.push(text.to_owned());
        self.places.insert(text.to_owned(), self.values.len() - 1);
        self.values.len() - 1
    }
}

impl Table {
    /// A rollout whose questions, prompts and pictures are places in this table.
    fn rollout(&mut self, rollout: &Rollout) -> Value {
        let mut value = serde_json::to_value(rollout).unwrap_or_default();
        let place = |shared: &mut Shared, value: &mut Value| {
            *value = json!(shared.place(value.as_str().unwrap_or_default()));
        };
        place(&mut self.texts, &mut value["problem"]);
        for prompt in value["prompts"].as_array_mut().into_iter().flatten() {
            place(&mut self.texts, &mut prompt["text"]);
        }
        for picture in value["images"].as_array_mut().into_iter().flatten() {
            place(&mut self.pictures, picture);
        }
        value
    }
}
