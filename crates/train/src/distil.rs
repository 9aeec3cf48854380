//! Self-distillation, `vigos train`: the student is sampled, and learns from its teachers.

use crate::agreed::first_then_others;
use crate::ahead::Shape;
use crate::distillation::{Distillation, Teaching};
use crate::dropout::Dropping;
use crate::fine_tune::AdapterFineTune;
use crate::health::Health;
use crate::observer::{Observer, Watch};
use crate::opening::{begin, hold_inputs, open_folder, open_recorder};
use crate::recorder::Writing;
use crate::recordings::Recordings;
use crate::rollout::Sampled;
use crate::stream::{Fitting, Stream};
use crate::training::{Finished, Training};
use crate::update::Update;
use burn::tensor::Device;
use std::sync::atomic::AtomicBool;
use vigos_data::{DataRequest, Dataset};
use vigos_hub::Progress;
use vigos_models::{AdapterConfig, LoraConfig};
use vigos_plan::distillation::Plan;
use vigos_plan::fit::longest_alone;
use vigos_plan::growth::Growth;
use vigos_plan::micro_batches::MicroBatches;
use vigos_recipe::Recipe;
use vigos_recipe::resume::Run;
use vigos_rollout::adapter::{adapter_config, lora_config, open_adapter};
use vigos_rollout::base::{BaseFiles, base_name};
use vigos_rollout::judging::{Judge, Judging};
use vigos_rollout::student::GenerationSettings;
use vigos_rollout::transcript::Transcripts;
use vigos_rollout::{Kit, RunError, RunOptions};
use vigos_vllm::Remote;

/// What to train, and where.
pub type TrainOptions<'a> = RunOptions<'a, Recipe>;

/// What a run reads before it loads any weight.
pub(crate) struct Prepared<'a> {
    pub(crate) dataset: Dataset,
    pub(crate) base: BaseFiles<'a>,
    pub(crate) teaching: Teaching<'a>,
    pub(crate) lora: LoraConfig,
    pub(crate) generation: GenerationSettings,
}

impl<'a> Prepared<'a> {
    /// Opens what a recipe names; `progress` sees what has to be fetched.
    ///
    /// # Errors
    /// If something of it is wrong.
    pub(crate) fn open(recipe: &'a Recipe, kit: &Kit, progress: &mut Progress) -> Result<Self, RunError> {
        let prepared = Self {
            dataset: kit.sources.open(&DataRequest::from(&recipe.data), progress)?,
            base: BaseFiles::open(recipe, kit, progress)?,
            teaching: Teaching::new(&recipe.method, &kit.divergences)?,
            lora: lora_config(&recipe.lora)?,
            generation: GenerationSettings::of(recipe, recipe.train.seed),
        };
        prepared.generation.sampling.check()?;
        Ok(prepared)
    }

    /// The memory that training an adapter of this shape takes; `observer` is told.
    ///
    /// # Errors
    /// If the first rows cannot be read, or no row can become a sample.
    pub(crate) fn plan(
        &self,
        options: &TrainOptions,
        adapter: AdapterConfig,
        observer: &mut dyn Observer,
    ) -> Result<Plan, RunError> {
        let (recipe, most) = (options.recipe, self.base.max_prompt_tokens);
        let model = self.base.model.config.architecture();
        let plan = Plan::of(recipe, adapter, most, None);
        let mut plan = plan.with_first_rows(&self.base.samples(), &self.dataset, recipe.train.seed)?;
        plan.kept = plan.kept.on(options.device);
        let plan = plan.with_recompute(recipe.train.recompute, model, options.memory);
        observer.memory(&plan, model, most);
        Ok(plan)
    }
}

/// Refuses a recipe that no run can begin with: opens all that it names but the base's weights. `progress` sees what has
/// to be fetched.
///
/// # Errors
/// As [`train`] would meet before its first step.
pub fn check(recipe: &Recipe, kit: &Kit, device: &Device, progress: &mut Progress) -> Result<(), RunError> {
    let Prepared { base, lora, .. } = Prepared::open(recipe, kit, progress)?;
    if let from @ Some(_) = recipe.model.adapter.as_deref() {
        open_adapter(&lora, from, base.model.config.architecture(), recipe.train.seed, device, progress)?;
    }
    Ok(())
}

