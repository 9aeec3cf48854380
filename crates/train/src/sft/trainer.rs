//! The supervised loop: take lessons, compute loss and gradient, update, write down.

use crate::checkpoint::{Checkpoints, State, write_folder};
use crate::metrics::SftMetrics;
use crate::optim::{AdamW, clip_global_norm, global_norm, learning_rate};
use crate::run::{Observer, Plan, Refusal, Run, RunOptions, Training};
use crate::sft::learner::{Beside, Learner, Whole};
use crate::sft::lesson::{Lesson, LessonMaker};
use crate::sft::objective::{Dropping, micro_batch};
use crate::shapes::{self, is_drawn};
use burn::tensor::DType;
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use vigos_data::{DemonstrationFields, Demonstrations};
use vigos_models::agreement::check_processor;
use vigos_models::{Parameters, Trained};
use vigos_recipe::Lora;
use vigos_recipe::run_folder::RunFolder;
use vigos_recipe::sample::Skip;
use vigos_recipe::sft::{SftRecipe, Stored, TrainedWeights};
use vigos_rollout::RunError;
use vigos_rollout::adapter::{lora_config, open_adapter};
use vigos_rollout::base::{ModelFolder, base_name, dtype};

/// Keys that may change between a run and its continuation: how long, how often, what is written or forgiven.
const FREE: [&str; 5] = ["checkpoint.", "log.", "train.steps", "train.epochs", "data.max_bad_share"];

/// What to train, and where.
pub type SftOptions<'a> = RunOptions<'a, SftRecipe>;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SftFinished {
    /// Steps done in all.
    pub steps: usize,
    /// The trained model's folder, or the adapter's; the last checkpoint if the run was stopped.
    pub output: PathBuf,
    /// Whether it was stopped before its last step.
    pub interrupted: bool,
}

/// Trains until the recipe's last step or until `stop` is set; then the last whole step is saved.
///
/// A run that is done leaves `model/` or `adapter/` in its folder.
///
/// # Errors
/// If the recipe, the model or the data is wrong, or a file cannot be written.
pub fn sft(
    options: &SftOptions,
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> Result<SftFinished, RunError> {
    let (recipe, device) = (options.recipe, options.device);
    let folder = RunFolder::open(options.run_dir, recipe, options.resume, &FREE)?;
    let data = &recipe.data;
    let names = data.fields.clone();
    let fields = DemonstrationFields {
        image: names.image,
        prompt: names.prompt,
        prefill: names.prefill,
        completion: names.completion,
        id: names.id,
    };
    let data = match is_drawn(&data.path) {
        true => shapes::demonstrations(&data.path, data.limit)?,
        false => Demonstrations::open(&data.path, &fields, data.limit)?,
    };
    let mut fetching = |file: &str, bytes, size| observer.fetching(file, bytes, size);
    let source = ModelFolder::open(&recipe.model.path, recipe.data.max_pixels, &mut fetching)?;
    match recipe.train.weights {
        TrainedWeights::All => {
            let config = options.families.read(&source.path)?;
            let weights = Parameters::load(config.architecture(), &source.path, device)?;
            check_processor(config.architecture(), &source.processor, &source.path)?;
            let stored = match recipe.output.dtype {
                Stored::F32 => DType::F32,
                Stored::F16 => DType::F16,
                Stored::Bf16 => DType::BF16,
            };
            let activations = recipe.train.activations;
            let learner =
                Whole { base: source.path.clone(), config, device: device.clone(), stored, activations };
            Supervised { recipe, source, data, learner, lora: None }
                .run(weights, folder, "model", observer, stop)
        }
        TrainedWeights::Adapter => {
            let wanted = lora_config(&recipe.lora)?;
            let base = options.families.load(&source.path, device, dtype(recipe.train.precision))?;
            check_processor(base.architecture(), &source.processor, &source.path)?;
            let (from, seed) = (recipe.model.adapter.as_deref(), recipe.train.seed);
            let weights = open_adapter(&wanted, from, base.architecture(), seed, device, &mut fetching)?;
            let learner = Beside { base: base.into(), name: base_name(&recipe.model.path) };
            Supervised { recipe, source, data, learner, lora: Some(&recipe.lora) }
                .run(weights, folder, "adapter", observer, stop)
        }
    }
}

/// What does not change in a run.
struct Supervised<'a, L> {
    recipe: &'a SftRecipe,
    source: ModelFolder,
    data: Demonstrations,
    learner: L,
    /// The adapter's settings, where one is trained.
    lora: Option<&'a Lora>,
}

/// A run with what changes.
struct Trainer<'a, L: Learner> {
    fixed: &'a Supervised<'a, L>,
    weights: L::Weights,
    optimiser: AdamW,
}

