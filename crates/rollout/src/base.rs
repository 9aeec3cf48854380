//! The frozen base that a recipe names, loaded, and all that stands between it and text.

use crate::engine::Finish;
use crate::error::RunError;
use crate::kit::Kit;
use crate::rolled_out::RolledOut;
use crate::spans::CompletionText;
use burn::tensor::{DType, Device};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use vigos_hub::{Progress, Reference, model_folder, side_files_folder};
use vigos_kernels::Bits;
use vigos_models::agreement::check_processor;
use vigos_models::generation::stop_tokens;
use vigos_models::source::Kept;
use vigos_models::{Families, ModelConfig, VisionLanguageModel};
use vigos_processor::Processor;
use vigos_recipe::prompts::Prompts;
use vigos_recipe::sample::{Sample, SampleMaker};
use vigos_recipe::{Precision, Quantize, Recipe};

/// The key that names a model.
const KEY: &str = "model.path";

/// What a model folder holds besides its weights: enough to make samples, and to plan memory.
#[derive(Debug)]
pub struct ModelFiles {
    /// The model as it was named.
    pub name: PathBuf,
    /// Its configuration.
    pub config: Arc<dyn ModelConfig>,
    /// Text and images to what the model reads.
    pub processor: Processor,
    /// Tokens that end a completion.
    pub stops: Vec<u32>,
}

impl ModelFiles {
    /// Opens those of a folder, or of what `hf:` names; the model is of one of `families`. Images larger than
    /// `max_pixels` are scaled down to it.
    /// `progress` sees what has to be fetched from the hub.
    ///
    /// # Errors
    /// If a file is missing or wrong, or processor and model do not belong together; the error names the key of recipes.
    pub fn open(
        name: &Path,
        families: &Families,
        max_pixels: Option<usize>,
        progress: &mut Progress,
    ) -> Result<Self, RunError> {
        Self::read(name, families, max_pixels, progress).map_err(|error| error.of(KEY))
    }

    fn read(
        name: &Path,
        families: &Families,
        max_pixels: Option<usize>,
        progress: &mut Progress,
    ) -> Result<Self, RunError> {
        let folder = side_files_folder(name, progress)?;
        let config = families.read(&folder)?;
        let processor = Processor::from_dir(&folder)?;
        let processor = match max_pixels {
            Some(pixels) => processor.with_max_pixels(pixels as u64)?,
            None => processor,
        };
        check_processor(config.architecture(), &processor, &folder)?;
        let stops = stop_tokens(&folder)?;
        Ok(Self { name: name.to_owned(), config, processor, stops })
    }

    /// The folder with the weights, fetched if need be.
    ///
    /// # Errors
    /// If it cannot be had.
    pub fn weights(&self, progress: &mut Progress) -> Result<PathBuf, RunError> {
        model_folder(&self.name, progress).map_err(|error| RunError::from(error).of(KEY))
    }

    /// The bytes of a completion and where they come from.
    pub fn text(&self, completion: &[u32]) -> CompletionText {
        let tokenizer = self.processor.tokenizer();
        CompletionText::new(completion, |id| tokenizer.token_bytes(id).unwrap_or_default(), &self.stops)
    }
}

/// The base that a recipe names, and all that stands between it and text.
#[derive(Debug)]
pub struct Base<'a> {
    /// What was asked for.
    pub recipe: &'a Recipe,
    /// The frozen base.
    pub model: Arc<dyn VisionLanguageModel>,
    /// Its other files.
    pub files: ModelFiles,
    prompts: Prompts,
    max_prompt_tokens: usize,
}

/// All that stands between a base and text, without the base's weights: what is wrong with anything else can be told
/// before they are loaded.
#[derive(Debug)]
pub struct BaseFiles<'a> {
    recipe: &'a Recipe,
    /// The model's files.
    pub model: ModelFiles,
    prompts: Prompts,
    /// The most tokens of a prompt.
    pub max_prompt_tokens: usize,
}

