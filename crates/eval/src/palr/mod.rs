//! PALR, the leakage diagnostic: how much of what the teachers teach hangs on the reference answer alone (A1–A7).
//!
//! One rollout is sampled for each item, or was recorded; valid ones are scored, with their prefixes fixed, by the student, by the
//! active teacher of each token, by that teacher with wrong answers in the reference's place, and with the next
//! item's images. `tokens.jsonl` gets every value, `report.json` and `report.md` the ratios.

mod left_out;
mod report;
mod scoring;
mod tokens;
mod wrong;

pub use report::{Line, PalrReport};
pub use scoring::{Counterfactuals, score};
pub use tokens::{EPSILON, Palr, Part, Sums, Token};

use crate::folder::{self, Finished, Folder, Observer, Options};
use crate::parts::Parts;
use crate::student::{Loaded, ready, try_first};
use left_out::{NOT_RECORDED, left_out};
use report::Diagnosed;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use vigos_core::jsonl::{LastLine, ReadOptions, read_lines};
use vigos_data::{BadRow, DataRequest, Dataset, Row};
use vigos_recipe::Recipe;
use vigos_recipe::last_box;
use vigos_recipe::resume::Run;
use vigos_recipe::sample::{Sample, SampleError, SampleMaker};
use vigos_rollout::agreed::{by_the_first, first_then_others};
use vigos_rollout::engine::Finish;
use vigos_rollout::spans::{CompletionText, Reason, Spans, Verdict};
use vigos_rollout::student::GenerationSettings;
use vigos_rollout::{RolledOut, RunError};
use wrong::Pool;

/// The values' file.
const TOKENS: &str = "tokens.jsonl";

/// Diagnoses the recipe's student and teachers on its data set and writes `tokens.jsonl`, `report.json` and
/// `report.md`. When `stop` is set it ends after the last whole part, without a report.
///
/// `rollouts` is a JSON Lines file of completions to diagnose instead of sampling: `id`, the row's, and
/// `completion_token_ids`, as in a run's snapshots of rollouts. Rows without one are left out.
///
/// # Errors
/// If the recipe, the model or the data is wrong, or a file cannot be written.
pub fn palr(
    options: &Options,
    rollouts: Option<&Path>,
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> Result<Finished<PalrReport>, RunError> {
    let Options { recipe, ranks, .. } = *options;
    let generation = GenerationSettings::of(recipe, recipe.palr.seed);
    generation.sampling.check()?;
    let (folder, mut run) = Folder::open(options, TOKENS, Run::Palr)?;
    let mut fetching = |file: &str, bytes, size| observer.fetching(file, bytes, size);
    let (data, loaded) = first_then_others(ranks, || {
        let data = options.kit.sources.open(&DataRequest::from(&recipe.data), &mut fetching)?;
        Ok((data, Loaded::open(options, None, &mut fetching)?))
    })?;
    let vocabulary = loaded.base.model.architecture().text.vocab_size;
    let recorded = rollouts.map(|path| read_rollouts(path, vocabulary)).transpose()?;
    let (maker, total) = (loaded.base.samples(), data.count().get());
    try_first(&maker, total, |item| Ok(data.load(item)?))?;
    let files = data.files().iter().map(PathBuf::as_path);
    Folder::hold_inputs(&mut run, options, &loaded.base.files, (total, files), observer)?;
    Folder::begin(&mut run, options)?;

    let part = recipe.rollout.sampling.batch;
    let (done, mut file) = folder.resume(ranks, total, part, |line: &Line| (line.item(), true))?;
    let mut diagnosis =
        Diagnosis { recipe, loaded: &loaded, maker, generation, recorded, data, pool: Pool::new(), total };
    if done < total {
        diagnosis.fill_pool()?;
    }
    let diagnose = |start, end, observer: &mut dyn Observer| diagnosis.part(start, end, observer, stop);
    let items = Parts { done, total, part }.each(ranks, &mut file, observer, stop, diagnose, |_| None)?;
    if items < total {
        return Ok(Finished { items, total, report: None });
    }
    let read = || PalrReport::new(recipe, folder.read()?);
    let write = || {
        let report = read()?;
        folder.report(&report, &report.markdown())?;
        Ok(report)
    };
    let report = by_the_first(ranks, write, read)?;
    if let Some(text) = left_out(folder.read()?)? {
        observer.note(&text);
    }
    if report.items > 0 && report.valid == 0 {
        observer.note("no rollout keeps the output format, so there was nothing to diagnose");
    }
    Ok(Finished { items, total, report: Some(report) })
}

/// Whether a diagnosis of this recipe was begun in a folder, so that it can be gone on with.
///
/// # Errors
/// If that of another recipe was.
pub fn begun(run_dir: &Path, recipe: &Recipe) -> Result<bool, RunError> {
    folder::begun(run_dir, recipe, Run::Palr)
}

/// A diagnosis under way.
struct Diagnosis<'a> {
    recipe: &'a Recipe,
    loaded: &'a Loaded<'a>,
    maker: SampleMaker<'a>,
    generation: GenerationSettings,
    recorded: Option<BTreeMap<String, Vec<u32>>>,
    data: Dataset,
    pool: Pool,
    total: usize,
}

