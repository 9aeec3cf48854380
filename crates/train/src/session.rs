//! Everything that a recipe names, loaded: model, adapter, processor, prompts.

use crate::error::TrainError;
use crate::objective::Rollout;
use crate::prompts::Prompts;
use crate::recipe::{Lora, Precision, Recipe};
use crate::samples::SampleMaker;
use crate::shapes::{self, is_drawn};
use burn::tensor::{DType, Device};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use vigos_data::{Dataset, Fields};
use vigos_hub::{Hub, Progress, Reference, adapter_folder, is_reference, model_folder};
use vigos_models::agreement::check_processor;
use vigos_models::generation::stop_tokens;
use vigos_models::{Adapter, Config, Dropout, DropoutPair, LoraConfig, Model, Projection, peft};
use vigos_processor::{ImagePatches, Processor};
use vigos_rollout::sampler::Sampling;
use vigos_rollout::spans::{CompletionText, Verdict};

/// The base that a recipe names, and all that stands between it and text.
#[derive(Debug)]
pub struct Base<'a> {
    /// What was asked for.
    pub recipe: &'a Recipe,
    /// The frozen base.
    pub model: Model,
    /// Text and images to what the model reads.
    pub processor: Processor,
    /// Tokens that end a completion.
    pub stops: Vec<u32>,
    prompts: Prompts,
}

/// A loaded recipe: the base with an adapter to train.
#[derive(Debug)]
pub struct Session<'a> {
    base: Base<'a>,
    /// The adapter to start from.
    pub adapter: Adapter,
}

impl<'a> Deref for Session<'a> {
    type Target = Base<'a>;

    fn deref(&self) -> &Base<'a> {
        &self.base
    }
}

impl<'a> Base<'a> {
    /// Loads the base onto `device`; `progress` sees what has to be fetched from the hub.
    ///
    /// # Errors
    /// If a file is missing or wrong.
    pub fn open(recipe: &'a Recipe, device: &Device, progress: &mut Progress) -> Result<Self, TrainError> {
        let prompts = Prompts::for_method(&recipe.method)?;
        let ModelFolder { path, processor, stops } =
            ModelFolder::open(&recipe.model.path, recipe.data.max_pixels, progress)?;
        let model = Model::load(&path, device, dtype(recipe.train.precision))?;
        check_processor(&model.config, &processor, &path)?;
        Ok(Self { recipe, model, processor, stops, prompts })
    }

    /// Makes samples ready for this model and method.
    pub fn samples(&self) -> SampleMaker<'_> {
        SampleMaker::of(self.recipe, &self.processor, &self.prompts)
    }

    /// The bytes of a completion and where they come from.
    pub fn text(&self, completion: &[u32]) -> CompletionText {
        let tokenizer = self.processor.tokenizer();
        CompletionText::new(completion, |id| tokenizer.token_bytes(id).unwrap_or_default(), &self.stops)
    }

    /// The format verdict on a completion.
    pub fn judge(&self, completion: &[u32]) -> Verdict {
        self.text(completion).verdict(self.recipe.method.fidelity)
    }
}

impl<'a> Session<'a> {
    /// Loads all that `recipe` names onto `device`; `progress` sees what has to be fetched from the hub.
    ///
    /// # Errors
    /// If a file is missing or wrong, or the recipe asks for what the model does not have.
    pub fn open(recipe: &'a Recipe, device: &Device, progress: &mut Progress) -> Result<Self, TrainError> {
        let wanted = lora_config(&recipe.lora)?;
        sampling(recipe).check()?;
        let base = Base::open(recipe, device, progress)?;
        let (from, seed) = (recipe.model.adapter.as_deref(), recipe.train.seed);
        let adapter = open_adapter(&wanted, from, &base.model.config, seed, device, progress)?;
        Ok(Self { base, adapter })
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
        let processor = open_processor(&path, max_pixels)?;
        let stops = stop_tokens(&path)?;
        Ok(Self { path, processor, stops })
    }
}

/// The processor of the model in `folder`, which scales larger images down to `max_pixels`.
///
/// # Errors
/// If one of its files is missing or wrong, or the limit is.
pub(crate) fn open_processor(folder: &Path, max_pixels: Option<usize>) -> Result<Processor, TrainError> {
    let processor = Processor::from_dir(folder)?;
    Ok(match max_pixels {
        Some(pixels) => processor.with_max_pixels(pixels as u64)?,
        None => processor,
    })
}

/// The adapter to start from: a new one, or that of a PEFT folder or of what `hf:` names, which must be as `wanted`
/// says; `progress` sees what has to be fetched from the hub.
///
/// # Errors
/// If that adapter cannot be read or is another.
pub(crate) fn open_adapter(
    wanted: &LoraConfig,
    path: Option<&Path>,
    model: &Config,
    seed: u64,
    device: &Device,
    progress: &mut Progress,
) -> Result<Adapter, TrainError> {
    let Some(path) = path else { return Ok(Adapter::init(wanted, model, seed, device)) };
    let mut adapter = peft::load(&adapter_folder(path, progress)?, model, device)?;
    // Patterns that give some layers another rank or α, or fewer layers, are the adapter's own to keep.
    let found = LoraConfig {
        rank: adapter.config.rank,
        alpha: adapter.config.alpha,
        dropout: wanted.dropout,
        targets: adapter.projections().into_iter().collect(),
    };
    if found != *wanted {
        return Err(TrainError::Setting {
            key: "lora".into(),
            found: describe(wanted),
            wanted: format!("what the adapter {} has: {}", path.display(), describe(&found)),
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

/// Opens the recipe's data set; `progress` sees what has to be fetched from the hub.
///
/// # Errors
/// If it cannot be had or is wrong, or has no such split.
pub fn open_dataset(recipe: &Recipe, progress: &mut Progress) -> Result<Dataset, TrainError> {
    let data = &recipe.data;
    let names = data.fields.clone();
    let fields = Fields { problem: names.problem, image: names.image, answer: names.answer, id: names.id };
    let source =
        Source { section: "data", path: &data.path, split: data.split.as_deref(), limit: data.limit };
    source.open(&fields, progress)
}

/// A data set as a section of a recipe names it.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// The section.
    pub section: &'a str,
    /// Its `path`.
    pub path: &'a Path,
    /// Its `split`.
    pub split: Option<&'a str>,
    /// Its `limit`.
    pub limit: Option<usize>,
}

impl Source<'_> {
    /// Opens it to read rows of these fields.
    ///
    /// # Errors
    /// As [`open_dataset`].
    pub fn open(&self, fields: &Fields, progress: &mut Progress) -> Result<Dataset, TrainError> {
        let drawn = is_drawn(self.path);
        if !drawn && !is_reference(self.path) {
            return Ok(Dataset::open_split(self.path, self.split, fields, self.limit)?);
        }
        if let Some(split) = self.split {
            return Err(TrainError::Setting {
                key: format!("{}.split", self.section),
                found: format!("\"{split}\""),
                wanted: format!("nothing: {}.path names the split", self.section),
            });
        }
        if drawn {
            return shapes::dataset(self.path, self.limit);
        }
        let files = Hub::from_env()?.dataset(self.path, progress)?;
        Ok(Dataset::open_parquet(self.path, files, fields, self.limit)?)
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

/// Burn's name of a number format.
pub(crate) fn dtype(precision: Precision) -> DType {
    match precision {
        Precision::F32 => DType::F32,
        Precision::Bf16 => DType::BF16,
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
