//! A comparison for people.

use super::Comparison;
use super::answers::{Disagreement, Pair, Side};
use super::metrics::{Metric, Summed};
use crate::tables::{Table, percent_mean};
use serde_json::Value;
use std::path::Path;
use vigos_core::text::one_line;

/// Most questions that a table tells of.
const MOST_TOLD: usize = 10;
/// Most characters of a cell.
const WIDEST: usize = 60;

impl Comparison {
    /// All of it as tables; a metric of clocks and sizes, or one that all runs share, is in the JSON alone.
    pub fn markdown(&self) -> String {
        let names: Vec<String> = self.runs.iter().enumerate().map(|(run, path)| name(run, path)).collect();
        let mut text = String::from("# Runs\n\n");
        for (name, path) in names.iter().zip(&self.runs) {
            text += &format!("- {name}: `{}`\n", path.display());
        }
        text += "\n## Recipes\n\n";
        text +=
            &if self.recipe.is_empty() { "They are the same.\n".to_owned() } else { self.recipes(&names) };
        let told: Vec<&Metric> = self.metrics.iter().filter(|metric| is_told(&metric.name)).collect();
        if !told.is_empty() {
            text +=
                &format!("\n## Metrics\n\nlast, mean and best of all steps\n\n{}", metrics(&told, &names));
        }
        for pair in &self.pairs {
            text += &pair.text(&names);
        }
        if self.pairs.is_empty() {
            text += "\n## Answers\n\nNo two of them have an evaluation to compare.\n";
        }
        text
    }

    fn recipes(&self, names: &[String]) -> String {
        let mut table = Table::new(&head("key", names));
        for difference in &self.recipe {
            let values = difference.values.iter().map(|value| match value {
                None => "–".to_owned(),
                Some(Value::String(text)) => cell(text),
                Some(value) => cell(&value.to_string()),
            });
            table.row(&std::iter::once(difference.key.clone()).chain(values).collect::<Vec<_>>());
        }
        table.markdown()
    }
}

impl Pair {
    fn text(&self, names: &[String]) -> String {
        let (first, this) = (label(names, 0), label(names, self.run));
        let mut text = format!("\n## Answers of {this} beside {first}\n\n");
        if self.items == 0 {
            return text + "They were asked no question in common.\n";
        }
        let mut table =
            Table::new(&["".into(), first.clone(), this.clone(), "difference".into(), "95 %".into()]);
        let interval = self
            .interval
            .map_or("–".to_owned(), |(low, high)| format!("{:+.2} to {:+.2}", 100.0 * low, 100.0 * high));
        table.row(&[
            "accuracy, %".into(),
            percent_mean(&self.first),
            percent_mean(&self.this),
            format!("{:+.2}", 100.0 * self.difference),
            interval,
        ]);
        text += &table.markdown();
        text += &format!(
            "\n{} items of both; {this} is right more often on {}, {first} on {}.",
            self.items, self.better, self.worse
        );
        if self.unpaired > 0 {
            text += &format!(" {} items of one of them alone are left out.", self.unpaired);
        }
        text += " The interval is a paired bootstrap's over items.\n";
        if !self.disagreements.is_empty() {
            let mut table = Table::new(&["item".into(), "question".into(), "reference".into(), first, this]);
            for Disagreement { id, problem, answer, first, this } in self.disagreements.iter().take(MOST_TOLD)
            {
                table.row(&[cell(id), cell(problem), cell(answer), said(first), said(this)]);
            }
            text += &format!("\n{}", table.markdown());
            let more = (self.better + self.worse).saturating_sub(MOST_TOLD);
            if more > 0 {
                text += &format!("\n{more} more differ.\n");
            }
        }
        text
    }
}

/// Clocks and counters say nothing of how a run went.
fn is_told(name: &str) -> bool {
    !["seconds", "tokens_per_second", "samples_per_second", "skipped", "epoch"]
        .iter()
        .any(|part| name.split('/').any(|piece| piece == *part))
}

fn metrics(metrics: &[&Metric], names: &[String]) -> String {
    let mut table = Table::new(&head("metric", names));
    for metric in metrics {
        let values = metric.runs.iter().map(|summed| match summed {
            None => "–".to_owned(),
            Some(Summed { last, mean, best: Some(best), .. }) => {
                format!("{}, {}, {}", number(*last), number(*mean), number(*best))
            }
            Some(Summed { last, mean, .. }) => format!("{}, {}, –", number(*last), number(*mean)),
        });
        table.row(&std::iter::once(metric.name.clone()).chain(values).collect::<Vec<_>>());
    }
    table.markdown()
}

fn said(side: &Side) -> String {
    let predicted = side.predicted.as_deref().map_or("no box".to_owned(), cell);
    format!("{predicted} ({:.0} %)", 100.0 * side.right)
}

/// Four digits that count.
fn number(value: f64) -> String {
    if value == 0.0 || (1e-3..1e5).contains(&value.abs()) {
        format!("{value:.4}")
    } else {
        format!("{value:.3e}")
    }
}

fn head(first: &str, names: &[String]) -> Vec<String> {
    std::iter::once(first.to_owned()).chain(names.iter().cloned()).collect()
}

/// What a run is called: its place, and its folder's name.
fn name(run: usize, path: &Path) -> String {
    let folder = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    format!("{} {}", run + 1, one_line(&folder, 40))
}

fn label(names: &[String], run: usize) -> String {
    names.get(run).cloned().unwrap_or_default()
}

fn cell(text: &str) -> String {
    one_line(text, WIDEST).into_owned()
}
