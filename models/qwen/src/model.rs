//! The whole model: images and packed token sequences in, hidden states out.

use crate::architecture::architecture;
use crate::config::Config;
use crate::deepstack::{Deepstack, tokens};
use crate::positions::{positions, rotary};
use crate::text::LanguageModel;
use crate::vision::{VisionPlan, VisionTower};
use burn::tensor::{DType, Device, Tensor, TensorData};
use std::path::Path;
use std::sync::Arc;
use vigos_kernels::send;
use vigos_models::cache::KvCache;
use vigos_models::packed::{Layout, Position, check_ids};
use vigos_models::rows::{indices, split_rows};
use vigos_models::source::{Checkpoint, Kept, Source};
use vigos_models::weights::Weights;
use vigos_models::{
    ActiveAdapter, Architecture, ForwardHook, ModelError, Packed, Sequence, VisionLanguageModel, phase,
};
use vigos_processor::{Grid, ImagePatches};

/// A configuration with the architecture that it describes.
#[derive(Clone, Debug)]
pub struct QwenConfig {
    /// What was read.
    pub config: Config,
    /// What it describes.
    pub architecture: Arc<Architecture>,
}

impl From<Config> for QwenConfig {
    fn from(config: Config) -> Self {
        Self { architecture: Arc::new(architecture(&config)), config }
    }
}

/// A frozen model on a device.
#[derive(Clone, Debug)]
pub struct Model {
    /// Its shape.
    pub config: Config,
    /// The same in the terms of all families.
    pub architecture: Arc<Architecture>,
    /// Images to tokens.
    pub vision: VisionTower,
    /// Tokens to hidden states.
    pub text: LanguageModel,
    /// Where it lives; a plain device, never an autodiff one.
    pub device: Device,
    /// Precision of activations.
    pub dtype: DType,
}

impl Model {
    /// Loads a folder in Hugging Face layout onto `device`.
    ///
    /// # Errors
    /// If the configuration is not supported, or the tensors are not exactly those of the model.
    pub fn load(folder: &Path, device: &Device, kept: impl Into<Kept>) -> Result<Self, ModelError> {
        let config = QwenConfig::from(Config::read(folder)?);
        Self::read(&config, &Weights::open_model(folder, &config.architecture)?, device, kept.into())
    }

    /// The model of this configuration with these weights, kept as `device` does it.
    ///
    /// # Errors
    /// If a tensor is missing or cannot be read.
    pub(crate) fn read(
        config: &QwenConfig,
        weights: &Weights,
        device: &Device,
        kept: Kept,
    ) -> Result<Self, ModelError> {
        let (kept, layers) = (kept.on(device), config.architecture.names.layers);
        Self::assemble(config, &Checkpoint { weights, device, kept, layers }, device, kept.activations())
    }

