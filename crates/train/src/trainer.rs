//! The loop: sample, judge, score, update, write down.
//!
//! A step is a function of the recipe, the adapter, the optimiser's state and the step's number, so a resumed
//! run writes what an uninterrupted one would have written.

use crate::checkpoint::{Checkpoints, State};
use crate::error::TrainError;
use crate::memory::plan::Plan;
use crate::metrics::{LossSummary, Phases, RolloutRecord, RolloutSummary, StepMetrics};
use crate::objective::{Rollout, Work, micro_batch};
use crate::optim::{AdamW, clip_global_norm, global_norm, learning_rate};
use crate::quarantine::Quarantine;
use crate::recipe::{Recipe, Span, When};
use crate::run_folder::RunFolder;
use crate::samples::{Sample, Skip, UserTexts};
use crate::session::{Session, base_name, open_dataset, sampling};
use crate::tensorboard::TensorBoard;
use burn::tensor::Device;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};
use vigos_core::jsonl::JsonLines;
use vigos_data::{BadRow, Dataset, Order};
use vigos_hub::side_files_folder;
use vigos_models::{ActiveAdapter, Adapter, Config};
use vigos_rollout::engine::{Completion, Engine, Request};
use vigos_rollout::spans::{CompletionText, Verdict};

/// Keys that may change between a run and its continuation: how long, how often, what is written, forgiven or
/// only looked at.
const FREE: [&str; 7] =
    ["checkpoint.", "log.", "train.steps", "train.epochs", "data.max_bad_share", "eval.", "palr."];

/// What to train, and where.
#[derive(Clone, Copy, Debug)]
pub struct TrainOptions<'a> {
    /// The recipe.
    pub recipe: &'a Recipe,
    /// The run's folder.
    pub run_dir: &'a Path,
    /// Whether to continue the run in that folder.
    pub resume: bool,
    /// The device.
    pub device: &'a Device,
}

