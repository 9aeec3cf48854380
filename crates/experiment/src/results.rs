//! What the finished runs wrote, in one place: `results.json`.

use crate::error::ExperimentError;
use crate::plan::{Done, Plan, Run, State, evaluation};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use vigos_core::files::read_limited;
use vigos_core::jsonl::{LastLine, ReadOptions, read_lines};
use vigos_eval::palr::{Palr, PalrReport};
use vigos_eval::{Mean, Report};
use vigos_recipe::experiment::{Dial, Experiment};

/// Reports are small: kinds and wordings are few.
const LARGEST_REPORT: u64 = 1 << 24;

/// The results of an experiment. Nothing in it depends on where or when the runs were made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Results {
    /// The experiment's heading.
    pub title: String,
    /// The recipe.
    pub recipe: PathBuf,
    /// Runs that are done.
    pub done: usize,
    /// Runs of the experiment.
    pub total: usize,
    /// The seeds.
    pub seeds: Vec<u64>,
    /// The methods, in their order.
    pub methods: Vec<MethodName>,
    /// The table's finished runs.
    pub runs: Vec<RunResults>,
    /// The sweep.
    pub sweep: Option<SweepResults>,
}

/// A method.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MethodName {
    /// Its name.
    pub name: String,
    /// Whether it is trained.
    pub trained: bool,
}

/// A finished run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunResults {
    /// The method's name.
    pub method: String,
    /// Its seed.
    pub seed: Option<u64>,
    /// Its evaluations, step 0 first.
    pub steps: Vec<StepResults>,
    /// Its leakage.
    pub palr: Option<Leakage>,
    /// Its training, step by step.
    pub metrics: Vec<Metrics>,
}

/// An evaluation. Shares are from 0 to 1; errors are over items or triples.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StepResults {
    /// Steps trained before it.
    pub step: usize,
    /// Share of completions in the output format.
    pub valid: f64,
    /// Share of right answers.
    pub accuracy: Mean,
    /// Score of each wording.
    pub score: BTreeMap<String, Mean>,
    /// Prior of each wording.
    pub prior: BTreeMap<String, Mean>,
    /// Mean length of a completion.
    pub tokens: f64,
}

/// PALR of a run's last adapter.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Leakage {
    /// Rollouts.
    pub items: usize,
    /// Those in the output format, which count.
    pub valid: usize,
    /// Over T_d.
    pub description: Palr,
    /// Over T_ra.
    pub reasoning_answer: Palr,
    /// Over T_y.
    pub completion: Palr,
}

/// A line of a run's `metrics.jsonl`, without what a clock says. Numbers that are not finite are none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// The step, counted from 1.
    pub step: usize,
    /// The weighted sum of the losses.
    pub loss: Option<f64>,
    /// Each loss.
    pub terms: BTreeMap<String, Term>,
    /// Share of rollouts with the right answer.
    pub accuracy: Option<f64>,
    /// Share of rollouts that do not keep the output format.
    pub fallback_rate: Option<f64>,
    /// Norm of the gradient before clipping.
    pub grad_norm: Option<f64>,
}

/// One loss of a step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Term {
    /// Mean of the clipped divergence in nats.
    pub loss: Option<f64>,
    /// Mean of the divergence in nats.
    pub kl: Option<f64>,
    /// Tokens.
    pub tokens: usize,
    /// Tokens above their clip.
    pub clipped: usize,
}

/// The sweep's finished cells.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SweepResults {
    /// What the dial is.
    pub title: String,
    /// Its values.
    pub values: Vec<Dial>,
    /// The methods' names.
    pub methods: Vec<String>,
    /// A cell for each method, value and seed.
    pub cells: Vec<CellResults>,
}

/// A cell of the sweep: a method, a value and a seed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CellResults {
    /// The method's name.
    pub method: String,
    /// The value.
    pub value: Dial,
    /// The seed.
    pub seed: u64,
    /// The evaluation at the end.
    pub end: StepResults,
}