impl<'a> BaseFiles<'a> {
    /// Opens those of the base that a recipe names, with what `kit` brings along; `progress` sees what has to be fetched
    /// from the hub.
    ///
    /// # Errors
    /// If a file is missing or wrong, or the recipe asks for what the model has not.
    pub fn open(recipe: &'a Recipe, kit: &Kit, progress: &mut Progress) -> Result<Self, RunError> {
        let prompts = Prompts::with_contexts(&recipe.method, kit.contexts.clone())?;
        let pixels = recipe.data.rows.max_pixels;
        let model = ModelFiles::open(&recipe.model.path, &kit.families, pixels, progress)?;
        let context = model.config.architecture().text.max_position_embeddings;
        let max_prompt_tokens = recipe.train.max_prompt_tokens(context)?;
        Ok(Self { recipe, model, prompts, max_prompt_tokens })
    }

    /// Makes samples ready for this model and method: no prompt fills the model's whole context.
    pub fn samples(&self) -> SampleMaker<'_> {
        maker(self.recipe, &self.model.processor, &self.prompts, self.max_prompt_tokens)
    }

    /// Loads the weights onto `device`; `progress` sees what has to be fetched from the hub.
    ///
    /// # Errors
    /// If a file is missing or wrong.
    pub fn load(self, device: &Device, progress: &mut Progress) -> Result<Base<'a>, RunError> {
        let (files, precision) = (&self.model, kept(self.recipe.train.precision, self.recipe.model.quantize));
        let model = files.config.load(&files.weights(progress)?, device, precision)?;
        Ok(self.of(model.into()))
    }

    /// The base with these weights, which are those of its folder.
    pub fn of(self, model: Arc<dyn VisionLanguageModel>) -> Base<'a> {
        let Self { recipe, model: files, prompts, max_prompt_tokens } = self;
        Base { recipe, model, files, prompts, max_prompt_tokens }
    }
}

impl<'a> Base<'a> {
    /// Loads the base onto `device`, with what `kit` brings along; `progress` sees what has to be fetched from the hub.
    ///
    /// # Errors
    /// If a file is missing or wrong.
    pub fn open(
        recipe: &'a Recipe,
        kit: &Kit,
        device: &Device,
        progress: &mut Progress,
    ) -> Result<Self, RunError> {
        BaseFiles::open(recipe, kit, progress)?.load(device, progress)
    }

    /// Makes samples ready for this model and method: no prompt fills the model's whole context.
    pub fn samples(&self) -> SampleMaker<'_> {
        maker(self.recipe, &self.files.processor, &self.prompts, self.max_prompt_tokens)
    }

    /// A sample with a completion of these tokens, read for the format that the recipe's method asks for.
    pub fn read(&self, sample: Arc<Sample>, tokens: Vec<u32>, finish: Finish) -> RolledOut {
        let text = self.files.text(&tokens);
        let verdict = text.verdict(self.recipe.method.fidelity);
        RolledOut { sample, tokens, finish, text, verdict, foreign: None }
    }
}

/// Makes samples of a recipe's data, with prompts of up to `max_prompt_tokens` tokens.
fn maker<'a>(
    recipe: &'a Recipe,
    processor: &'a Processor,
    prompts: &'a Prompts,
    max_prompt_tokens: usize,
) -> SampleMaker<'a> {
    SampleMaker {
        processor,
        prompts,
        method: &recipe.method,
        max_prompt_tokens,
        min_image_side: recipe.data.rows.min_image_side,
        max_image_pixels: recipe.data.rows.max_image_pixels,
    }
}

/// The name of a base in an adapter's configuration: its name on the hub, or its folder.
pub fn base_name(path: &Path) -> String {
    Reference::model(path).map_or_else(|_| path.display().to_string(), |reference| reference.id)
}

/// The formats that a recipe asks for.
pub fn kept(precision: Precision, quantize: Quantize) -> Kept {
    let weights = match precision {
        Precision::F32 => DType::F32,
        Precision::Bf16 => DType::BF16,
    };
    Kept::from(weights).quantised(match quantize {
        Quantize::None => None,
        Quantize::Int8 => Some(Bits::Eight),
        Quantize::Int4 => Some(Bits::Four),
    })
}