/// Sees a run as it goes.
pub trait Observer {
    /// `bytes` of the `size` bytes of a file from the hub are there.
    fn fetching(&mut self, _file: &str, _bytes: u64, _size: u64) {}
    /// The run is about to load the model of `config` and to take the memory of `plan`; prompts may have up to
    /// `longest_prompt` tokens.
    fn memory(&mut self, _plan: &Plan, _config: &Config, _longest_prompt: usize) {}
    /// Training begins after `first_step` steps of `total_steps`.
    fn started(&mut self, _first_step: usize, _total_steps: usize) {}
    /// Tokens drawn so far in the step under way.
    fn tokens(&mut self, _drawn: usize) {}
    /// A phase begins: `rollout` or `update`.
    fn phase(&mut self, _phase: &'static str) {}
    /// A step is done.
    fn step(&mut self, _metrics: &StepMetrics) {}
    /// A checkpoint is whole.
    fn saved(&mut self, _checkpoint: &Path) {}
    /// Something that the user should know, but that does not stop the run.
    fn note(&mut self, _text: &str) {}
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Steps done in all.
    pub steps: usize,
    /// Folder of the last checkpoint, an adapter that PEFT reads.
    pub adapter: PathBuf,
    /// Whether it was stopped before its last step.
    pub interrupted: bool,
}

/// Trains until the recipe's last step or until `stop` is set; then the last whole step is saved.
///
/// # Errors
/// If the recipe, the model or the data is wrong, or a file cannot be written.
pub fn train(
    options: &TrainOptions,
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> Result<Finished, TrainError> {
    let recipe = options.recipe;
    let folder = RunFolder::open(options.run_dir, recipe, options.resume, &FREE)?;
    let mut fetching = |file: &str, bytes, size| observer.fetching(file, bytes, size);
    let mut dataset = open_dataset(recipe, &mut fetching)?;
    let side_files = side_files_folder(&recipe.model.path, &mut fetching)?;
    let config = Config::read(&side_files)?;
    let plan = Plan::of(recipe, None)?.with_first_rows(recipe, &mut dataset, &side_files);
    observer.memory(&plan, &config, recipe.train.max_prompt_tokens);
    let mut fetching = |file: &str, bytes, size| observer.fetching(file, bytes, size);
    let session = Session::open(recipe, options.device, &mut fetching)?;
    let checkpoints = Checkpoints::of(folder.path());
    let loaded = checkpoints.load(&session.model, &mut |text| observer.note(&text))?;
    let (adapter, optimiser, state) =
        loaded.unwrap_or_else(|| (session.adapter.clone(), AdamW::new(&session.adapter), State::default()));
    folder.begin(recipe)?;
    let total = recipe.train.total_steps(dataset.count().get());
    observer.started(state.step, total);
    let tensorboard = match recipe.log.tensorboard {
        true => Some(TensorBoard::create(&folder.tensorboard())?),
        false => None,
    };
    let metrics = JsonLines::resume(&folder.metrics(), state.metrics_lines)?;
    let order = dataset.order(recipe.train.seed);
    let quarantine =
        Quarantine::open(&folder.quarantine(), state.quarantine_lines, recipe.data.max_bad_share)?;
    let mut trainer = Trainer {
        session,
        dataset,
        order,
        folder,
        checkpoints,
        metrics,
        quarantine,
        tensorboard,
        adapter,
        optimiser,
        state,
        total,
    };
    trainer.run(observer, stop)
}

/// A run under way.
struct Trainer<'a> {
    session: Session<'a>,
    dataset: Dataset,
    order: Order,
    folder: RunFolder,
    checkpoints: Checkpoints,
    metrics: JsonLines,
    quarantine: Quarantine,
    tensorboard: Option<TensorBoard>,
    adapter: Adapter,
    optimiser: AdamW,
    state: State,
    total: usize,
}

/// A sample with its number in the run.
struct Numbered {
    number: u64,
    sample: Sample,
}

/// A sampled and judged completion.
struct Judged {
    completion: Completion,
    text: CompletionText,
    verdict: Verdict,
}

impl Trainer<'_> {
    fn run(&mut self, observer: &mut dyn Observer, stop: &AtomicBool) -> Result<Finished, TrainError> {
        let mut saved = self.checkpoints.path(self.state.step);
        let every = self.session.recipe.checkpoint.every;
        let mut unsaved = !saved.is_dir();
        while self.state.step < self.total && !stop.load(Ordering::SeqCst) {
            match self.step(observer, stop) {
                Ok(()) => unsaved = true,
                Err(TrainError::Interrupted(_)) => break,
                Err(error) => {
                    // Once the rows are mended or allowed the run can be resumed.
                    if matches!(error, TrainError::BadRows { .. }) && unsaved && self.state.step > 0 {
                        self.save(observer)?;
                    }
                    return Err(error);
                }
            }
            if every > 0 && self.state.step.is_multiple_of(every) {
                saved = self.save(observer)?;
                unsaved = false;
            }
        }
        if unsaved {
            saved = self.save(observer)?;
        }
        if self.state.step >= self.total {
            self.quarantine.close(self.state.cursor)?;
        }
        let steps = self.state.step;
        Ok(Finished { steps, adapter: saved, interrupted: steps < self.total })
    }

