//! Evaluation every item, several times, and writing the answers down.
//!
//! Items are asked in parts of fixed size, so that which completions decode together does not depend on where a
//! run was stopped. A draw is keyed by (seed, item, sample, position).

use crate::folder::{self, Finished, Folder, Observer, Options};
use crate::judging::Judging;
use crate::lines::{Answer, Line, Skipped};
use crate::parts::Parts;
use crate::report::Report;
use crate::student::{Loaded, alone, ready, try_first};
use crate::suite::Suite;
use crate::verdict::is_right;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use vigos_data::{BadRow, Labels, Rule, Sources};
use vigos_hub::Progress;
use vigos_models::VisionLanguageModel;
use vigos_recipe::Recipe;
use vigos_recipe::resume::Run;
use vigos_recipe::sample::{Sample, SampleMaker, Skip};
use vigos_recipe::{Eval, Sampling as Draws};
use vigos_rollout::RolloutRecord;
use vigos_rollout::RunError;
use vigos_rollout::agreed::{by_the_first, first_then_others};
use vigos_rollout::sampler::Sampling;
use vigos_rollout::student::GenerationSettings;

/// The answers' file.
const SAMPLES: &str = "samples.jsonl";
/// Parts hold about so many times the completions that decode together.
const ROUNDS: usize = 4;

