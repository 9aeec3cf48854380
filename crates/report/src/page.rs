//! The page: template, style, script and data in one file that may fetch nothing.

use crate::data::data;
use crate::error::ReportError;
use crate::evaluation::{Estimate, Evaluations};
use crate::facts::Fact;
use crate::folder::Run;
use crate::leakage::Leakage;
use crate::limits::Limits;
use crate::verdict::{Verdict, digits, duration, percent, seconds};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use minijinja::value::{Serde, Value};
use minijinja::{Environment, context};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use vigos_core::files::write_atomic_bytes;

const TEMPLATE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");
/// A page that is too large is made anew with half the rollouts, so often at most.
const ATTEMPTS: u32 = 5;

/// What the template shows of a run.
#[derive(Serialize)]
struct Shown {
    name: String,
    folder: String,
    verdict: Verdict,
    facts: Vec<Fact>,
    tiles: Vec<[String; 2]>,
    costs: Vec<Cost>,
    evaluation: Option<ShownTable>,
    leakage: Vec<[String; 3]>,
    kept: Vec<String>,
    notes: Vec<String>,
    recipe: String,
}

/// A phase of a run.
#[derive(Serialize)]
struct Cost {
    phase: String,
    time: String,
    share: String,
    tokens: String,
    /// Percent of the time, for a bar.
    percent: u32,
}

/// The table of evaluations.
#[derive(Serialize)]
struct ShownTable {
    data: String,
    names: Vec<String>,
    rows: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    name: String,
    values: Vec<String>,
    change: String,
    /// `up`, `down` or nothing where the change is within its error.
    sign: &'static str,
}

/// The page of some runs.
///
/// # Errors
/// If a folder has nothing of a run in it, or there are too many.
pub fn page(runs: &[PathBuf], limits: &Limits) -> Result<String, ReportError> {
    fitted(runs, limits, "")
}

/// The same page for one who serves it: `script`, his own, runs after the page's, and may ask the page's server.
///
/// # Errors
/// As [`page`].
pub fn served_page(runs: &[PathBuf], limits: &Limits, script: &str) -> Result<String, ReportError> {
    fitted(runs, limits, script)
}

/// The page, with fewer rollouts where it would be too large.
fn fitted(runs: &[PathBuf], limits: &Limits, served: &str) -> Result<String, ReportError> {
    if runs.len() > Limits::RUNS {
        return Err(ReportError::TooMany { found: runs.len(), most: Limits::RUNS });
    }
    let mut limits = *limits;
    let most = limits.bytes;
    let mut page = String::new();
    for _ in 0..ATTEMPTS {
        let opened =
            runs.iter().map(|run| Run::open(run, &limits, runs.len())).collect::<Result<Vec<_>, _>>()?;
        page = render(&opened, served)?;
        if page.len() <= most {
            break;
        }
        limits.bytes /= 2;
        limits.points /= 2;
    }
    Ok(page)
}

/// Makes the page of some runs and writes it; gives its size in bytes.
///
/// # Errors
/// As [`page`], and if the file cannot be written.
pub fn write(runs: &[PathBuf], out: &Path, limits: &Limits) -> Result<usize, ReportError> {
    let page = page(runs, limits)?;
    write_atomic_bytes(out, page.as_bytes())?;
    Ok(page.len())
}

fn render(runs: &[Run], served: &str) -> Result<String, ReportError> {
    let failed = |error: minijinja::Error| ReportError::Template(format!("{error:#}"));
    let mut environment = Environment::new();
    environment.add_template("page.html", TEMPLATE).map_err(failed)?;
    let template = environment.get_template("page.html").map_err(failed)?;
    let names: Vec<&str> = runs.iter().map(|run| run.name.as_str()).collect();
    let shown: Vec<Shown> = runs.iter().map(Shown::of).collect();
    let rendered = template.render(context! {
        title => names.join(", "),
        policy => policy(served),
        style => STYLE,
        script => SCRIPT,
        served => served,
        data => data(runs),
        written => jiff::Zoned::now().strftime("%Y-%m-%d %H:%M %Z").to_string(),
        version => env!("CARGO_PKG_VERSION"),
        runs => Value::from(Serde(&shown)),
        has_rollouts => runs.iter().any(|run| !run.snapshots.rollouts.is_empty()),
        has_curves => runs.iter().any(|run| run.curves.is_some()),
        has_items => runs.iter().any(|run| run.evaluations.as_ref().is_some_and(|e| !e.items.is_empty())),
        has_leakage => runs.iter().any(|run| run.leakage.is_some()),
    });
    rendered.map_err(failed)
}

