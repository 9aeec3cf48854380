//! Which metrics are drawn together, and what the picture is called.

use crate::curves::Curves;
use crate::glossary;
use crate::names::fits;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A picture of some metrics.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Chart {
    /// Its heading.
    pub(crate) title: &'static str,
    /// What a value is in.
    unit: &'static str,
    /// What it says.
    about: String,
    /// Its lines: the metric, and what it is called here.
    pub(crate) lines: Vec<[String; 2]>,
}

/// A picture that may be drawn: its heading, its unit, and the metrics in it. `*` stands for one part of a name.
type Plan = (&'static str, &'static str, &'static [&'static str]);

const PLANS: &[Plan] = &[
    ("Loss", "nats a token", &["loss"]),
    ("Divergence by teacher", "nats a token", &["terms/*/kl"]),
    ("Loss by teacher", "nats a token", &["terms/*/loss"]),
    ("Clipped tokens by teacher", "share", &["terms/*/clipped_share"]),
    ("Supervised tokens by teacher", "tokens a step", &["terms/*/tokens"]),
    (
        "Output format kept",
        "share of rollouts",
        &["valid_rate", "description_rate", "reasoning_rate", "no_tag_rate"],
    ),
    ("Answers that agree with the reference", "share of rollouts", &["accuracy"]),
    ("Most probable token is the one to learn", "share of tokens", &["token_accuracy"]),
    ("Length of a completion", "tokens", &["lengths/mean", "lengths/max"]),
    ("Completions cut off", "share of rollouts", &["lengths/truncated"]),
    ("Tokens by part", "share of tokens", &["span_share/*"]),
    ("Gradient norm before clipping", "norm", &["grad_norm"]),
    ("Learning rate", "", &["lr"]),
    ("Speed by phase", "tokens a second", &["tokens_per_second/*"]),
    ("Speed", "samples a second", &["samples_per_second"]),
    ("Time of a step by phase", "seconds", &["seconds/*", "seconds"]),
    ("Samples left out so far", "samples", &["skipped/*"]),
];

/// The pictures of the metrics that any of these runs has.
pub(crate) fn charts(runs: &[&Curves]) -> Vec<Chart> {
    let mut names: BTreeSet<&str> =
        runs.iter().flat_map(|run| run.series.keys().map(String::as_str)).collect();
    let mut charts = Vec::new();
    for (title, unit, patterns) in PLANS {
        let mut lines: BTreeMap<usize, Vec<[String; 2]>> = BTreeMap::new();
        for name in names.clone() {
            let Some(order) = patterns.iter().position(|pattern| fits(pattern, name)) else { continue };
            names.remove(name);
            lines.entry(order).or_default().push([name.to_owned(), label(patterns[order], name)]);
        }
        let lines: Vec<[String; 2]> = lines.into_values().flatten().collect();
        if let Some([first, _]) = lines.first() {
            let about = glossary::entry(first).map_or(String::new(), |entry| entry.what.replace('`', ""));
            charts.push(Chart { title, unit, about, lines });
        }
    }
    // Counts that a share is made of, and how far the run is, are drawn nowhere.
    names.retain(|name| {
        !fits("terms/*/clipped", name) && !["epoch", "fallback_rate", "tokens"].contains(name)
    });
    let rest = names.into_iter().map(|name| [name.to_owned(), name.to_owned()]);
    charts.extend(rest.map(|line| Chart {
        title: "Another number of this run",
        unit: "",
        about: line[0].clone(),
        lines: vec![line],
    }));
    charts
}

/// What a metric is called in a picture: the part that differs, or its last part.
fn label(pattern: &str, name: &str) -> String {
    let part = match pattern.split_once('*') {
        Some((before, after)) => name.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)),
        None => name.rsplit('/').next(),
    };
    part.unwrap_or(name).replace('_', " ")
}
