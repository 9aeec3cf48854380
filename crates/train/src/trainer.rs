//! The loop: sample, judge, score, update, write down.
//!
//! A step is a function of the recipe, the adapter, the optimiser's state and the step's number, so a resumed
//! run writes what an uninterrupted one would have written.

use crate::checkpoint::{Checkpoints, State};
use crate::memory;
use crate::metrics::{LossSummary, Phases, RolloutSummary, StepMetrics};
use crate::objective::{Rollout, Work, micro_batch};
use crate::optim::{AdamW, clip_global_norm, global_norm, learning_rate};
pub use crate::run::{Finished, Observer, RunOptions};
use crate::run::{Plan, Refusal, Run, Training};
use crate::session::{Session, open_dataset};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use vigos_core::jsonl::JsonLines;
use vigos_data::Dataset;
use vigos_hub::side_files_folder;
use vigos_models::{ActiveAdapter, Adapter, Trained, peft};
use vigos_recipe::run_folder::RunFolder;
use vigos_recipe::sample::{Sample, Skip, UserTexts};
use vigos_recipe::{Recipe, Span, When};
use vigos_rollout::RolloutRecord;
use vigos_rollout::RunError;
use vigos_rollout::base::{base_name, sampling};
use vigos_rollout::engine::{Completion, Engine, Request};
use vigos_rollout::spans::{CompletionText, Verdict};

/// Keys that may change between a run and its continuation: how long, how often, what is written, forgiven or
/// only looked at.
const FREE: [&str; 7] =
    ["checkpoint.", "log.", "train.steps", "train.epochs", "data.max_bad_share", "eval.", "palr."];

/// What to train, and where.
pub type TrainOptions<'a> = RunOptions<'a, Recipe>;