/// What the page may do: run this script, take this style, show pictures that are in it, and nothing else. With a server's
/// script it may run that too, and ask that server.
fn policy(served: &str) -> String {
    let hash = |text: &str| STANDARD.encode(Sha256::digest(text.as_bytes()));
    let (script, connect) = match served {
        "" => (String::new(), ""),
        script => (format!(" 'sha256-{}'", hash(script)), "connect-src 'self'; "),
    };
    format!(
        "default-src 'none'; script-src 'sha256-{}'{script}; style-src 'sha256-{}'; img-src data:; {connect}\
         base-uri 'none'; form-action 'none'",
        hash(SCRIPT),
        hash(STYLE)
    )
}

impl Shown {
    fn of(run: &Run) -> Self {
        Self {
            name: run.name.clone(),
            folder: crate::visible::visible(&run.folder.display().to_string(), 300),
            verdict: Verdict::of(run),
            facts: run.facts.clone(),
            tiles: tiles(run),
            costs: costs(run),
            evaluation: run.evaluations.as_ref().map(ShownTable::of),
            leakage: run.leakage.as_ref().map_or_else(Vec::new, leakage),
            kept: run.kept.clone(),
            notes: run.notes.clone(),
            recipe: run.recipe.text.clone(),
        }
    }
}

/// The few numbers that one looks at first.
fn tiles(run: &Run) -> Vec<[String; 2]> {
    let Some(curves) = &run.curves else { return Vec::new() };
    let mut tiles =
        vec![["steps".into(), curves.last_step().map_or_else(String::new, |step| step.to_string())]];
    let mut change = |name: &str, what: &str, shown: &dyn Fn(f64) -> String| {
        if let Some((first, last)) = curves.ends(name) {
            tiles.push([what.to_owned(), format!("{} → {}", shown(first), shown(last))]);
        }
    };
    change("loss", "loss", &digits);
    change("valid_rate", "valid format", &|v| format!("{} %", percent(v)));
    change("accuracy", "agree with the reference", &|v| format!("{} %", percent(v)));
    change("token_accuracy", "tokens predicted", &|v| format!("{} %", percent(v)));
    tiles.push(["computing".into(), duration(seconds(curves))]);
    tiles
}

fn costs(run: &Run) -> Vec<Cost> {
    let Some(curves) = &run.curves else { return Vec::new() };
    let all = seconds(curves).max(1e-9);
    let phases = ["rollout", "scoring", "update"].into_iter().filter_map(|phase| {
        let time = *curves.sums.get(&format!("seconds/{phase}"))?;
        let tokens = curves.work.get(phase).map_or_else(String::new, |tokens| format!("{tokens:.0}"));
        Some((phase, time, tokens))
    });
    let cost = |(phase, time, tokens): (&str, f64, String)| Cost {
        phase: phase.into(),
        time: duration(time),
        share: format!("{} %", percent(time / all)),
        tokens,
        percent: (100.0 * time / all).round().clamp(0.0, 100.0) as u32,
    };
    phases.map(cost).collect()
}

fn leakage(found: &Leakage) -> Vec<[String; 3]> {
    let parts = found.parts.iter();
    parts
        .map(|part| [part.name.into(), estimate(part.value, part.error, true), part.tokens.to_string()])
        .collect()
}

/// A value with its standard error.
fn estimate(value: f64, error: Option<f64>, share: bool) -> String {
    let shown = |value: f64| if share { format!("{:.2}", 100.0 * value) } else { format!("{value:.1}") };
    match error {
        Some(error) => format!("{} ± {}", shown(value), shown(error)),
        None => shown(value),
    }
}

impl ShownTable {
    fn of(found: &Evaluations) -> Self {
        let rows = found.rows.iter().map(|measure| {
            let shown =
                |v: &Option<Estimate>| v.map_or("–".into(), |v| estimate(v.value, v.error, measure.share));
            let values = measure.values.iter().map(shown).collect();
            let unit = if measure.share { ", %" } else { "" };
            let (change, sign) = match measure.values.as_slice() {
                [Some(first), .., Some(last)] => change(*first, *last, measure.share),
                _ => (String::new(), ""),
            };
            Row { name: format!("{}{unit}", measure.name), values, change, sign }
        });
        Self { data: found.data.clone(), names: found.names.clone(), rows: rows.collect() }
    }
}

/// A change, and whether it is more than its error.
fn change(first: Estimate, last: Estimate, share: bool) -> (String, &'static str) {
    let difference = last.value - first.value;
    let scale = if share { 100.0 } else { 1.0 };
    let error = first.error.unwrap_or(0.0).hypot(last.error.unwrap_or(0.0));
    let sign = match difference {
        _ if !share || difference.abs() <= 2.0 * error => "",
        up if up > 0.0 => "up",
        _ => "down",
    };
    (format!("{:+.1}", scale * difference), sign)
}
