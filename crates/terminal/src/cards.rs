//! Which models train on which cards, by the plan: a table of what a recipe takes with other models and other formats of
//! their weights.

use serde::Serialize;
use std::sync::Arc;
use vigos_models::Architecture;
use vigos_plan::Planned;
use vigos_plan::distillation::Plan;
use vigos_plan::fit::{Change, Forecast};
use vigos_recipe::{Precision, Quantize};
use vigos_rollout::base::kept;

/// Cards by their memory, in GB (10^9 bytes). A card of so many GiB has 7 % more, which is for its driver and the screen.
const CARDS: [u64; 6] = [8, 12, 16, 24, 48, 80];
/// Formats of the weights of a frozen base, by the keys that say so.
const FORMATS: [(&str, Quantize); 3] =
    [("bf16", Quantize::None), ("int8", Quantize::Int8), ("int4", Quantize::Int4)];

/// A model in a format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Row {
    /// Its name.
    pub model: String,
    /// `bf16`, or what `model.quantize` says.
    pub weights: &'static str,
    /// Most bytes that the recipe takes at once as it is.
    pub peak_bytes: u64,
    /// What each card is to it: of 8, 12, 16, 24, 48 and 80 GB.
    pub fits: [Fit; CARDS.len()],
}

/// What a card is to a model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// It fits as the recipe is.
    AsItIs,
    /// It fits with these settings.
    With(Vec<Change>),
    /// Nothing makes it fit.
    No,
}

/// What a recipe takes with these models, each with its plan and its name.
pub fn rows(models: &[(String, Plan, Arc<Architecture>)]) -> Vec<Row> {
    let of_model = |(model, plan, shape): &(String, Plan, Arc<Architecture>)| {
        FORMATS.map(|(weights, quantize)| {
            let plan = Plan { kept: kept(Precision::Bf16, quantize), ..plan.clone() };
            let fits = CARDS.map(|gigabytes| match plan.changes(shape, gigabytes * 1_000_000_000) {
                None => Fit::No,
                Some(changes) if changes.is_empty() => Fit::AsItIs,
                Some(changes) => Fit::With(changes),
            });
            Row { model: model.clone(), weights, peak_bytes: plan.estimate(shape).peak(), fits }
        })
    };
    models.iter().flat_map(of_model).collect()
}

/// The rows as a table in Markdown.
pub fn table(rows: &[Row]) -> String {
    let cards = CARDS.map(|gigabytes| format!("{gigabytes} GB"));
    let head =
        format!("| model | weights | takes | {} |\n|{}", cards.join(" | "), " --- |".repeat(3 + cards.len()));
    let line = |row: &Row| {
        let cells = row.fits.each_ref().map(|fit| match fit {
            Fit::AsItIs => "yes".to_owned(),
            Fit::With(changes) => {
                let settings: Vec<String> =
                    changes.iter().map(|change| format!("{}={}", change.key, change.value)).collect();
                settings.join(", ")
            }
            Fit::No => "no".to_owned(),
        });
        let takes = super::memory::bytes(row.peak_bytes);
        format!("\n| {} | {} | {takes} | {} |", row.model, row.weights, cells.join(" | "))
    };
    head + &rows.iter().map(line).collect::<String>()
}
