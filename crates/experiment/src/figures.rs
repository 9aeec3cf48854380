//! Which pictures there are, and what is in each.

use crate::plot::{Bar, Bars, Figure, Group, Key, Level, Lines, Panel, Point, Series};
use crate::results::{Results, RunResults, StepResults, Term};
use std::collections::BTreeMap;
use vigos_eval::Mean;

/// A picture and the name of its files.
pub(crate) struct Picture {
    pub(crate) name: &'static str,
    pub(crate) title: String,
    pub(crate) figure: Figure,
}

/// A measure of an evaluation, from 0 to 1.
type Measure<'a> = (String, Box<dyn Fn(&StepResults) -> Option<f64> + 'a>);

/// Those that there are results for.
pub(crate) fn pictures(results: &Results) -> Vec<Picture> {
    let measures = measures(results);
    let mut pictures = Vec::new();
    let mut add = |name, title: &str, figure: Option<Figure>| {
        pictures.extend(figure.map(|figure| Picture { name, title: title.to_owned(), figure }));
    };
    let names = measures.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(" and ");
    add("score", &format!("{names} over training"), over_steps(results, &measures));
    add("palr", "PALR of the trained student", leakage(results));
    add("losses", "Losses over training, mean over seeds", losses(results));
    add("clipped", "Clipped tokens over training, mean over seeds", clipped(results));
    if let (Some(sweep), Some(measure)) = (&results.sweep, measures.first()) {
        let title = format!("{} against {}", measure.0, lower(&sweep.title));
        add("sweep", &title, swept(results, measure));
    }
    pictures
}

/// Score and Prior of the first wording; without a prior suite the accuracy.
fn measures(results: &Results) -> Vec<Measure<'_>> {
    match results.wordings().into_iter().next() {
        None => vec![("Accuracy".into(), Box::new(|step| Some(step.accuracy.value)))],
        Some(wording) => {
            let other = wording.clone();
            vec![
                (format!("Score ({wording})"), Box::new(move |step: &StepResults| step.score_of(&wording))),
                (format!("Prior ({other})"), Box::new(move |step: &StepResults| step.prior_of(&other))),
            ]
        }
    }
}

fn over_steps(results: &Results, measures: &[Measure]) -> Option<Figure> {
    let panel = |(name, of): &Measure| {
        let series = trained(results).map(|(style, _, runs)| {
            let mut steps: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
            for step in runs.iter().flat_map(|run| &run.steps) {
                steps.entry(step.step).or_default().extend(of(step));
            }
            let points = steps.into_iter().filter_map(|(step, values)| point(step as f64, &values, 100.0));
            Series { style, points: points.collect() }
        });
        let levels = untrained(results)
            .filter_map(|(style, _, run)| Some(Level { style, y: 100.0 * of(run.last()?)? }));
        Panel {
            title: name.clone(),
            x: "step".into(),
            y: "right answers, %".into(),
            series: series.collect(),
            levels: levels.collect(),
            ticks: None,
            // The same for all, so that they can be held against each other.
            top: Some(100.0),
        }
    };
    let panels: Vec<Panel> = measures.iter().map(panel).collect();
    lines(panels, keys(results, |_| true), true)
}

fn swept(results: &Results, (name, of): &Measure) -> Option<Figure> {
    let sweep = results.sweep.as_ref()?;
    let series = trained(results).filter(|(_, name, _)| sweep.methods.iter().any(|m| m == name));
    let series = series.map(|(style, name, _)| {
        let points = sweep.values.iter().filter_map(|value| {
            let values: Vec<f64> = sweep.at(name, *value).filter_map(|cell| of(&cell.end)).collect();
            point(value.number(), &values, 100.0)
        });
        let mut points: Vec<Point> = points.collect();
        points.sort_by(|a, b| a.x.total_cmp(&b.x));
        Series { style, points }
    });
    let levels =
        untrained(results).filter_map(|(style, _, run)| Some(Level { style, y: 100.0 * of(run.last()?)? }));
    let panel = Panel {
        title: String::new(),
        x: sweep.title.clone(),
        y: format!("{name}, %"),
        series: series.collect(),
        levels: levels.collect(),
        ticks: Some(sweep.values.iter().map(|value| value.number()).collect()),
        top: None,
    };
    let shown = |method: &str| sweep.methods.iter().any(|m| m == method);
    lines(vec![panel], keys(results, shown), true)
}

fn losses(results: &Results) -> Option<Figure> {
    let of = |term: &Term| term.loss.filter(|_| term.tokens > 0);
    terms(results, "mean clipped divergence, nats", 1.0, of)
}

fn clipped(results: &Results) -> Option<Figure> {
    let of = |term: &Term| (term.tokens > 0).then(|| term.clipped as f64 / term.tokens as f64);
    terms(results, "tokens above the clip, %", 100.0, of)
}

