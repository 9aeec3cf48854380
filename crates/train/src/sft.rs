//! Supervised training, `vigos sft`: what the data brings is learnt, by all weights of a model or by an adapter.

use crate::agreed::by_the_first;
use crate::dropout::Dropping;
use crate::fine_tune::{AdapterFineTune, FineTune, FullFineTune};
use crate::health::Health;
use crate::observer::{Observer, Watch};
use crate::opening::{begin, hold_inputs, open_folder, open_recorder};
use crate::recorder::Writing;
use crate::rollout::Given;
use crate::stream::{Fitting, Stream};
use crate::supervised::CrossEntropy;
use crate::training::{Finished, Training};
use crate::update::Update;
use burn::tensor::DType;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use vigos_checkpoint::checkpoints::write_folder;
use vigos_data::{DataRequest, Dataset};
use vigos_models::Parameters;
use vigos_plan::fit::longest_alone;
use vigos_plan::growth::Growth;
use vigos_plan::micro_batches::MicroBatches;
use vigos_plan::supervised::SupervisedPlan;
use vigos_recipe::demonstration::DemonstrationMaker;
use vigos_recipe::resume::Run;
use vigos_recipe::sft::{SftRecipe, Stored, TrainedWeights};
use vigos_rollout::adapter::{lora_config, open_adapter};
use vigos_rollout::base::{ModelFiles, base_name, kept};
use vigos_rollout::run_folder::RunFolder;
use vigos_rollout::{RunError, RunOptions};

/// What to train, and where.
pub type SftOptions<'a> = RunOptions<'a, SftRecipe>;

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
) -> Result<Finished, RunError> {
    let RunOptions { recipe, kit, device, memory, ranks, .. } = *options;
    let mut folder = open_folder(options, Run::Sft, observer)?;
    let mut fetching = |file: &str, bytes, size| observer.fetching(file, bytes, size);
    let dataset = kit.sources.open(&DataRequest::from(&recipe.data), &mut fetching)?;
    let files =
        ModelFiles::open(&recipe.model.path, &kit.families, recipe.data.rows.max_pixels, &mut fetching)?;
    let model = files.config.architecture();
    let maker = DemonstrationMaker {
        processor: &files.processor,
        stop: files.stops[0],
        max_tokens: recipe.max_tokens(model.text.max_position_embeddings)?,
        min_image_side: recipe.data.rows.min_image_side,
        max_image_pixels: recipe.data.rows.max_image_pixels,
    };
    let adapter = match recipe.train.weights {
        TrainedWeights::All => None,
        TrainedWeights::Adapter => {
            let (wanted, from) = (lora_config(&recipe.lora)?, recipe.model.adapter.as_deref());
            Some(open_adapter(&wanted, from, model, recipe.train.seed, device, &mut fetching)?)
        }
    };
    let planned = adapter.as_ref().map(|adapter| adapter.config.clone());
    let plan = SupervisedPlan::of(recipe, planned);
    let mut plan = plan.with_first_rows(&maker, &dataset, recipe.train.seed)?;
    plan.kept = plan.kept.on(device);
    let plan = plan.with_recompute(recipe.train.recompute, model, memory);
    observer.memory(&plan, model, maker.max_tokens);
    let samples = Fitting { maker, longest: longest_alone(&plan, model, memory, maker.max_tokens) };
    let keep = plan.keep;
    hold_inputs(&mut folder, &files, &dataset, ranks, observer)?;
    let mut fetching = |file: &str, bytes, size| observer.fetching(file, bytes, size);
    let base = files.weights(&mut fetching)?;
    match adapter {
        None => {
            let weights = Parameters::load(model, &base, device)?;
            let stored = match recipe.output.dtype {
                Stored::F32 => DType::F32,
                Stored::F16 => DType::F16,
                Stored::Bf16 => DType::BF16,
            };
            let config = files.config.clone();
            let fine_tune = FullFineTune { base, config, device: device.clone(), stored, keep };
            let run =
                Supervised { options, files: &files, samples, fine_tune, dropout: 0.0, output: "model" };
            run.run(weights, dataset, folder, &mut Watch::new(observer, stop, ranks))
        }
        Some(weights) => {
            let base =
                files.config.load(&base, device, kept(recipe.train.precision, recipe.model.quantize))?;
            let (name, lora) = (base_name(&recipe.model.path), lora_config(&recipe.lora)?);
            let fine_tune = AdapterFineTune { base: base.into(), name, lora, keep };
            let dropout = recipe.lora.dropout;
            let run = Supervised { options, files: &files, samples, fine_tune, dropout, output: "adapter" };
            run.run(weights, dataset, folder, &mut Watch::new(observer, stop, ranks))
        }
    }
}

/// What does not change in a run.
struct Supervised<'a, F> {
    options: &'a SftOptions<'a>,
    files: &'a ModelFiles,
    samples: Fitting<DemonstrationMaker<'a>>,
    fine_tune: F,
    /// An adapter's dropout.
    dropout: f64,
    /// Folder of the trained model in the run's.
    output: &'static str,
}

impl<F: FineTune> Supervised<'_, F> {
    /// Trains from `weights`, or from the folder's last checkpoint, and exports the result.
    fn run(
        &self,
        weights: F::Weights,
        dataset: Dataset,
        mut folder: RunFolder,
        watch: &mut Watch,
    ) -> Result<Finished, RunError> {
        let Supervised { options, files, fine_tune, .. } = self;
        let RunOptions { recipe, device, ranks, .. } = **options;
        let total = recipe.total_steps(dataset.count().get());
        let (weights, optimiser, state) =
            begin(options, &mut folder, fine_tune, |_| Ok(weights), total, watch.observer)?;
        let output = folder.path().join(self.output);

        let writing = Writing {
            checkpoint: &recipe.checkpoint,
            every: recipe.log.every,
            rollouts_every: 0,
            rollouts_max: 0,
            recordings: None,
            tensorboard: recipe.log.tensorboard,
            max_bad_share: recipe.data.rows.max_bad_share,
        };
        let mut recorder = open_recorder(&folder, writing, &state, ranks)?;
        let cut = MicroBatches::from(&recipe.train);
        let dropping = Dropping { probability: self.dropout, seed: recipe.train.seed };
        let mut training = Training {
            stream: Stream::new(dataset, &recipe.data.path, recipe.train.seed, Box::new(self.samples)),
            rollout: Given { files },
            objective: CrossEntropy { fine_tune, dropping, cut },
            update: Update::new(weights, optimiser, &recipe.optim, total, device),
            fine_tune,
            samples: cut.samples(),
            ahead: None,
            next: None,
            max_lost_steps: recipe.train.max_lost_steps,
            state,
            health: Health::default(),
            growth: Growth::default(),
            judging: None,
        };
        let finished = training.run(&mut recorder, watch)?;
        if finished.interrupted {
            return Ok(finished);
        }
        let export = |folder: &Path| fine_tune.export(&training.update.weights, folder);
        by_the_first(ranks, || write_folder(&output, export), || Ok(()))?;
        Ok(Finished { output, ..finished })
    }
}