    /// The model of this configuration with tensors from `source`, which lie on `device`; activations are `dtype`.
    ///
    /// # Errors
    /// If a tensor is missing or cannot be read.
    pub fn assemble(
        QwenConfig { config, architecture }: &QwenConfig,
        source: &impl Source,
        device: &Device,
        dtype: DType,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            config: config.clone(),
            architecture: architecture.clone(),
            vision: VisionTower::load(&config.vision, source)?,
            text: LanguageModel::load(config, source)?,
            device: device.clone(),
            dtype,
        })
    }

    /// Lays sequences one after another, group by group; those of a group share what they all begin with.
    ///
    /// # Errors
    /// If a token id is not in the vocabulary, or an image slot does not fit its sequence.
    pub fn pack_groups(&self, groups: &[Vec<&Sequence>]) -> Result<Packed, ModelError> {
        let Config { text, vision, .. } = &self.config;
        let merge = vision.spatial_merge_size;
        let layout = Layout { merge, vocabulary: text.vocab_size };
        Packed::new(
            groups,
            layout,
            |sequence| positions(sequence.ids.len(), &sequence.images, merge),
            |all| rotary(all, text, &self.device),
        )
    }

    /// Lays sequences one after another.
    ///
    /// # Errors
    /// As [`Model::pack_groups`].
    pub fn pack(&self, sequences: &[&Sequence]) -> Result<Packed, ModelError> {
        VisionLanguageModel::pack(self, sequences)
    }

    /// Image tokens of several images, each `[tokens, (1 + K)·D]`: behind the token itself the features of
    /// the tower's `K` deepstack mergers (see [`crate::deepstack`]).
    pub fn encode_images(&self, images: &[&ImagePatches], adapter: Option<ActiveAdapter>) -> Vec<Tensor<2>> {
        if images.is_empty() {
            return Vec::new();
        }
        let _image = phase!(&self.device, "image");
        let plan = self.vision_plan(images);
        let features = self.vision_forward(self.patches(images), &plan, adapter, &mut ());
        split_rows(features, &plan.tokens)
    }

    /// Where the patches of these images go.
    pub(crate) fn vision_plan(&self, images: &[&ImagePatches]) -> VisionPlan {
        let grids: Vec<Grid> = images.iter().map(|i| i.grid).collect();
        self.vision.plan(&grids, &self.device)
    }

    /// The vision tower over the patches of several images, `[N, …]`: their features, `[M, (1 + K)·D]`.
    pub(crate) fn vision_forward(
        &self,
        patches: Tensor<2>,
        plan: &VisionPlan,
        adapter: Option<ActiveAdapter>,
        hook: &mut dyn ForwardHook,
    ) -> Tensor<2> {
        let mut hidden = self.vision.embed(patches, plan);
        let dropout = plan.order_dropout(adapter);
        let adapter = adapter.map(|a| ActiveAdapter { adapter: a.adapter, dropout: dropout.as_ref() });
        let mut deepstack = Vec::new();
        for (i, block) in self.vision.blocks.iter().enumerate() {
            hook.block_input(&hidden);
            hidden = block.forward(hidden, plan, adapter.map(|a| a.vision(i)));
            deepstack.extend(self.vision.deepstack(i, &hidden, plan));
        }
        hook.block_input(&hidden);
        let mut features = vec![self.vision.merge(hidden, plan)];
        features.extend(deepstack);
        Tensor::cat(features, 1)
    }

    /// The language model over a packed batch.
    ///
    /// `features` holds those of every image of the batch, in order, as [`Model::encode_images`] gives them.
    ///
    /// # Shapes
    /// - `features`: `[tokens, (1 + K)·D]` each
    /// - output: `[T, D]`, after the final norm
    pub fn forward(
        &self,
        packed: &Packed,
        features: &[Tensor<2>],
        adapter: Option<ActiveAdapter>,
        hook: &mut dyn ForwardHook,
    ) -> Tensor<2> {
        let width = self.config.text.hidden_size;
        let deepstack = Deepstack::new(packed, features, width, &self.device);
        let mut hidden = self.embed(packed, features);
        for (i, layer) in self.text.layers.iter().enumerate() {
            hook.block_input(&hidden);
            let (next, kv) =
                layer.forward(hidden, packed.rotary(), packed.segments(), adapter.map(|a| a.text(i)));
            hook.key_value(kv);
            hidden = match &deepstack {
                Some(deepstack) => deepstack.add(i, next),
                None => next,
            };
        }
        hook.block_input(&hidden);
        self.text.norm.forward(hidden)
    }

    /// One decoding step: the newest token of every row of the cache, and its position.
    ///
    /// # Shapes
    /// - output: `[B, D]`, after the final norm
    ///
    /// # Errors
    /// If a token id is not in the vocabulary.
    pub fn decode(
        &self,
        ids: &[u32],
        at: &[Position],
        cache: &mut KvCache,
        adapter: Option<ActiveAdapter>,
    ) -> Result<Tensor<2>, ModelError> {
        check_ids(ids, self.config.text.vocab_size)?;
        let rotary = rotary(at, &self.config.text, &self.device);
        let mut hidden = self.embed_ids(ids);
        for (i, (layer, cache)) in self.text.layers.iter().zip(&mut cache.layers).enumerate() {
            hidden = layer.decode(hidden, &rotary, cache, adapter.map(|a| a.text(i)));
        }
        Ok(self.text.norm.forward(hidden))
    }

    /// Token embeddings with the image tokens in their slots. `[T, D]`
    pub(crate) fn embed(&self, packed: &Packed, features: &[Tensor<2>]) -> Tensor<2> {
        assert_eq!(packed.images().len(), features.len(), "as many image features as image slots");
        let mut parts = Vec::new();
        let mut next = 0;
        for (image, feature) in packed.images().iter().zip(features) {
            let rows = &image.rows;
            if next < rows.start {
                parts.push(self.embed_ids(&packed.ids[next..rows.start]));
            }
            parts.push(tokens(feature, self.config.text.hidden_size));
            next = rows.end;
        }
        if next < packed.ids.len() {
            parts.push(self.embed_ids(&packed.ids[next..]));
        }
        Tensor::cat(parts, 0)
    }

    fn embed_ids(&self, ids: &[u32]) -> Tensor<2> {
        let ids = indices(ids.iter().map(|id| *id as usize), &self.device);
        self.text.embeddings.clone().select(0, ids).cast(self.dtype)
    }

    /// The patches of these images, one after another. `[N, channels·frames·patch²]`
    pub(crate) fn patches(&self, images: &[&ImagePatches]) -> Tensor<2> {
        let width = self.config.vision.patch_values();
        let values: Vec<f32> = images.iter().flat_map(|i| i.values.iter().copied()).collect();
        let rows = values.len() / width;
        let patches: Tensor<2> = send(TensorData::new(values, [rows, width]), &self.device, DType::F32);
        patches.cast(self.dtype)
    }
}