/// A panel for each loss that some method has, a line for each method that has it.
fn terms(results: &Results, y: &str, scale: f64, of: impl Fn(&Term) -> Option<f64>) -> Option<Figure> {
    let mut names: Vec<&String> = Vec::new();
    for name in results.runs.iter().flat_map(|run| &run.metrics).flat_map(|line| line.terms.keys()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names.sort();
    let panel = |name: &&String| {
        let series = trained(results).map(|(style, _, runs)| {
            let mut steps: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
            for line in runs.iter().flat_map(|run| &run.metrics) {
                steps.entry(line.step).or_default().extend(line.terms.get(*name).and_then(&of));
            }
            let points = steps.into_iter().filter_map(|(step, values)| point(step as f64, &values, scale));
            // A band for every step and method would hide the lines.
            Series { style, points: points.map(|point| Point { error: None, ..point }).collect() }
        });
        Panel {
            title: (**name).clone(),
            x: "step".into(),
            y: y.to_owned(),
            series: series.filter(|series| !series.points.is_empty()).collect(),
            levels: Vec::new(),
            ticks: None,
            top: None,
        }
    };
    let panels: Vec<Panel> = names.iter().map(panel).collect();
    let mut keys = keys(results, |_| true);
    keys.retain(|key| key.trained);
    lines(panels, keys, false)
}

fn leakage(results: &Results) -> Option<Figure> {
    let group = |title: &str, of: fn(&crate::results::Leakage) -> f64| {
        let bars = trained(results).filter_map(|(style, _, runs)| {
            let values: Vec<f64> =
                runs.iter().filter_map(|run| run.palr.as_ref()).filter(|p| p.valid > 0).map(of).collect();
            let mean = Mean::of(&values);
            (mean.n > 0).then_some(Bar { style, value: mean.value, error: mean.standard_error })
        });
        Group { title: title.to_owned(), bars: bars.collect() }
    };
    let groups = vec![
        group("description (T_d)", |palr| palr.description.value),
        group("reasoning and answer (T_ra)", |palr| palr.reasoning_answer.value),
        group("all tokens (T_y)", |palr| palr.completion.value),
    ];
    if groups.iter().all(|group| group.bars.is_empty()) {
        return None;
    }
    let shown: Vec<usize> = groups.iter().flat_map(|group| &group.bars).map(|bar| bar.style).collect();
    let mut keys = keys(results, |_| true);
    keys.retain(|key| key.trained && shown.contains(&key.style));
    Some(Figure::Bars(Bars { y: "PALR".into(), keys, groups }))
}

/// The trained methods with their finished runs; a method's style is its place among them.
fn trained(results: &Results) -> impl Iterator<Item = (usize, &str, Vec<&RunResults>)> {
    let methods = results.methods.iter().filter(|method| method.trained).enumerate();
    methods.map(|(style, method)| (style, method.name.as_str(), results.of(&method.name).collect()))
}

/// The methods that are not trained, with their evaluation.
fn untrained(results: &Results) -> impl Iterator<Item = (usize, &str, &RunResults)> {
    let methods = results.methods.iter().filter(|method| !method.trained).enumerate();
    methods
        .filter_map(|(style, method)| Some((style, method.name.as_str(), results.of(&method.name).next()?)))
}

/// The legend, in the methods' order; of the trained ones those that `shown` takes.
fn keys(results: &Results, shown: impl Fn(&str) -> bool) -> Vec<Key> {
    let (mut trained, mut untrained) = (0, 0);
    let mut keys = Vec::new();
    for method in &results.methods {
        let count = if method.trained { &mut trained } else { &mut untrained };
        let style = *count;
        *count += 1;
        if !method.trained || shown(&method.name) {
            keys.push(Key { name: method.name.clone(), style, trained: method.trained });
        }
    }
    keys
}

fn lines(panels: Vec<Panel>, keys: Vec<Key>, markers: bool) -> Option<Figure> {
    let empty = |panel: &Panel| panel.series.iter().all(|series| series.points.is_empty());
    let panels: Vec<Panel> = panels.into_iter().filter(|panel| !empty(panel)).collect();
    if panels.is_empty() { None } else { Some(Figure::Lines(Lines { keys, panels, markers })) }
}

/// The mean of finite values at `x`.
fn point(x: f64, values: &[f64], scale: f64) -> Option<Point> {
    let values: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    let mean = Mean::of(&values);
    let error = mean.standard_error.map(|error| scale * error);
    (mean.n > 0).then_some(Point { x, y: scale * mean.value, error })
}

fn lower(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| first.to_lowercase().chain(chars).collect())
}
