//! A model folder opened to compute with: prompts first, weights only when they are all known to be sound.

use crate::args::{ModelArgs, Precision};
use crate::error::CliError;
use burn::tensor::{DType, Device};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use vigos::kit;
use vigos_hub::HubError;
use vigos_kernels::Bits;
use vigos_models::agreement::check_processor;
use vigos_models::source::Kept;
use vigos_models::weights::Weights;
use vigos_models::{ActiveAdapter, Adapter, Architecture, ModelConfig, VisionLanguageModel, peft};
use vigos_plan::{Estimate, generation};
use vigos_processor::patches::{self, PatchError};
use vigos_processor::{
    DecodeLimits, Grid, ImagePatches, Message, Part, Processor, RgbImage, Sequence, decode,
};
use vigos_terminal::progress::Transfer;

/// The small files of a model folder, read and checked.
pub(crate) struct Opened<'a> {
    args: &'a ModelArgs,
    folder: PathBuf,
    adapter: Option<PathBuf>,
    config: Arc<dyn ModelConfig>,
    /// Text and images to what the model reads.
    pub(crate) processor: Processor,
}

/// The weights.
pub(crate) struct Loaded {
    /// The frozen base.
    pub(crate) model: Box<dyn VisionLanguageModel>,
    adapter: Option<Adapter>,
}

impl Loaded {
    /// The adapter, in eval mode.
    pub(crate) fn adapter(&self) -> Option<ActiveAdapter<'_>> {
        self.adapter.as_ref().map(|adapter| ActiveAdapter { adapter, dropout: None })
    }
}

/// The folder of the model that `--model` names, fetched from the hub if it is named as `hf:ORG/NAME`.
///
/// # Errors
/// If it cannot be fetched, or there is no such folder.
pub(crate) fn base_folder(name: &Path) -> Result<PathBuf, CliError> {
    let mut transfer = Transfer::default();
    let folder = vigos_hub::model_folder(name, &mut |file, bytes, size| transfer.set(file, bytes, size));
    let folder = folder.map_err(|error| named("--model", error))?;
    transfer.finish();
    exists("--model", &folder, "name a model folder in Hugging Face layout, as downloaded")?;
    Ok(folder)
}

/// The same for the adapter that `--adapter` names.
///
/// # Errors
/// As [`base_folder`].
pub(crate) fn adapter_folder(name: &Path) -> Result<PathBuf, CliError> {
    let mut transfer = Transfer::default();
    let folder = vigos_hub::adapter_folder(name, &mut |file, bytes, size| transfer.set(file, bytes, size));
    let folder = folder.map_err(|error| named("--adapter", error))?;
    transfer.finish();
    exists("--adapter", &folder, "name a PEFT folder, such as runs/NAME/checkpoints/step-000050")?;
    Ok(folder)
}

/// The formats that a precision stands for.
pub(crate) fn kept(precision: Precision) -> Kept {
    match precision {
        Precision::F32 => DType::F32.into(),
        Precision::Bf16 => DType::BF16.into(),
        Precision::Int8 => Kept::from(DType::BF16).quantised(Some(Bits::Eight)),
        Precision::Int4 => Kept::from(DType::BF16).quantised(Some(Bits::Four)),
    }
}

/// The error with the flag that it is about.
fn named(flag: &str, error: HubError) -> CliError {
    match error {
        HubError::BareName { .. } | HubError::Reference { .. } => {
            CliError::input(flag, error.to_string(), "")
        }
        other => other.into(),
    }
}

/// What is there and is something else says so when it is read.
fn exists(flag: &str, folder: &Path, hint: &str) -> Result<(), CliError> {
    match folder.exists() {
        true => Ok(()),
        false => Err(CliError::input(flag, format!("{}: there is no such folder", folder.display()), hint)),
    }
}

impl<'a> Opened<'a> {
    /// Reads the configuration, the tokenizer and the processor of the folder, which comes from the hub if the
    /// model is named as `hf:ORG/NAME`.
    ///
    /// # Errors
    /// If a folder is missing, a file is missing or wrong, or the files are not of one model.
    pub(crate) fn open(args: &'a ModelArgs) -> Result<Self, CliError> {
        let model = base_folder(&args.model)?;
        let adapter = args.adapter.as_deref().map(adapter_folder).transpose()?;
        let config = kit().families.read(&model)?;
        let processor = Processor::from_dir(&model)?;
        check_processor(config.architecture(), &processor, &model)?;
        Ok(Self { args, folder: model, adapter, config, processor })
    }