/// Asks the student of a recipe what `[eval]` says and writes `samples.jsonl`, `report.json` and `report.md`. When
/// `stop` is set it ends after the last whole part, without a report.
///
/// # Errors
/// If the recipe, the model or the data is wrong, or a file cannot be written.
pub fn evaluate(
    options: &Options,
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> Result<Finished<Report>, RunError> {
    evaluate_with(options, None, observer, stop)
}

/// The same of a base that is loaded already, where one is given.
///
/// # Errors
/// As [`evaluate`].
pub fn evaluate_with(
    options: &Options,
    model: Option<Arc<dyn VisionLanguageModel>>,
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> Result<Finished<Report>, RunError> {
    let Options { recipe, ranks, .. } = *options;
    let eval = &recipe.eval;
    let generation = generation(eval)?;
    let (folder, mut run) = Folder::open(options, SAMPLES, Run::Eval)?;
    let mut fetching = |file: &str, bytes, size| observer.fetching(file, bytes, size);
    let open = || Suite::open(recipe, &options.kit.sources, &mut fetching);
    let suite = first_then_others(ranks, open)?;
    let judging = first_then_others(ranks, || Judging::open(recipe, options.run_dir))?;
    let loaded = first_then_others(ranks, || Loaded::open(options, model, &mut fetching))?;
    let (method, total) = (alone(recipe), suite.count());
    let maker = SampleMaker { method: &method, ..loaded.base.samples() };
    try_first(&maker, total, |item| suite.load(item))?;
    Folder::hold_inputs(&mut run, options, &loaded.base.files, (total, suite.files()), observer)?;
    Folder::begin(&mut run, options)?;

    let part = (ROUNDS * eval.sampling.batch).div_ceil(eval.samples).max(1);
    let (done, mut file) = folder.resume(ranks, total, part, |line: &Line| line.place(eval.samples))?;
    let mut evaluation = Evaluation { recipe, loaded: &loaded, maker, generation, suite, judging };
    let ask = |start, end, observer: &mut dyn Observer| evaluation.part(start, end, observer, stop);
    let items = Parts { done, total, part }.each(ranks, &mut file, observer, stop, ask, Line::told)?;
    if items < total {
        return Ok(Finished { items, total, report: None });
    }
    if let Some(judging) = &evaluation.judging {
        observer.note(&judging.bill());
    }
    let read = || Report::new(recipe, folder.read()?);
    let write = || {
        let report = read()?;
        report.check(recipe, &folder.lines())?;
        folder.report(&report, &report.markdown())?;
        Ok(report)
    };
    let report = by_the_first(ranks, write, read)?;
    Ok(Finished { items, total, report: Some(report) })
}

/// Refuses settings of `[eval]` that no evaluation can be done with, and opens what it asks, so that a long run need not
/// come to its end to say so. `progress` sees what has to be fetched from the hub.
///
/// # Errors
/// As an evaluation would meet.
pub fn check(recipe: &Recipe, sources: &Sources, progress: &mut Progress) -> Result<(), RunError> {
    generation(&recipe.eval)?;
    Judging::check(recipe)?;
    Suite::open(recipe, sources, progress).map(drop)
}

/// Whether an evaluation of this recipe was begun in a folder, so that it can be gone on with.
///
/// # Errors
/// If that of another recipe was.
pub fn begun(run_dir: &Path, recipe: &Recipe) -> Result<bool, RunError> {
    folder::begun(run_dir, recipe, Run::Eval)
}

/// The sampling settings, checked.
fn generation(eval: &Eval) -> Result<GenerationSettings, RunError> {
    let Draws { temperature, top_k, top_p, min_p, max_new_tokens, batch } = eval.sampling;
    if eval.k.is_some_and(|k| k > eval.samples) {
        return Err(RunError::Setting {
            key: "eval.k".into(),
            found: eval.k.unwrap_or_default().to_string(),
            wanted: format!("at most eval.samples, {}", eval.samples),
        });
    }
    let neutral = Sampling { repetition_penalty: 1.0, presence_penalty: 0.0, ..Sampling::default() };
    let sampling = Sampling { temperature, top_k, top_p, min_p, ..neutral };
    sampling.check()?;
    Ok(GenerationSettings { sampling, max_new_tokens, rows: batch, seed: eval.seed })
}

/// An evaluation under way.
struct Evaluation<'a> {
    recipe: &'a Recipe,
    loaded: &'a Loaded<'a>,
    maker: SampleMaker<'a>,
    generation: GenerationSettings,
    suite: Suite,
    judging: Option<Judging>,
}

impl Evaluation<'_> {
    /// The lines of the items from `start` to `end`; nothing if it was stopped before.
    fn part(
        &mut self,
        start: usize,
        end: usize,
        observer: &mut dyn Observer,
        stop: &AtomicBool,
    ) -> Result<Option<Vec<Line>>, RunError> {
        let items = (start..end).map(|item| self.item(item)).collect::<Result<Vec<_>, _>>()?;
        let samples = self.recipe.eval.samples;
        // The first of an item's samples are the same however many are drawn.
        let number = |item: usize, sample: usize| ((sample as u64) << 32) + item as u64;
        let asked: Vec<(Arc<Sample>, u64)> = (start..end)
            .zip(&items)
            .filter_map(|(at, item)| Some((at, &item.as_ref().ok()?.0)))
            .flat_map(|(at, sample)| (0..samples).map(move |n| (sample.clone(), number(at, n))))
            .collect();
        let watch = &mut |drawn| observer.tokens(drawn);
        let Some(rollouts) = self.loaded.complete(&self.generation, &asked, watch, stop)? else {
            return Ok(None);
        };
        let mut rollouts = rollouts.iter();
        let mut lines: Vec<(Line, Rule)> = Vec::new();
        for (at, item) in (start..end).zip(items) {
            let labels = match item {
                Err(skipped) => {
                    lines.push((Line::Skipped(skipped), Rule::default()));
                    continue;
                }
                Ok((_, labels)) => labels,
            };
            for (sample, rollout) in rollouts.by_ref().take(samples).enumerate() {
                let (kind, place) = (labels.kind.clone(), labels.place.clone());
                let mut rollout = RolloutRecord::of(rollout);
                let RolloutRecord { problem, answer, predicted, .. } = &rollout;
                let right = |said: &String| is_right(&labels.rule, problem, said, answer);
                rollout.correct = predicted.as_ref().is_some_and(right);
                let answer = Answer { item: at, sample, kind, place, judged: None, rollout };
                lines.push((Line::Answer(Box::new(answer)), labels.rule.clone()));
            }
        }
        if let Some(judging) = &self.judging
            && !judging.judge(&mut lines, stop)?
        {
            return Ok(None);
        }
        Ok(Some(lines.into_iter().map(|(line, _)| line).collect()))
    }

    /// An item ready to be asked, or why it cannot be.
    fn item(&mut self, item: usize) -> Result<Result<(Arc<Sample>, Labels), Skipped>, RunError> {
        let (kind, bad) = match self.suite.load(item)? {
            Err(bad) => (Skip::BAD_ROW, bad),
            Ok(row) => match ready(&self.maker, item, &row)? {
                Ok(sample) => return Ok(Ok((Arc::new(sample), row.labels))),
                Err((kind, reason)) => (kind, BadRow { origin: row.origin, id: row.id, reason }),
            },
        };
        let BadRow { origin, id, reason } = bad;
        let share = self.recipe.data.rows.max_bad_share;
        if kind == Skip::BAD_ROW && share == 0.0 {
            let last = format!("{origin} (id `{id}`): {reason}");
            let seen = item as u64 + 1;
            return Err(RunError::BadRows { last, bad: 1, seen, share, quarantine: origin.into() });
        }
        Ok(Err(Skipped { item, id, origin, skipped: kind.to_owned(), reason }))
    }
}
