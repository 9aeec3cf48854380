//! What is trained: every weight of a model, or an adapter beside a frozen one; and how it is stored.

use burn::tensor::{DType, Device};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use vigos_models::cross_entropy::{CrossEntropy, cross_entropy, cross_entropy_with_head};
use vigos_models::export::save_model;
use vigos_models::gradient::Keep;
use vigos_models::weights::Weights;
use vigos_models::{
    ActiveAdapter, Adapter, DropoutPair, LoraConfig, ModelConfig, ModelError, Packed, Parameters, Target,
    Trained, VisionLanguageModel, peft, phase,
};
use vigos_processor::ImagePatches;
use vigos_rollout::RunError;
use vigos_rollout::adapter::fits;

/// The weights in f32, where the model is stored in fewer bits.
const MASTER: &str = "weights.safetensors";

/// Sequences with the tokens to learn in them, as the cross entropy takes them.
#[derive(Debug)]
pub struct Batch<'a> {
    /// The sequences.
    pub packed: Packed,
    /// Their images, in order.
    pub images: Vec<&'a ImagePatches>,
    /// The tokens to learn.
    pub targets: Vec<Target>,
    /// The weight of each.
    pub weight: f64,
    /// Rows of logits that may exist at a time.
    pub chunk: usize,
    /// An adapter's dropout.
    pub dropout: Option<DropoutPair>,
}

/// A way of fine-tuning: how weights make up a model, and how they are stored. What does not change is in here,
/// what does in its weights.
pub trait FineTune: Sync {
    /// What changes.
    type Weights: Trained + Clone + Send + Sync;

    /// The model that a step computes with.
    fn model(&self, weights: &Self::Weights) -> Arc<dyn VisionLanguageModel>;

    /// The cross entropy of a batch and its gradient; `model` is that of these weights.
    ///
    /// # Errors
    /// If a token is not in the model's vocabulary, or the device fails.
    fn gradient(
        &self,
        model: &dyn VisionLanguageModel,
        weights: &Self::Weights,
        batch: &Batch,
    ) -> Result<(CrossEntropy, Self::Weights), ModelError>;

    /// Writes the weights to a folder as others read them.
    ///
    /// # Errors
    /// If a file cannot be written.
    fn export(&self, weights: &Self::Weights, folder: &Path) -> Result<(), RunError>;

    /// Writes beside them what the export rounds away, so that training can go on as if never stopped.
    ///
    /// # Errors
    /// If a file cannot be written.
    fn keep(&self, weights: &Self::Weights, folder: &Path) -> Result<(), RunError>;

    /// The weights that were exported to and kept in `folder`.
    ///
    /// # Errors
    /// If a file is missing or wrong.
    fn restore(&self, folder: &Path) -> Result<Self::Weights, RunError>;
}

/// Trains every weight of a model.
#[derive(Clone, Debug)]
pub struct FullFineTune {
    /// The folder that training started from: its other files go into every export.
    pub base: PathBuf,
    /// What the weights are of.
    pub config: Arc<dyn ModelConfig>,
    /// Where it is trained.
    pub device: Device,
    /// In which precision it is stored.
    pub stored: DType,
    /// What a forward keeps for its backward.
    pub keep: Keep,
}

impl FineTune for FullFineTune {
    type Weights = Parameters;

    fn model(&self, weights: &Parameters) -> Arc<dyn VisionLanguageModel> {
        self.config.freeze(weights, &self.device).into()
    }

    fn gradient(
        &self,
        model: &dyn VisionLanguageModel,
        weights: &Parameters,
        batch: &Batch,
    ) -> Result<(CrossEntropy, Parameters), ModelError> {
        let (hidden, trace) = {
            let _student = phase!(model.device(), "student");
            model.forward_traced_all(weights, &batch.packed, &batch.images, self.keep)
        };
        let (loss, upstream) = {
            let _loss = phase!(model.device(), "loss");
            cross_entropy_with_head(model, &hidden, &batch.targets, batch.weight, batch.chunk)?
        };
        let _backward = phase!(model.device(), "backward");
        Ok((loss, model.backward_all(weights, trace, upstream, &batch.packed)))
    }

    fn export(&self, weights: &Parameters, folder: &Path) -> Result<(), RunError> {
        Ok(save_model(weights, &self.base, folder, self.stored)?)
    }

    fn keep(&self, weights: &Parameters, folder: &Path) -> Result<(), RunError> {
        match self.stored {
            DType::F32 => Ok(()),
            _ => Ok(peft::save_tensors(&weights.tensors(), &folder.join(MASTER))?),
        }
    }

    fn restore(&self, folder: &Path) -> Result<Parameters, RunError> {
        let model = self.config.architecture();
        let stored = match self.stored {
            DType::F32 => Weights::open_model(folder, model)?,
            _ => Weights::open_file(&folder.join(MASTER))?,
        };
        Ok(Parameters::read(model, &stored, &self.device)?)
    }
}

/// Trains an adapter beside a frozen model.
#[derive(Clone, Debug)]
pub struct AdapterFineTune {
    /// The frozen model.
    pub base: Arc<dyn VisionLanguageModel>,
    /// What it is called in the adapter's configuration.
    pub name: String,
    /// What an adapter of it has to be like.
    pub lora: LoraConfig,
    /// What a forward keeps for its backward.
    pub keep: Keep,
}

impl FineTune for AdapterFineTune {
    type Weights = Adapter;

    fn model(&self, _weights: &Adapter) -> Arc<dyn VisionLanguageModel> {
        self.base.clone()
    }

    fn gradient(
        &self,
        model: &dyn VisionLanguageModel,
        weights: &Adapter,
        batch: &Batch,
    ) -> Result<(CrossEntropy, Adapter), ModelError> {
        let active = ActiveAdapter { adapter: weights, dropout: batch.dropout.as_ref() };
        let (hidden, trace) = {
            let _student = phase!(model.device(), "student");
            model.forward_traced(&batch.packed, &batch.images, active, self.keep)
        };
        let (loss, upstream) = {
            let _loss = phase!(model.device(), "loss");
            cross_entropy(model, &hidden, &batch.targets, batch.weight, batch.chunk)?
        };
        let _backward = phase!(model.device(), "backward");
        Ok((loss, model.backward(trace, upstream.cast(hidden.dtype()), &batch.packed, active)))
    }

    fn export(&self, weights: &Adapter, folder: &Path) -> Result<(), RunError> {
        Ok(peft::save(weights, &self.name, folder)?)
    }

    /// An adapter is stored in f32.
    fn keep(&self, _weights: &Adapter, _folder: &Path) -> Result<(), RunError> {
        Ok(())
    }

    fn restore(&self, folder: &Path) -> Result<Adapter, RunError> {
        let adapter = peft::load(folder, self.base.architecture(), self.base.device())?;
        fits(&adapter, &self.lora, folder).map(|()| adapter)
    }
}
