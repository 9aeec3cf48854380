//! Everything that a recipe names, loaded: model, adapter, processor, prompts.

use crate::error::TrainError;
use crate::objective::Rollout;
use crate::prompts::Prompts;
use crate::recipe::{Lora, Precision, Recipe};
use crate::samples::SampleMaker;
use burn::tensor::{DType, Device};
use std::path::{Path, PathBuf};
use vigos_data::{Dataset, Fields};
use vigos_hub::{Hub, Progress, Reference, is_reference, model_folder};
use vigos_models::agreement::check_processor;
use vigos_models::generation::stop_tokens;
use vigos_models::{Adapter, Config, Dropout, DropoutPair, LoraConfig, Model, Projection, peft};
use vigos_processor::{ImagePatches, Processor};
use vigos_rollout::sampler::Sampling;
use vigos_rollout::spans::{CompletionText, Verdict};

/// A loaded recipe.
#[derive(Debug)]
pub struct Session<'a> {
    /// What was asked for.
    pub recipe: &'a Recipe,
    /// The frozen base.
    pub model: Model,
    /// The adapter to start from.
    pub adapter: Adapter,
    /// Text and images to what the model reads.
    pub processor: Processor,
    /// Tokens that end a completion.
    pub stops: Vec<u32>,
    prompts: Prompts,
}

impl<'a> Session<'a> {
    /// Loads all that `recipe` names onto `device`; `progress` sees what has to be fetched from the hub.
    ///
    /// # Errors
    /// If a file is missing or wrong, or the recipe asks for what the model does not have.
    pub fn open(recipe: &'a Recipe, device: &Device, progress: &mut Progress) -> Result<Self, TrainError> {
        let prompts = Prompts::for_method(&recipe.method)?;
        sampling(recipe).check()?;
        let wanted = lora_config(&recipe.lora)?;
        let ModelFolder { path, processor, stops } =
            ModelFolder::open(&recipe.model.path, recipe.data.max_pixels, progress)?;
        let model = Model::load(&path, device, dtype(recipe.train.precision))?;
        check_processor(&model.config, &processor, &path)?;
        let adapter =
            open_adapter(&wanted, recipe.model.adapter.as_deref(), &model.config, recipe.train.seed, device)?;
        Ok(Self { recipe, model, adapter, processor, stops, prompts })
    }

    /// Makes samples ready for this model and method.
    pub fn samples(&self) -> SampleMaker<'_> {
        SampleMaker {
            processor: &self.processor,
            prompts: &self.prompts,
            method: &self.recipe.method,
            max_prompt_tokens: self.recipe.train.max_prompt_tokens,
            min_image_side: self.recipe.data.min_image_side,
        }
    }

    /// The bytes of a completion and where they come from.
    pub fn text(&self, completion: &[u32]) -> CompletionText {
        let tokenizer = self.processor.tokenizer();
        CompletionText::new(completion, |id| tokenizer.token_bytes(id).unwrap_or_default(), &self.stops)
    }

    /// The training forward's dropout over the packed rows of a micro-batch whose samples have these numbers
    /// in the run; nothing if the recipe has none.
    pub fn dropout(&self, step: u64, numbers: &[u64], rollouts: &[Rollout]) -> Option<DropoutPair> {
        let samples: Vec<DroppedSample> = numbers
            .iter()
            .zip(rollouts)
            .map(|(&number, r)| DroppedSample {
                number,
                tokens: r.sample.student.ids.len() + r.completion.len(),
                images: &r.sample.images,
            })
            .collect();
        let (probability, seed) = (self.recipe.lora.dropout, self.recipe.train.seed);
        dropout(probability, seed, step, &samples, &self.model.device)
    }

    /// The format verdict on a completion.
    pub fn judge(&self, completion: &[u32]) -> Verdict {
        self.text(completion).verdict(self.recipe.method.fidelity)
    }
}

/// Opens the recipe's data set; `progress` sees what has to be fetched from the hub.
///
/// # Errors
/// If it cannot be had or is wrong, or has no such split.
pub fn open_dataset(recipe: &Recipe, progress: &mut Progress) -> Result<Dataset, TrainError> {
    let data = &recipe.data;
    let names = data.fields.clone();
    let fields = Fields { problem: names.problem, image: names.image, answer: names.answer, id: names.id };
    if is_reference(&data.path) {
        if let Some(split) = &data.split {
            return Err(TrainError::Setting {
                key: "data.split".into(),
                found: format!("\"{split}\""),
                wanted: "nothing: data.path names the split after its @".into(),
            });
        }
        let files = Hub::from_env()?.dataset(&data.path, progress)?;
        return Ok(Dataset::open_parquet(&data.path, files, &fields, data.limit)?);
    }
    Ok(Dataset::open_split(&data.path, data.split.as_deref(), &fields, data.limit)?)
}

