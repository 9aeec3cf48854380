//! Benchmarks one after the other, each in a folder of its own, and one table of them all.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use serde::{Deserialize, Serialize};
use vigos_recipe::resume::Run;
use vigos_rollout::agreed::{by_the_first, first_then_others, of_the_first};
use vigos_rollout::base::BaseFiles;
use vigos_rollout::{RunError, RunOptions};

use crate::evaluate::{begun, check, evaluate_with};
use crate::folder::{Finished, Folder, Observer, Options};
use crate::judging::VERDICTS;
use crate::named::Named;
use crate::report::{PriorSummary, Report};
use crate::tables::{Table, percent_mean};

/// The reports of benchmarks, by their names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Suites(pub BTreeMap<String, Report>);

/// Asks the student of a recipe the benchmarks of `eval.suites`, each as [`evaluate`](crate::evaluate()) does and in a
/// folder of its name below the run's, and writes `report.json` and `report.md` of them all. When `stop` is set it ends
/// without them. Items are those of the benchmark that it came to.
///
/// # Errors
/// As [`evaluate`](crate::evaluate()); whatever can be told before a benchmark is asked is told before the first is.
pub fn evaluate_suites(
    options: &Options,
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> Result<Finished<Suites>, RunError> {
    let Options { recipe, kit, device, run_dir, ranks, .. } = *options;
    let suites = Named::all(&recipe.eval.suites)?;
    let (folder, mut run) = Folder::open(options, "samples.jsonl", Run::Eval)?;
    let mut fetching = |file: &str, bytes, size| observer.fetching(file, bytes, size);
    let model = first_then_others(ranks, || {
        check(recipe, &kit.sources, &mut fetching)?;
        Ok(BaseFiles::open(recipe, kit, &mut fetching)?.load(device, &mut fetching)?.model)
    })?;
    Folder::begin(&mut run, options)?;

    let mut reports = BTreeMap::new();
    let (mut items, mut total) = (0, 0);
    for (suite, entry) in suites.iter().zip(&recipe.eval.suites) {
        observer.note(&format!("suite {}", suite.name));
        let mut recipe = recipe.clone();
        recipe.eval.suites = vec![entry.clone()];
        // One folder of verdicts, and one limit, for all of them.
        recipe.eval.judge.cache.get_or_insert_with(|| run_dir.join(VERDICTS));
        let run_dir = run_dir.join(suite.name);
        let resumes = of_the_first(ranks, || begun(&run_dir, &recipe))?;
        let one =
            RunOptions { recipe: &recipe, run_dir: &run_dir, overrides: &[], ..*options }.resumed(resumes);
        let finished = evaluate_with(&one, Some(model.clone()), observer, stop)?;
        (items, total) = (finished.items, finished.total);
        let Some(report) = finished.report else { return Ok(Finished { items, total, report: None }) };
        reports.insert(suite.name.to_owned(), report);
    }
    let report = Suites(reports);
    by_the_first(ranks, || folder.report(&report, &report.markdown()), || Ok(()))?;
    Ok(Finished { items, total, report: Some(report) })
}

impl Suites {
    /// One table: a line a benchmark, of a prior suite a line each for Score and Prior.
    pub fn markdown(&self) -> String {
        let Some(first) = self.0.values().next() else { return String::new() };
        let (k, samples) = (first.settings.k, first.settings.samples);
        let mut table = Table::new(&[
            "suite".into(),
            "items".into(),
            format!("Pass@{k} %"),
            format!("Avg@{samples} %"),
            "authors' average %".into(),
            "left out".into(),
        ]);
        let none = || "–".to_owned();
        for (name, report) in &self.0 {
            let left_out: usize = report.skipped.values().sum();
            for (wording, PriorSummary { score, prior }) in &report.prior {
                for (measure, mean) in [("Score", score), ("Prior", prior)] {
                    let of = format!("{name}, {wording}: {measure}");
                    let triples = mean.n.to_string();
                    table.row(&[of, triples, none(), percent_mean(mean), none(), left_out.to_string()]);
                }
            }
            if let Some(vlind) = &report.vlind {
                for (measure, mean) in vlind.measures() {
                    let of = format!("{name}: {measure}");
                    let cells =
                        [mean.n.to_string(), none(), percent_mean(&mean), none(), left_out.to_string()];
                    table.row(&[vec![of], cells.to_vec()].concat());
                }
            } else if report.prior.is_empty() {
                let overall = &report.overall;
                table.row(&[
                    name.clone(),
                    overall.average.n.to_string(),
                    percent_mean(&overall.pass),
                    percent_mean(&overall.average),
                    percent_mean(report.weighed.as_ref().unwrap_or(&overall.average)),
                    left_out.to_string(),
                ]);
            }
        }
        let mut text = format!("# Suites\n\n{samples} samples an item. ± is the standard error.\n\n");
        text += &table.markdown();
        text
    }
}