impl Results {
    /// Reads what the finished runs wrote.
    ///
    /// # Errors
    /// If a folder holds another run, or a file cannot be read.
    pub fn gather(config: &Experiment, plan: &Plan) -> Result<Self, ExperimentError> {
        let states = plan.runs.iter().map(|run| plan.state(run)).collect::<Result<Vec<_>, _>>()?;
        let name = |method: usize| config.methods.get(method).map(|m| m.name.clone()).unwrap_or_default();
        let mut runs = Vec::new();
        for (run, state) in plan.runs.iter().zip(&states) {
            if let (State::Done(done), None) = (state, run.value) {
                runs.push(run_results(plan, run, done, name(run.method))?);
            }
        }
        let mut cells = Vec::new();
        for cell in &plan.cells {
            let (Some(run), Some(State::Done(done))) = (plan.runs.get(cell.run), states.get(cell.run)) else {
                continue;
            };
            let Some(&last) = done.steps.last() else { continue };
            let end = step_results(&evaluation(&run.folder, last), last)?;
            cells.push(CellResults { method: name(cell.method), value: cell.value, seed: cell.seed, end });
        }
        let sweep = config.sweep.as_ref().map(|sweep| SweepResults {
            title: sweep.title.clone(),
            values: sweep.values.clone(),
            methods: config
                .methods
                .iter()
                .map(|m| m.name.clone())
                .filter(|n| sweep.methods.contains(n))
                .collect(),
            cells,
        });
        let methods = config.methods.iter().map(|m| MethodName { name: m.name.clone(), trained: m.train });
        Ok(Self {
            title: config.title.clone(),
            recipe: config.recipe.clone(),
            done: states.iter().filter(|state| matches!(state, State::Done(_))).count(),
            total: plan.runs.len(),
            seeds: config.seeds.clone(),
            methods: methods.collect(),
            runs,
            sweep,
        })
    }

    /// The finished runs of a method, in the seeds' order.
    pub fn of<'a>(&'a self, method: &'a str) -> impl Iterator<Item = &'a RunResults> + 'a {
        self.runs.iter().filter(move |run| run.method == method)
    }

    /// The wordings of the prior suite.
    pub fn wordings(&self) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        let cells = self.sweep.iter().flat_map(|sweep| &sweep.cells).map(|cell| &cell.end);
        for step in self.runs.iter().flat_map(|run| &run.steps).chain(cells) {
            found.extend(step.score.keys().filter(|w| !found.contains(w)).cloned().collect::<Vec<_>>());
        }
        found.sort();
        found
    }
}

impl SweepResults {
    /// The finished cells of a method at a value.
    pub fn at<'a>(&'a self, method: &'a str, value: Dial) -> impl Iterator<Item = &'a CellResults> + 'a {
        self.cells.iter().filter(move |cell| cell.method == method && cell.value == value)
    }
}

fn run_results(plan: &Plan, run: &Run, done: &Done, method: String) -> Result<RunResults, ExperimentError> {
    let mut steps = Vec::new();
    if let Some(start) = run.start.and_then(|start| plan.starts.get(start)) {
        steps.push(step_results(&start.folder, 0)?);
    }
    for &step in &done.steps {
        steps.push(step_results(&evaluation(&run.folder, step), step)?);
    }
    let palr = match run.palr {
        None => None,
        Some(_) => {
            let report: PalrReport = json(&run.diagnosis().join("report.json"))?;
            let PalrReport { items, valid, description, reasoning_answer, completion, .. } = report;
            Some(Leakage { items, valid, description, reasoning_answer, completion })
        }
    };
    let mut metrics = Vec::new();
    if run.seed.is_some() {
        let options = ReadOptions { last_line: LastLine::Dropped, ..ReadOptions::default() };
        for line in read_lines::<Metrics>(&run.folder.join("metrics.jsonl"), options)? {
            metrics.push(line?.1);
        }
    }
    Ok(RunResults { method, seed: run.seed, steps, palr, metrics })
}

fn step_results(folder: &Path, step: usize) -> Result<StepResults, ExperimentError> {
    let report: Report = json(&folder.join("report.json"))?;
    let suite = |of: fn(&vigos_eval::report::PriorSummary) -> Mean| {
        report.prior.iter().map(|(wording, summary)| (wording.clone(), of(summary))).collect()
    };
    Ok(StepResults {
        step,
        valid: report.overall.valid,
        accuracy: report.overall.average,
        score: suite(|summary| summary.score),
        prior: suite(|summary| summary.prior),
        tokens: report.overall.lengths.completion,
    })
}

fn json<T: DeserializeOwned>(path: &Path) -> Result<T, ExperimentError> {
    serde_json::from_slice(&read_limited(path, LARGEST_REPORT)?)
        .map_err(|error| ExperimentError::Damaged { path: path.to_owned(), found: error.to_string() })
}
