//! The frozen base that a recipe names, loaded, and all that stands between it and text.

use crate::error::RunError;
use crate::sampler::Sampling;
use crate::spans::{CompletionText, Verdict};
use burn::tensor::{DType, Device};
use std::path::{Path, PathBuf};
use vigos_hub::{Progress, Reference, model_folder};
use vigos_models::agreement::check_processor;
use vigos_models::generation::stop_tokens;
use vigos_models::{Families, VisionLanguageModel};
use vigos_processor::Processor;
use vigos_recipe::prompts::Prompts;
use vigos_recipe::sample::SampleMaker;
use vigos_recipe::{Precision, Recipe};

/// The base that a recipe names, and all that stands between it and text.
#[derive(Debug)]
pub struct Base<'a> {
    /// What was asked for.
    pub recipe: &'a Recipe,
    /// The frozen base.
    pub model: Box<dyn VisionLanguageModel>,
    /// Text and images to what the model reads.
    pub processor: Processor,
    /// Tokens that end a completion.
    pub stops: Vec<u32>,
    prompts: Prompts,
}

impl<'a> Base<'a> {
    /// Loads the base, of one of `families`, onto `device`; `progress` sees what has to be fetched from the hub.
    ///
    /// # Errors
    /// If a file is missing or wrong.
    pub fn open(
        recipe: &'a Recipe,
        families: &Families,
        device: &Device,
        progress: &mut Progress,
    ) -> Result<Self, RunError> {
        let prompts = Prompts::for_method(&recipe.method)?;
        let ModelFolder { path, processor, stops } =
            ModelFolder::open(&recipe.model.path, recipe.data.max_pixels, progress)?;
        let model = families.load(&path, device, dtype(recipe.train.precision))?;
        check_processor(model.architecture(), &processor, &path)?;
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

/// What a model folder holds besides its weights.
pub struct ModelFolder {
    /// Where it is.
    pub path: PathBuf,
    /// Text and images to what the model reads.
    pub processor: Processor,
    /// Tokens that end a completion.
    pub stops: Vec<u32>,
}

impl ModelFolder {
    /// Opens a folder, or what `hf:` names; `progress` sees what has to be fetched from the hub.
    ///
    /// # Errors
    /// If a file is missing or wrong.
    pub fn open(path: &Path, max_pixels: Option<usize>, progress: &mut Progress) -> Result<Self, RunError> {
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
pub fn open_processor(folder: &Path, max_pixels: Option<usize>) -> Result<Processor, RunError> {
    let processor = Processor::from_dir(folder)?;
    Ok(match max_pixels {
        Some(pixels) => processor.with_max_pixels(pixels as u64)?,
        None => processor,
    })
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
pub fn dtype(precision: Precision) -> DType {
    match precision {
        Precision::F32 => DType::F32,
        Precision::Bf16 => DType::BF16,
    }
}