impl Diagnosis<'_> {
    /// Reads every row's answer.
    fn fill_pool(&mut self) -> Result<(), RunError> {
        for item in 0..self.total {
            if let Ok(row) = self.data.load(item)? {
                self.pool.add(&row);
            }
        }
        Ok(())
    }

    /// The lines of the items from `start` to `end`; nothing if it was stopped before.
    fn part(
        &mut self,
        start: usize,
        end: usize,
        observer: &mut dyn Observer,
        stop: &AtomicBool,
    ) -> Result<Option<Vec<Line>>, RunError> {
        let items = (start..end).map(|item| self.item(item)).collect::<Result<Vec<_>, _>>()?;
        let Some(rollouts) = self.rollouts(&items, start, observer, stop)? else { return Ok(None) };
        let mut rollouts = rollouts.into_iter();
        let mut lines = Vec::with_capacity(items.len());
        for (item, asked) in (start..end).zip(items) {
            let line = match (asked, stop.load(Ordering::SeqCst)) {
                (_, true) => return Ok(None),
                (Err(bad), _) => {
                    let BadRow { origin, id, reason } = bad;
                    // All that have no rollout are told in one line at the end.
                    if reason != NOT_RECORDED {
                        observer.note(&format!("{origin} (id `{id}`) is left out: {reason}"));
                    }
                    Line::Skipped { item, id, skipped: reason }
                }
                (Ok((row, _)), _) => {
                    let Some(rollout) = rollouts.next() else { break };
                    Line::Diagnosed(Box::new(self.diagnose(item, &row, &rollout)?))
                }
            };
            lines.push(line);
        }
        Ok(Some(lines))
    }

    /// A rollout of each item that can be asked, the first of which is number `start`; none if `stop` is set.
    fn rollouts(
        &self,
        items: &[Result<(Row, Arc<Sample>), BadRow>],
        start: usize,
        observer: &mut dyn Observer,
        stop: &AtomicBool,
    ) -> Result<Option<Vec<RolledOut>>, RunError> {
        let asked = items.iter().zip(start as u64..).filter_map(|(item, n)| Some((item.as_ref().ok()?, n)));
        if let Some(recorded) = &self.recorded {
            let of = |(row, sample): &(Row, Arc<Sample>)| {
                let tokens = recorded.get(&row.id).cloned().unwrap_or_default();
                self.loaded.base.read(sample.clone(), tokens, Finish::Stop)
            };
            return Ok(Some(asked.map(|(item, _)| of(item)).collect()));
        }
        let asked: Vec<_> = asked.map(|((_, sample), number)| (sample.clone(), number)).collect();
        let watch = &mut |drawn| observer.tokens(drawn);
        self.loaded.complete(&self.generation, &asked, watch, stop)
    }

    fn diagnose(&mut self, item: usize, row: &Row, rollout: &RolledOut) -> Result<Diagnosed, RunError> {
        let RolledOut { sample, tokens: completion, text, .. } = rollout;
        let mut diagnosed = Diagnosed {
            item,
            id: row.id.clone(),
            completion: text.text(0..text.bytes().len()).into_owned(),
            completion_token_ids: completion.clone(),
            valid: false,
            reason: None,
            wrong_answers: Vec::new(),
            next: None,
            tokens: Vec::new(),
        };
        let spans = match self.verdict(text) {
            Verdict::Valid(spans) => spans,
            Verdict::Invalid(reason) => return Ok(Diagnosed { reason: Some(reason), ..diagnosed }),
        };
        let palr = &self.recipe.palr;
        let wrong = self.pool.wrong(row, palr.wrong_answers, palr.seed, item as u64)?;
        let (next, other) = self.counterfactual(item, row)?;
        let given = |answer: &String| Row { answer: answer.clone(), ..row.clone() };
        let wrong_samples =
            wrong.iter().map(|answer| self.sample(item, &given(answer))).collect::<Result<Vec<_>, _>>()?;
        let counterfactuals =
            Counterfactuals { sample, wrong: &wrong_samples, other: &other, completion, spans: &spans };
        let student = self.loaded.student();
        diagnosed.tokens =
            score(student.base.model.as_ref(), student.adapter, &self.recipe.method, &counterfactuals)?;
        Ok(Diagnosed { valid: true, wrong_answers: wrong, next: Some(next), ..diagnosed })
    }

    /// Whether a completion can be diagnosed, and its spans. One that was not asked for a description is valid if
    /// it has an answer; all of it is reasoning and answer then.
    fn verdict(&self, text: &CompletionText) -> Verdict {
        let method = &self.recipe.method;
        if method.student_prefill.trim_end().ends_with("<description>") {
            return text.verdict(method.fidelity);
        }
        match last_box(&text.text(0..text.bytes().len())) {
            Some(answer) if !answer.trim().is_empty() => {
                Verdict::Valid(Spans { description: Vec::new(), reasoning_answer: text.positions() })
            }
            Some(_) => Verdict::Invalid(Reason::EmptyAnswer),
            None => Verdict::Invalid(Reason::NoBox),
        }
    }

    /// The row with the images of the next row that can be used, the first one following the last, and that row's
    /// name.
    fn counterfactual(&mut self, item: usize, row: &Row) -> Result<(String, Sample), RunError> {
        for step in 1..self.total {
            let Ok(next) = self.data.load((item + step) % self.total)? else { continue };
            let shown = Row { images: next.images, ..row.clone() };
            if let Ok(sample) = ready(&self.maker, item, &shown)? {
                return Ok((next.id, sample));
            }
        }
        Err(RunError::NothingLeft {
            path: self.recipe.data.path.clone(),
            rows: self.total,
            reason: "the diagnostic needs a second row, whose images it sets in the place of the first's"
                .into(),
        })
    }

    /// A row ready to be asked, or why it cannot be.
    fn item(&mut self, item: usize) -> Result<Result<(Row, Arc<Sample>), BadRow>, RunError> {
        let row = match self.data.load(item)? {
            Err(bad) => return Ok(Err(bad)),
            Ok(row) => row,
        };
        if self.recorded.as_ref().is_some_and(|recorded| !recorded.contains_key(&row.id)) {
            let reason = NOT_RECORDED.into();
            return Ok(Err(BadRow { origin: row.origin, id: row.id, reason }));
        }
        Ok(match ready(&self.maker, item, &row)? {
            Ok(sample) => Ok((row, Arc::new(sample))),
            Err((_, reason)) => Err(BadRow { origin: row.origin, id: row.id, reason }),
        })
    }

    /// A row that could be asked with another answer.
    fn sample(&self, item: usize, row: &Row) -> Result<Sample, RunError> {
        ready(&self.maker, item, row)?.map_err(|(_, message)| {
            let (origin, id) = (row.origin.clone(), row.id.clone());
            let message = format!("with {:?} for an answer: {message}", row.answer);
            SampleError { origin, id, field: "answer".into(), message }.into()
        })
    }
}

/// A recorded rollout; what else a line says is left alone.
#[derive(Deserialize)]
struct Recorded {
    id: String,
    completion_token_ids: Vec<u32>,
}

/// The recorded completions by their rows' names; of a name that comes twice the first.
fn read_rollouts(path: &Path, vocabulary: usize) -> Result<BTreeMap<String, Vec<u32>>, RunError> {
    let options = ReadOptions { last_line: LastLine::Taken, ..ReadOptions::default() };
    let mut recorded = BTreeMap::new();
    for line in read_lines::<Recorded>(path, options)? {
        let (number, Recorded { id, completion_token_ids }) = line?;
        if let Some(token) = completion_token_ids.iter().find(|token| **token as usize >= vocabulary) {
            return Err(SampleError {
                origin: format!("{}:{number}", path.display()),
                id,
                field: "completion_token_ids".into(),
                message: format!("found {token}, wanted ids below the vocabulary's size {vocabulary}"),
            }
            .into());
        }
        recorded.entry(id).or_insert(completion_token_ids);
    }
    Ok(recorded)
}