/// Trains until the recipe's last step or until `stop` is set; then the last whole step is saved.
///
/// # Errors
/// If the recipe, the model or the data is wrong, or a file cannot be written.
pub fn train(
    options: &TrainOptions,
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> Result<Finished, RunError> {
    train_judged(options, None, observer, stop)
}

/// The same, with someone to judge checkpoints as `eval.every` says.
///
/// # Errors
/// As [`train`], and those of the judge.
pub fn train_judged(
    options: &TrainOptions,
    judge: Option<&mut dyn Judge>,
    observer: &mut dyn Observer,
    stop: &AtomicBool,
) -> Result<Finished, RunError> {
    let RunOptions { recipe, run_dir, start: at, kit, device, memory, ranks, .. } = *options;
    let mut folder = open_folder(options, Run::Train, observer)?;
    let mut fetching = |file: &str, bytes, size| observer.fetching(file, bytes, size);
    // What has to be fetched one rank fetches for all.
    let prepared = first_then_others(ranks, || Prepared::open(recipe, kit, &mut fetching))?;
    // What is wrong with the adapter to start from is said before anything is loaded.
    let (from, seed, config) =
        (recipe.model.adapter.as_deref(), recipe.train.seed, prepared.base.model.config.clone());
    let lora = prepared.lora.clone();
    let new = |observer: &mut dyn Observer| {
        let mut fetching = |file: &str, bytes, size| observer.fetching(file, bytes, size);
        open_adapter(&lora, from, config.architecture(), seed, device, &mut fetching)
    };
    let adapter = if at.resumes() { None } else { Some(new(observer)?) };
    let planned = match &adapter {
        Some(adapter) => Ok(adapter.config.clone()),
        None => {
            adapter_config(&recipe.lora, from, &mut |file, bytes, size| observer.fetching(file, bytes, size))
        }
    };
    // A run that is gone on with has its adapter in its checkpoints, whatever became of the first one.
    let planned = planned.or_else(|_| adapter_config(&recipe.lora, None, &mut |_, _, _| ()))?;
    let plan = prepared.plan(options, planned, observer)?;
    let Prepared { dataset, base, teaching, generation, .. } = prepared;
    hold_inputs(&mut folder, &base.model, &dataset, ranks, observer)?;
    let longest = longest_alone(&plan, config.architecture(), memory, base.max_prompt_tokens);

    let mut fetching = |file: &str, bytes, size| observer.fetching(file, bytes, size);
    let base = first_then_others(ranks, || base.load(device, &mut fetching))?;
    let name = base_name(&recipe.model.path);
    let fine_tune = AdapterFineTune { base: base.model.clone(), name, lora: lora.clone(), keep: plan.keep };
    let fresh = |observer: &mut dyn Observer| adapter.map_or_else(|| new(observer), Ok);
    let total = recipe.train.total_steps(dataset.count().get() * recipe.rollout.per_sample);
    let (weights, optimiser, state) = begin(options, &mut folder, &fine_tune, fresh, total, observer)?;

    let writing = Writing {
        checkpoint: &recipe.checkpoint,
        every: recipe.log.metrics.every,
        rollouts_every: recipe.log.rollouts_every,
        rollouts_max: recipe.log.rollouts_max,
        recordings: (recipe.log.record.tokens > 0).then_some(Recordings {
            transcripts: Transcripts { record: &recipe.log.record, processor: &base.files.processor },
            method: &recipe.method,
        }),
        tensorboard: recipe.log.metrics.tensorboard,
        max_bad_share: recipe.data.rows.max_bad_share,
    };
    // What is judged lives shorter than who judges it.
    let judge = judge.map(|judge| judge as &mut dyn Judge);
    let judging = Judging::open(judge, &base.model, &recipe.eval, run_dir, &state.judged, ranks)?;
    let mut recorder = open_recorder(&folder, writing, &state, ranks)?;
    let (cut, per_sample) = (MicroBatches::from(&recipe.train), recipe.rollout.per_sample);
    let batches = cut.fewest();
    if batches < ranks.count() {
        observer.note(&format!(
            "a step may have no more than {batches} micro-batches for {} ranks; a smaller train.batch and a larger \
             train.accumulate give each of them one",
            ranks.count()
        ));
    }
    let remote = |url| Remote::new(url, recipe, run_dir, &base, generation);
    let server = recipe.rollout.url.as_deref().map(remote).transpose()?;
    let max_weight = Some(recipe.rollout.max_weight).filter(|most| *most > 0.0);
    let dropping = Dropping { probability: recipe.lora.dropout, seed: recipe.train.seed };
    let samples = Fitting { maker: base.samples(), longest };
    let mut training = Training {
        stream: Stream::new(dataset, &recipe.data.path, recipe.train.seed, Box::new(samples)),
        rollout: Sampled { base: &base, generation, per_sample, server, max_weight },
        objective: Distillation {
            model: base.model.as_ref(),
            teaching,
            dropping,
            keep: plan.keep,
            cut,
            log: &recipe.log,
        },
        update: Update::new(weights, optimiser, &recipe.optim, total, device),
        fine_tune: &fine_tune,
        samples: cut.samples() / per_sample,
        ahead: (recipe.rollout.ahead > 0)
            .then(|| Shape { per_sample, vocabulary: config.architecture().text.vocab_size }),
        next: None,
        max_lost_steps: recipe.train.max_lost_steps,
        state,
        health: Health::default(),
        growth: Growth::default(),
        judging,
    };
    training.run(&mut recorder, &mut Watch::new(observer, stop, ranks))
}