    /// What the model is made of.
    pub(crate) fn architecture(&self) -> &Architecture {
        self.config.architecture()
    }

    /// The folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Loads the weights onto `device`.
    ///
    /// # Errors
    /// If the weights or the adapter are not those of this model.
    pub(crate) fn load(&self, device: &Device) -> Result<Loaded, CliError> {
        let adapter = match &self.adapter {
            Some(folder) => Some(peft::load(folder, self.architecture(), device)?),
            None => None,
        };
        Ok(Loaded { model: self.config.load(&self.folder, device, kept(self.args.precision))?, adapter })
    }

    /// What it takes to complete a prompt of so many tokens with up to `completion` more, `images` of the prompt's
    /// being its images'.
    pub(crate) fn memory(&self, [prompt, images, completion]: [usize; 3], device: &Device) -> Estimate {
        // An adapter that cannot be opened is an error when it is loaded.
        let file = self.adapter.as_ref().map(|folder| folder.join("adapter_model.safetensors"));
        let adapter = file.and_then(|file| Weights::open_file(&file).ok()).map_or(0, |file| file.values());
        let tokens = [prompt, images, completion].map(|n| n as u64);
        generation(self.architecture(), kept(self.args.precision).on(device), adapter, tokens)
    }

    /// The prompt of a user's turn, images first, of which `grids` has one each.
    ///
    /// `origin` and `field` say where it comes from. The model must have room for `extra` more tokens.
    ///
    /// # Errors
    /// If the text cannot be encoded or the prompt is longer than the model takes.
    pub(crate) fn prompt(
        &self,
        origin: &str,
        grids: &[Grid],
        text: &str,
        prefill: &str,
        extra: usize,
    ) -> Result<Sequence, CliError> {
        let mut parts = vec![Part::Image; grids.len()];
        if !text.is_empty() {
            parts.push(Part::Text(text.to_owned()));
        }
        let prompt = self.processor.prompt(&[Message::user(parts)], prefill, grids)?.sequence;
        let limit = self.architecture().text.max_position_embeddings;
        let tokens = prompt.ids.len();
        if tokens.saturating_add(extra) > limit {
            let more = if extra > 0 { format!(" and a completion of {extra}") } else { String::new() };
            let found = format!(
                "found a prompt of {tokens} tokens{more}, wanted at most {limit} in all (max_position_embeddings of {})",
                self.folder().join("config.json").display()
            );
            return Err(CliError::input(origin, found, "shorten what is longest, or scale the images down"));
        }
        Ok(prompt)
    }

    /// Reads an image file that `origin` names.
    ///
    /// # Errors
    /// If it is missing, damaged, too large, or of a shape that the model does not take.
    pub(crate) fn image(&self, origin: &str, path: &Path) -> Result<(RgbImage, Grid), CliError> {
        let fault = |message: String| {
            let hint = "wanted a PNG, JPEG, GIF or WebP file that the model takes";
            CliError::input(origin, format!("{}: {message}", path.display()), hint)
        };
        match path.metadata() {
            Ok(found) if found.is_file() => {}
            Ok(_) => return Err(fault("it is not a regular file".into())),
            Err(_) => return Err(fault("there is no such file".into())),
        }
        let image = decode::open(path, &DecodeLimits::default()).map_err(|error| fault(error.to_string()))?;
        let grid = patches::grid(image.height(), image.width(), self.processor.image_config())
            .map_err(|error| fault(error.to_string()))?;
        Ok((image, grid))
    }

    /// An image as the vision tower reads it; `origin` names its file at `path`.
    ///
    /// # Errors
    /// If it has no size that the model takes.
    pub(crate) fn patches(
        &self,
        origin: &str,
        path: &Path,
        image: &RgbImage,
    ) -> Result<ImagePatches, CliError> {
        let fault = |error: PatchError| CliError::input(origin, format!("{}: {error}", path.display()), "");
        self.processor.patches(image).map_err(fault)
    }
}