    /// One optimiser step. The state changes only when all of it is done.
    fn step(&mut self, observer: &mut dyn Observer, stop: &AtomicBool) -> Result<(), TrainError> {
        let recipe = self.session.recipe;
        let train = &recipe.train;
        let mut state = self.state.clone();
        let samples = self.take_samples(train.batch * train.accumulate, &mut state, observer)?;

        observer.phase("rollout");
        let begin = Instant::now();
        let judged = self.roll_out(&samples, observer, stop)?;
        let drawn = judged.iter().map(|j| j.completion.tokens.len()).sum();
        let rollout = Work { tokens: drawn, seconds: begin.elapsed().as_secs_f64() };

        observer.phase("update");
        let mut summary = LossSummary::default();
        let mut gradient: Option<Adapter> = None;
        for (samples, judged) in samples.chunks(train.batch).zip(judged.chunks(train.batch)) {
            if stop.load(Ordering::SeqCst) {
                return Err(TrainError::Interrupted("the step under way was left out".into()));
            }
            let rollouts: Vec<Rollout> = samples
                .iter()
                .zip(judged)
                .map(|(s, j)| Rollout {
                    sample: &s.sample,
                    completion: &j.completion.tokens,
                    verdict: &j.verdict,
                })
                .collect();
            let numbers: Vec<u64> = samples.iter().map(|s| s.number).collect();
            let dropout = self.session.dropout(self.state.step as u64, &numbers, &rollouts);
            let active = ActiveAdapter { adapter: &self.adapter, dropout: dropout.as_ref() };
            let batch = micro_batch(&self.session.model, active, &recipe.method, &rollouts)?;
            summary.add(&batch, train.accumulate);
            let share = batch.gradient.map(|_, t| t.clone() / train.accumulate as f64);
            gradient = Some(match gradient {
                None => share,
                Some(sum) => add(&sum, &share),
            });
        }
        let begin = Instant::now();
        let lr = learning_rate(&recipe.optim, state.step, self.total);
        let mut grad_norm = 0.0;
        if let Some(gradient) = gradient {
            grad_norm = global_norm(&gradient);
            let clipped = clip_global_norm(gradient, grad_norm, recipe.optim.max_grad_norm);
            self.adapter = self.optimiser.update(&self.adapter, &clipped, lr, &recipe.optim);
        }
        summary.update.seconds += begin.elapsed().as_secs_f64();

        state.step += 1;
        state.updates = self.optimiser.updates;
        let (records, untagged) = Self::records(&samples, &judged);
        let about = RolloutSummary::of(&records, untagged);
        let supervised = |span: Span| {
            let wanted =
                |t: &crate::recipe::Teacher| t.runs() && t.when != When::Invalid && t.spans.contains(&span);
            if recipe.method.teachers.iter().any(wanted) { 1.0 - about.fallback_rate } else { 0.0 }
        };
        let metrics = StepMetrics {
            step: state.step,
            epoch: state.cursor as f64 / self.dataset.count().get() as f64,
            loss: summary.loss,
            terms: summary.terms,
            accuracy: about.accuracy,
            fallback_rate: about.fallback_rate,
            description_rate: supervised(Span::Description),
            reasoning_rate: supervised(Span::ReasoningAnswer),
            no_tag_rate: about.no_tag_rate,
            span_share: about.span_share,
            lengths: about.lengths,
            grad_norm,
            lr,
            skipped: state.skipped.clone(),
            seconds: Phases {
                rollout: rollout.seconds,
                scoring: summary.scoring.seconds,
                update: summary.update.seconds,
            },
            tokens_per_second: Phases {
                rollout: rollout.rate(),
                scoring: summary.scoring.rate(),
                update: summary.update.rate(),
            },
        };
        self.write_down(&metrics, &records)?;
        state.metrics_lines = self.metrics.lines();
        state.quarantine_lines = self.quarantine.lines();
        self.state = state;
        observer.step(&metrics);
        Ok(())
    }

    /// The next `count` samples of the data set's order that can be used.
    fn take_samples(
        &mut self,
        count: usize,
        state: &mut State,
        observer: &mut dyn Observer,
    ) -> Result<Vec<Numbered>, TrainError> {
        let rows = self.dataset.count().get();
        let maker = self.session.samples();
        let mut samples = Vec::with_capacity(count);
        let mut refused = 0;
        while samples.len() < count {
            let number = state.cursor;
            let (_, index) = self.order.at(number);
            state.cursor += 1;
            let (kind, refusal) = match self.dataset.load(index)? {
                Err(bad) => (Skip::BAD_ROW, bad),
                Ok(row) => match maker.make(&row, &UserTexts::new())? {
                    Err(skip) => {
                        (skip.kind(), BadRow { origin: row.origin, id: row.id, reason: skip.to_string() })
                    }
                    Ok(sample) => {
                        refused = 0;
                        samples.push(Numbered { number, sample });
                        continue;
                    }
                },
            };
            *state.skipped.entry(kind.to_owned()).or_default() += 1;
            let BadRow { origin, id, reason } = &refusal;
            observer.note(&format!("{origin} (id `{id}`) is left out: {reason}"));
            if kind == Skip::BAD_ROW {
                self.quarantine.add(&refusal, state.cursor)?;
            }
            refused += 1;
            if refused >= rows {
                let path = self.session.recipe.data.path.clone();
                return Err(TrainError::NothingLeft { path, rows, reason: refusal.reason });
            }
        }
        Ok(samples)
    }

