//! Families of models, and how the one of a model folder is found.
//!
//! Who trains, samples or judges names no family: it is handed [`Families`] by who put the program together.

use crate::architecture::Architecture;
use crate::config_file::ConfigFile;
use crate::error::ModelError;
use crate::model::VisionLanguageModel;
use crate::parameters::Parameters;
use crate::source::Kept;
use crate::weights::Weights;
use burn::tensor::Device;
use std::fmt::Debug;
use std::path::Path;
use std::sync::Arc;
use vigos_kernels::on_cpu;

/// A family of models, as `model_type` of a `config.json` names it.
pub trait Family: Debug + Send + Sync {
    /// Its name in `model_type`.
    fn model_type(&self) -> &'static str;

    /// Checks and understands a configuration file of this family.
    ///
    /// # Errors
    /// If it lacks a key, asks for what is not supported, or holds numbers that no model can have.
    fn read(&self, file: &ConfigFile) -> Result<Arc<dyn ModelConfig>, ModelError>;
}

/// A checked configuration: what it describes, and how weights make a model of it.
pub trait ModelConfig: Debug + Send + Sync {
    /// What it describes.
    fn architecture(&self) -> &Arc<Architecture>;

    /// The model with these weights, which are by canonical name, on `device`, kept as that does it.
    ///
    /// # Errors
    /// If a tensor is missing or cannot be read.
    fn build(
        &self,
        weights: &Weights,
        device: &Device,
        kept: Kept,
    ) -> Result<Box<dyn VisionLanguageModel>, ModelError>;

    /// The model that weights which are trained make up at the moment, in f32 on `device`. It shares them and does
    /// not change with them.
    ///
    /// # Panics
    /// If they are the weights of another architecture.
    fn freeze(&self, weights: &Parameters, device: &Device) -> Box<dyn VisionLanguageModel>;

    /// Loads the weights of a folder in Hugging Face layout onto `device`.
    ///
    /// # Errors
    /// If the tensors are not exactly those of the model, or the device has not the format that they are kept in.
    fn load(
        &self,
        folder: &Path,
        device: &Device,
        kept: Kept,
    ) -> Result<Box<dyn VisionLanguageModel>, ModelError> {
        // Of less than f32 the CPU's products are our own.
        if !on_cpu(device) && !device.supports_dtype(kept.weights) {
            let format = format!("{:?}", kept.weights).to_lowercase();
            return Err(ModelError::Format { device: format!("{device:?}"), format });
        }
        self.build(&Weights::open_model(folder, self.architecture())?, device, kept)
    }
}

/// The families that a program knows; none by default.
///
/// ```
/// use vigos_models::{ConfigFile, Families};
///
/// let file = ConfigFile::parse(r#"{"model_type": "llama"}"#, "config.json".as_ref())?;
/// let error = Families::default().parse(&file).unwrap_err();
/// assert!(error.to_string().starts_with("config.json:model_type: found llama"));
/// # Ok::<(), vigos_models::ModelError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Families(Arc<[&'static dyn Family]>);

impl Families {
    /// These families.
    pub fn new(families: impl IntoIterator<Item = &'static dyn Family>) -> Self {
        Self(families.into_iter().collect())
    }

    /// The same with those of `other` as well.
    pub fn and(&self, other: &Self) -> Self {
        Self::new(self.0.iter().chain(&*other.0).copied())
    }

    /// Their names.
    pub fn model_types(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().map(|family| family.model_type())
    }

    /// Understands a configuration file by its family.
    ///
    /// # Errors
    /// If its family is none of these, or refuses it, or its weights are quantised.
    pub fn parse(&self, file: &ConfigFile) -> Result<Arc<dyn ModelConfig>, ModelError> {
        file.is_not_quantised()?;
        match self.0.iter().find(|family| family.model_type() == file.model_type()) {
            Some(family) => family.read(file),
            None => Err(file.unknown_family(self.model_types())),
        }
    }

    /// Reads `config.json` in `folder`.
    ///
    /// # Errors
    /// If the file is missing or is not JSON, its family is none of these, or refuses it.
    pub fn read(&self, folder: &Path) -> Result<Arc<dyn ModelConfig>, ModelError> {
        self.parse(&ConfigFile::of_folder(folder)?)
    }

    /// Loads a folder in Hugging Face layout onto `device`.
    ///
    /// # Errors
    /// If the configuration is not supported, or the tensors are not exactly those of the model.
    pub fn load(
        &self,
        folder: &Path,
        device: &Device,
        kept: impl Into<Kept>,
    ) -> Result<Box<dyn VisionLanguageModel>, ModelError> {
        self.read(folder)?.load(folder, device, kept.into())
    }
}