/// What a model folder holds besides its weights.
pub(crate) struct ModelFolder {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// Text and images to what the model reads.
    pub(crate) processor: Processor,
    /// Tokens that end a completion.
    pub(crate) stops: Vec<u32>,
}

impl ModelFolder {
    /// Opens a folder, or what `hf:` names; `progress` sees what has to be fetched from the hub.
    ///
    /// # Errors
    /// If a file is missing or wrong.
    pub(crate) fn open(
        path: &Path,
        max_pixels: Option<usize>,
        progress: &mut Progress,
    ) -> Result<Self, TrainError> {
        let path = model_folder(path, progress)?;
        let mut processor = Processor::from_dir(&path)?;
        if let Some(pixels) = max_pixels {
            processor = processor.with_max_pixels(pixels as u64)?;
        }
        let stops = stop_tokens(&path)?;
        Ok(Self { path, processor, stops })
    }
}

/// The adapter to start from: a new one, or that of a PEFT folder, which must be as `wanted` says.
///
/// # Errors
/// If the folder's adapter cannot be read or is another.
pub(crate) fn open_adapter(
    wanted: &LoraConfig,
    path: Option<&Path>,
    model: &Config,
    seed: u64,
    device: &Device,
) -> Result<Adapter, TrainError> {
    let Some(path) = path else { return Ok(Adapter::init(wanted, model, seed, device)) };
    let mut adapter = peft::load(path, model, device)?;
    let found = &adapter.config;
    if (found.rank, found.alpha, &found.targets) != (wanted.rank, wanted.alpha, &wanted.targets) {
        return Err(TrainError::Setting {
            key: "lora".into(),
            found: describe(wanted),
            wanted: format!("what the adapter {} has: {}", path.display(), describe(found)),
        });
    }
    adapter.config.dropout = wanted.dropout;
    Ok(adapter)
}

/// A sample of a micro-batch, as dropout sees it.
pub(crate) struct DroppedSample<'a> {
    /// Its number in the run.
    pub(crate) number: u64,
    /// Its tokens.
    pub(crate) tokens: usize,
    /// Its images.
    pub(crate) images: &'a [ImagePatches],
}

/// The training forward's dropout over the packed rows of these samples; nothing at probability 0.
pub(crate) fn dropout(
    probability: f64,
    seed: u64,
    step: u64,
    samples: &[DroppedSample],
    device: &Device,
) -> Option<DropoutPair> {
    if probability <= 0.0 {
        return None;
    }
    let text = samples.iter().flat_map(|s| (0..s.tokens as u64).map(move |position| (s.number, position)));
    // A patch is named by its image and its place in it.
    let vision = samples.iter().flat_map(|s| {
        s.images.iter().zip(1u64..).flat_map(move |(image, order)| {
            (0..image.grid.patches() as u64).map(move |patch| (s.number, (order << 32) + patch))
        })
    });
    Some(DropoutPair {
        vision: Dropout::new(probability, seed, step, vision, device),
        text: Dropout::new(probability, seed, step, text, device),
    })
}

/// Burn's name of a number format.
pub(crate) fn dtype(precision: Precision) -> DType {
    match precision {
        Precision::F32 => DType::F32,
        Precision::Bf16 => DType::BF16,
    }
}

/// The name of a base in an adapter's configuration: its name on the hub, or its folder.
pub fn base_name(path: &Path) -> String {
    Reference::model(path).map_or_else(|_| path.display().to_string(), |reference| reference.id)
}

/// The recipe's sampling settings.
pub fn sampling(recipe: &Recipe) -> Sampling {
    let rollout = &recipe.rollout;
    Sampling {
        temperature: rollout.temperature,
        top_k: rollout.top_k,
        top_p: rollout.top_p,
        min_p: rollout.min_p,
        repetition_penalty: rollout.repetition_penalty,
        presence_penalty: rollout.presence_penalty,
    }
}

/// The adapter that a recipe asks for.
///
/// # Errors
/// If a target is no layer that can carry one.
pub(crate) fn lora_config(lora: &Lora) -> Result<LoraConfig, TrainError> {
    let mut targets = lora
        .targets
        .iter()
        .map(|name| {
            Projection::named(name).ok_or_else(|| TrainError::Setting {
                key: "lora.targets".into(),
                found: format!("`{name}`"),
                wanted: format!("some of {}", Projection::ALL.map(Projection::name).join(", ")),
            })
        })
        .collect::<Result<Vec<_>, _>>()?;
    targets.sort();
    targets.dedup();
    Ok(LoraConfig { rank: lora.rank, alpha: lora.alpha, dropout: lora.dropout, targets })
}

fn describe(config: &LoraConfig) -> String {
    let targets: Vec<&str> = config.targets.iter().map(|t| t.name()).collect();
    format!("rank {}, alpha {}, targets {}", config.rank, config.alpha, targets.join(", "))
}