    /// Samples the student's completions, in eval mode, and judges them.
    fn roll_out(
        &self,
        samples: &[Numbered],
        observer: &mut dyn Observer,
        stop: &AtomicBool,
    ) -> Result<Vec<Judged>, TrainError> {
        let recipe = self.session.recipe;
        let engine = Engine {
            model: &self.session.model,
            adapter: Some(ActiveAdapter { adapter: &self.adapter, dropout: None }),
            sampling: sampling(recipe),
            stops: &self.session.stops,
            max_new_tokens: recipe.rollout.max_new_tokens,
            rows: recipe.rollout.batch,
            seed: recipe.train.seed,
            step: self.state.step as u64,
        };
        let requests: Vec<Request> = samples
            .iter()
            .map(|s| Request { prompt: &s.sample.student, images: &s.sample.images, sample: s.number })
            .collect();
        let completions = engine.run(&requests, &mut |drawn| {
            observer.tokens(drawn);
            if stop.load(Ordering::SeqCst) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        Ok(completions
            .into_iter()
            .map(|completion| {
                let text = self.session.text(&completion.tokens);
                Judged { verdict: text.verdict(recipe.method.fidelity), text, completion }
            })
            .collect())
    }

    /// What is written down of each rollout, and how many have no tag at all.
    fn records(samples: &[Numbered], judged: &[Judged]) -> (Vec<RolloutRecord>, usize) {
        let mut untagged = 0;
        let records = samples
            .iter()
            .zip(judged)
            .map(|(Numbered { sample, .. }, Judged { completion, text, verdict })| {
                untagged += usize::from(!text.has_delimiter());
                RolloutRecord::new(sample, completion, text, verdict)
            })
            .collect();
        (records, untagged)
    }

    /// Metrics, TensorBoard and the snapshot of rollouts, as often as the recipe says.
    fn write_down(&mut self, metrics: &StepMetrics, records: &[RolloutRecord]) -> Result<(), TrainError> {
        let log = &self.session.recipe.log;
        if metrics.step.is_multiple_of(log.every.max(1)) || metrics.step == self.total {
            self.metrics.write(metrics)?;
            if let Some(tensorboard) = &mut self.tensorboard {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64());
                let values = metrics.scalars();
                let values = values.iter().map(|(name, value)| (name.as_str(), *value));
                tensorboard.scalars(metrics.step as u64, now, values)?;
            }
        }
        if log.rollouts_every > 0 && metrics.step.is_multiple_of(log.rollouts_every) {
            let mut snapshot = JsonLines::resume(&self.folder.rollouts(metrics.step)?, 0)?;
            for record in records.iter().take(log.rollouts_max) {
                snapshot.write(record)?;
            }
        }
        Ok(())
    }

    fn save(&mut self, observer: &mut dyn Observer) -> Result<PathBuf, TrainError> {
        self.metrics.sync()?;
        self.quarantine.sync()?;
        let base = base_name(self.session.recipe);
        let path = self.checkpoints.save(&self.adapter, &self.optimiser, &self.state, &base)?;
        self.checkpoints.prune(self.session.recipe.checkpoint.keep)?;
        observer.saved(&path);
        Ok(path)
    }
}

/// The sum of two trees of the same form.
fn add(left: &Adapter, right: &Adapter) -> Adapter {
    let mut right = right.tensors().into_iter().collect::<std::collections::BTreeMap<_, _>>();
    left.map(|name, t| match right.remove(name) {
        Some(other) => t.clone() + other,
        None => t.clone(),
    })
}