impl<L: Learner> Supervised<'_, L> {
    /// Trains from `weights`, or from the folder's last checkpoint, and exports the result as `output`.
    fn run(
        &self,
        weights: L::Weights,
        folder: RunFolder,
        output: &str,
        observer: &mut dyn Observer,
        stop: &AtomicBool,
    ) -> Result<SftFinished, RunError> {
        let recipe = self.recipe;
        let read = |path: &Path| self.learner.restore(path);
        let loaded = Checkpoints::of(folder.path()).load(read, &mut |text| observer.note(&text))?;
        let fresh = || {
            let optimiser = AdamW::new(&weights);
            (weights, optimiser, State::default())
        };
        let (weights, optimiser, state) = loaded.unwrap_or_else(fresh);
        folder.begin(recipe)?;
        let rows = self.data.count().get();
        let plan = Plan {
            total: recipe.total_steps(rows),
            rows,
            data: &recipe.data.path,
            max_bad_share: recipe.data.max_bad_share,
            checkpoint: &recipe.checkpoint,
            log_every: recipe.log.every,
            tensorboard: recipe.log.tensorboard,
        };
        let output = folder.path().join(output);
        let mut run = Run::open(folder, plan, self.data.order(recipe.train.seed), state)?;
        let mut trainer = Trainer { fixed: self, weights, optimiser };
        let finished = run.go(&mut trainer, observer, stop)?;
        let (steps, interrupted) = (finished.steps, finished.interrupted);
        if interrupted {
            return Ok(SftFinished { steps, output: finished.adapter, interrupted });
        }
        write_folder(&output, |folder| self.learner.export(&trainer.weights, folder))?;
        Ok(SftFinished { steps, output, interrupted })
    }
}

impl<L: Learner> Training for Trainer<'_, L> {
    type Metrics = SftMetrics;

    fn step(
        &mut self,
        run: &mut Run,
        state: &mut State,
        observer: &mut dyn Observer,
        stop: &AtomicBool,
    ) -> Result<SftMetrics, RunError> {
        let Supervised { recipe, data, learner, lora, .. } = self.fixed;
        let (begin, train) = (Instant::now(), &recipe.train);
        let lessons = self.take_lessons(run, state, observer)?;
        let dropping = Dropping {
            probability: lora.map_or(0.0, |lora| lora.dropout),
            seed: train.seed,
            step: state.step as u64,
        };
        let share = 1.0 / train.accumulate as f64;
        let (mut loss, mut tokens, mut correct) = (0.0, 0, 0);
        let mut gradient: Option<L::Weights> = None;
        for lessons in lessons.chunks(train.batch) {
            if stop.load(Ordering::SeqCst) {
                return Err(RunError::Interrupted("the step under way was left out".into()));
            }
            let batch = micro_batch(learner, &self.weights, lessons, dropping)?;
            loss += batch.loss * share;
            tokens += batch.tokens;
            correct += batch.correct;
            let part = batch.gradient.map(|_, t| t.clone() * share);
            gradient = Some(match gradient {
                None => part,
                Some(sum) => sum.plus(&part),
            });
        }
        let lr = learning_rate(&recipe.optim, state.step, run.total());
        let mut grad_norm = 0.0;
        if let Some(gradient) = gradient {
            grad_norm = global_norm(&gradient);
            let clipped = clip_global_norm(gradient, grad_norm, recipe.optim.max_grad_norm);
            self.weights = self.optimiser.update(&self.weights, &clipped, lr, &recipe.optim);
        }
        state.step += 1;
        state.updates = self.optimiser.updates;
        let seconds = begin.elapsed().as_secs_f64();
        Ok(SftMetrics {
            step: state.step,
            epoch: state.cursor as f64 / data.count().get() as f64,
            loss,
            token_accuracy: correct as f64 / tokens.max(1) as f64,
            tokens,
            grad_norm,
            lr,
            skipped: state.skipped.clone(),
            seconds,
            samples_per_second: lessons.len() as f64 / seconds.max(1e-9),
        })
    }

    fn report(&self, metrics: &SftMetrics, observer: &mut dyn Observer) {
        observer.sft_step(metrics);
    }

    fn optimiser(&self) -> &AdamW {
        &self.optimiser
    }

    fn save(&self, folder: &Path) -> Result<(), RunError> {
        self.fixed.learner.export(&self.weights, folder)?;
        self.fixed.learner.keep(&self.weights, folder)
    }
}

impl<L: Learner> Trainer<'_, L> {
    /// The next lessons of the data set's order that can be used.
    fn take_lessons(
        &self,
        run: &mut Run,
        state: &mut State,
        observer: &mut dyn Observer,
    ) -> Result<Vec<Lesson>, RunError> {
        let Supervised { recipe, source, data, .. } = self.fixed;
        let train = &recipe.train;
        let maker = LessonMaker {
            processor: &source.processor,
            stop: source.stops[0],
            max_tokens: train.max_tokens,
            min_image_side: recipe.data.min_image_side,
        };
        let make = |&(number, index): &(u64, usize)| {
            let row = match data.load(index)? {
                Err(bad) => return Ok(Err(Refusal { kind: Skip::BAD_ROW, row: bad })),
                Ok(row) => row,
            };
            let made = maker.make(number, &row)?;
            Ok(made.map_err(|skip| Refusal::of(&skip, row.origin, row.id)))
        };
        run.take(train.batch * train.accumulate, state, observer, &mut |places| {
            places.par_iter().map(make).collect()
        })
    }
}