/// Trains until the recipe's last step or until `stop` is set; then the last whole step is saved.
///
/// # Errors
/// If the recipe, the model or the data is wrong, or a file cannot be written.
pub fn train(
    options: &TrainOptions,
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> Result<Finished, RunError> {
    let recipe = options.recipe;
    let folder = RunFolder::open(options.run_dir, recipe, options.resume, &FREE)?;
    let mut fetching = |file: &str, bytes, size| observer.fetching(file, bytes, size);
    let mut dataset = open_dataset(recipe, &mut fetching)?;
    let side_files = side_files_folder(&recipe.model.path, &mut fetching)?;
    let config = options.families.read(&side_files)?;
    let plan = memory::plan::Plan::of(recipe, None)?.with_first_rows(recipe, &mut dataset, &side_files);
    observer.memory(&plan, config.architecture(), recipe.train.max_prompt_tokens);
    let mut fetching = |file: &str, bytes, size| observer.fetching(file, bytes, size);
    let session = Session::open(recipe, options.families, options.device, &mut fetching)?;
    let model = &session.model;
    let read = |path: &Path| Ok(peft::load(path, model.architecture(), model.device())?);
    let loaded = Checkpoints::of(folder.path()).load(read, &mut |text| observer.note(&text))?;
    let (adapter, optimiser, state) =
        loaded.unwrap_or_else(|| (session.adapter.clone(), AdamW::new(&session.adapter), State::default()));
    folder.begin(recipe)?;
    let plan = Plan {
        total: recipe.train.total_steps(dataset.count().get()),
        rows: dataset.count().get(),
        data: &recipe.data.path,
        max_bad_share: recipe.data.max_bad_share,
        checkpoint: &recipe.checkpoint,
        log_every: recipe.log.every,
        tensorboard: recipe.log.tensorboard,
    };
    let order = dataset.order(recipe.train.seed);
    let mut run = Run::open(folder, plan, order, state)?;
    let mut trainer = Trainer { session, dataset, adapter, optimiser };
    run.go(&mut trainer, observer, stop)
}

/// What a run changes, and what it needs for that.
struct Trainer<'a> {
    session: Session<'a>,
    dataset: Dataset,
    adapter: Adapter,
    optimiser: AdamW,
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

impl Training for Trainer<'_> {
    type Metrics = StepMetrics;

    fn step(
        &mut self,
        run: &mut Run,
        state: &mut State,
        observer: &mut dyn Observer,
        stop: &AtomicBool,
    ) -> Result<StepMetrics, RunError> {
        let recipe = self.session.recipe;
        let train = &recipe.train;
        let samples = self.take_samples(run, state, observer)?;

        observer.phase("rollout");
        let begin = Instant::now();
        let judged = self.roll_out(&samples, state.step as u64, observer, stop)?;
        let drawn = judged.iter().map(|j| j.completion.tokens.len()).sum();
        let rollout = Work { tokens: drawn, seconds: begin.elapsed().as_secs_f64() };

        observer.phase("update");
        let mut summary = LossSummary::default();
        let mut gradient: Option<Adapter> = None;
        for (samples, judged) in samples.chunks(train.batch).zip(judged.chunks(train.batch)) {
            if stop.load(Ordering::SeqCst) {
                return Err(RunError::Interrupted("the step under way was left out".into()));
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
            let dropout = self.session.dropout(state.step as u64, &numbers, &rollouts);
            let active = ActiveAdapter { adapter: &self.adapter, dropout: dropout.as_ref() };
            let batch = micro_batch(self.session.model.as_ref(), active, &recipe.method, &rollouts)?;
            summary.add(&batch, train.accumulate);
            let share = batch.gradient.map(|_, t| t.clone() / train.accumulate as f64);
            gradient = Some(match gradient {
                None => share,
                Some(sum) => sum.plus(&share),
            });
        }
        let begin = Instant::now();
        let lr = learning_rate(&recipe.optim, state.step, run.total());
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
        self.snapshot(run, state.step, &records)?;
        let about = RolloutSummary::of(&records, untagged);
        let supervised = |span: Span| {
            let wanted =
                |t: &vigos_recipe::Teacher| t.runs() && t.when != When::Invalid && t.spans.contains(&span);
            if recipe.method.teachers.iter().any(wanted) { 1.0 - about.fallback_rate } else { 0.0 }
        };
        Ok(StepMetrics {
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
        })
    }

    fn report(&self, metrics: &StepMetrics, observer: &mut dyn Observer) {
        observer.step(metrics);
    }

    fn optimiser(&self) -> &AdamW {
        &self.optimiser
    }

    fn save(&self, folder: &Path) -> Result<(), RunError> {
        Ok(peft::save(&self.adapter, &base_name(&self.session.recipe.model.path), folder)?)
    }
}

impl Trainer<'_> {
    /// The next samples of the data set's order that can be used.
    fn take_samples(
        &mut self,
        run: &mut Run,
        state: &mut State,
        observer: &mut dyn Observer,
    ) -> Result<Vec<Numbered>, RunError> {
        let train = &self.session.recipe.train;
        let (maker, dataset) = (self.session.samples(), &mut self.dataset);
        let mut make = |number, index| {
            let row = match dataset.load(index)? {
                Err(bad) => return Ok(Err(Refusal { kind: Skip::BAD_ROW, row: bad })),
                Ok(row) => row,
            };
            Ok(match maker.make(&row, &UserTexts::new())? {
                Ok(sample) => Ok(Numbered { number, sample }),
                Err(skip) => Err(Refusal::of(&skip, row.origin, row.id)),
            })
        };
        run.take(train.batch * train.accumulate, state, observer, &mut |places| {
            places.iter().map(|&(number, index)| make(number, index)).collect()
        })
    }

    /// Samples the student's completions, in eval mode, and judges them.
    fn roll_out(
        &self,
        samples: &[Numbered],
        step: u64,
        observer: &mut dyn Observer,
        stop: &AtomicBool,
    ) -> Result<Vec<Judged>, RunError> {
        let recipe = self.session.recipe;
        let engine = Engine {
            model: self.session.model.as_ref(),
            adapter: Some(ActiveAdapter { adapter: &self.adapter, dropout: None }),
            sampling: sampling(recipe),
            stops: &self.session.stops,
            max_new_tokens: recipe.rollout.max_new_tokens,
            rows: recipe.rollout.batch,
            seed: recipe.train.seed,
            step,
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

    /// The snapshot of rollouts, as often as the recipe says.
    fn snapshot(&self, run: &Run, step: usize, records: &[RolloutRecord]) -> Result<(), RunError> {
        let log = &self.session.recipe.log;
        if log.rollouts_every > 0 && step.is_multiple_of(log.rollouts_every) {
            let mut snapshot = JsonLines::resume(&run.folder().rollouts(step)?, 0)?;
            for record in records.iter().take(log.rollouts_max) {
                snapshot.write(record)?;
            }
        }
        Ok(())
    }
}
