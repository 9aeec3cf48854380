//! The whole model: images and packed token sequences in, hidden states out.
//!
//! One forward serves student and teachers: with an adapter it is the student, without one the frozen base.
//! Logits are made only for the rows that someone asks for.

use crate::adapter::ActiveAdapter;
use crate::cache::KvCache;
use crate::config::Config;
use crate::deepstack::{Deepstack, tokens};
use crate::error::ModelError;
use crate::layers::{Rotary, Segments, indices};
use crate::positions::{Position, positions, rotary};
use crate::source::{Checkpoint, Source};
use crate::text::{KeyValue, LanguageModel};
use crate::vision::{VisionPlan, VisionTower, lora};
use crate::weights::Weights;
use burn::tensor::{DType, Device, Tensor, TensorData};
use std::ops::Range;
use std::path::Path;
use vigos_processor::{Grid, ImagePatches, ImageSlot};

/// A frozen model on a device.
#[derive(Clone, Debug)]
pub struct Model {
    /// Its shape.
    pub config: Config,
    /// Images to tokens.
    pub vision: VisionTower,
    /// Tokens to hidden states.
    pub text: LanguageModel,
    /// Where it lives; a plain device, never an autodiff one.
    pub device: Device,
    /// Precision of weights and activations.
    pub dtype: DType,
}

/// One token sequence and the places of its images.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sequence {
    /// Token ids, image placeholders included.
    pub ids: Vec<u32>,
    /// The images, in order; an image token outside these slots is text.
    pub images: Vec<ImageSlot>,
}

/// Sequences laid one after another.
#[derive(Clone, Debug)]
pub struct Packed {
    /// Token ids of all sequences. `[T]`
    pub ids: Vec<u32>,
    /// Lengths of the sequences.
    pub lengths: Vec<usize>,
    /// M-RoPE positions. `[T]`
    pub positions: Vec<Position>,
    /// Rows of each image's tokens, in order.
    pub image_rows: Vec<Range<usize>>,
    pub(crate) segments: Segments,
    pub(crate) rotary: Rotary,
}

/// Sees what a forward pass would otherwise throw away.
pub trait Observer {
    /// The input of each block, first to last; of the vision tower or of the language model.
    fn block_input(&mut self, _input: &Tensor<2>) {}
    /// The keys and values of each decoder layer.
    fn key_value(&mut self, _kv: KeyValue) {}
}

/// Keeps nothing.
impl Observer for () {}

/// Keeps keys and values, to fill a cache with.
impl Observer for Vec<KeyValue> {
    fn key_value(&mut self, kv: KeyValue) {
        self.push(kv);
    }
}

/// Keeps block inputs, to run backward from.
impl Observer for Vec<Tensor<2>> {
    fn block_input(&mut self, input: &Tensor<2>) {
        self.push(input.clone());
    }
}

impl Model {
    /// Loads a folder in Hugging Face layout onto `device`.
    ///
    /// # Errors
    /// If the configuration is not supported, or the tensors are not exactly those of the model.
    pub fn load(folder: &Path, device: &Device, dtype: DType) -> Result<Self, ModelError> {
        let config = Config::read(folder)?;
        let weights = Weights::open(folder)?;
        weights.check_model(&config)?;
        Self::assemble(&config, &Checkpoint { weights: &weights, device, dtype }, device, dtype)
    }

    /// The model of this configuration with tensors from `source`, which lie on `device` as `dtype`.
    ///
    /// # Errors
    /// If a tensor is missing or cannot be read.
    pub fn assemble(
        config: &Config,
        source: &impl Source,
        device: &Device,
        dtype: DType,
    ) -> Result<Self, ModelError> {
        Ok(Self {
            config: config.clone(),
            vision: VisionTower::load(&config.vision, source)?,
            text: LanguageModel::load(config, source)?,
            device: device.clone(),
            dtype,
        })
    }

    /// Lays sequences one after another.
    ///
    /// # Errors
    /// If a token id is not in the vocabulary, or an image slot does not fit its sequence.
    pub fn pack<'a>(&self, sequences: impl IntoIterator<Item = &'a Sequence>) -> Result<Packed, ModelError> {
        let merge = self.config.vision.spatial_merge_size;
        let (mut ids, mut lengths, mut all, mut image_rows) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for sequence in sequences {
            let base = ids.len();
            let mut free = 0;
            for image in &sequence.images {
                let rows = image.start..image.start + image.grid.tokens(merge);
                if rows.start < free || rows.end > sequence.ids.len() {
                    return Err(ModelError::Prompt(format!(
                        "an image needs tokens {rows:?}, found a sequence of {} tokens with {free} taken",
                        sequence.ids.len()
                    )));
                }
                free = rows.end;
                image_rows.push(base + rows.start..base + rows.end);
            }
            all.extend(positions(sequence.ids.len(), &sequence.images, merge));
            ids.extend_from_slice(&sequence.ids);
            lengths.push(sequence.ids.len());
        }
        self.check_ids(&ids)?;
        let segments = Segments::new(lengths.iter().copied());
        let rotary = rotary(&all, &self.config.text, &self.device);
        Ok(Packed { ids, lengths, positions: all, image_rows, segments, rotary })
    }

    /// Image tokens of several images, each `[tokens, (1 + K)·D]`: behind the token itself the features of
    /// the tower's `K` deepstack mergers (see [`crate::deepstack`]).
    pub fn encode_images(&self, images: &[&ImagePatches], adapter: Option<ActiveAdapter>) -> Vec<Tensor<2>> {
        if images.is_empty() {
            return Vec::new();
        }
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
        observer: &mut dyn Observer,
    ) -> Tensor<2> {
        let mut hidden = self.vision.embed(patches, plan);
        let dropout = crate::backward::ordered_dropout(adapter, plan);
        let adapter = crate::backward::with_dropout(adapter, dropout.as_ref());
        let mut deepstack = Vec::new();
        for (i, block) in self.vision.blocks.iter().enumerate() {
            observer.block_input(&hidden);
            hidden = block.forward(hidden, plan, lora(adapter, i));
            deepstack.extend(self.vision.deepstack(i, &hidden, plan));
        }
        observer.block_input(&hidden);
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
        observer: &mut dyn Observer,
    ) -> Tensor<2> {
        let width = self.config.text.hidden_size;
        let deepstack = Deepstack::new(packed, features, width, &self.device);
        let mut hidden = self.embed(packed, features);
        for (i, layer) in self.text.layers.iter().enumerate() {
            observer.block_input(&hidden);
            let (next, kv) =
                layer.forward(hidden, &packed.rotary, &packed.segments, adapter.map(|a| a.text(i)));
            observer.key_value(kv);
            hidden = match &deepstack {
                Some(deepstack) => deepstack.add(i, next),
                None => next,
            };
        }
        observer.block_input(&hidden);
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
        self.check_ids(ids)?;
        let rotary = rotary(at, &self.config.text, &self.device);
        let mut hidden = self.embed_ids(ids);
        for (i, (layer, cache)) in self.text.layers.iter().zip(&mut cache.layers).enumerate() {
            hidden = layer.decode(hidden, &rotary, cache, adapter.map(|a| a.text(i)));
        }
        Ok(self.text.norm.forward(hidden))
    }

    /// Logits in f32 of some rows of `hidden`.
    ///
    /// # Shapes
    /// - `hidden`: `[T, D]`
    /// - output: `[rows, V]`
    pub fn logits_at(&self, hidden: &Tensor<2>, rows: &[usize]) -> Tensor<2> {
        self.text.logits(hidden.clone().select(0, indices(rows.iter().copied(), &self.device)))
    }

    /// Token embeddings with the image tokens in their slots. `[T, D]`
    fn embed(&self, packed: &Packed, features: &[Tensor<2>]) -> Tensor<2> {
        assert_eq!(packed.image_rows.len(), features.len(), "as many image features as image slots");
        let mut parts = Vec::new();
        let mut next = 0;
        for (rows, feature) in packed.image_rows.iter().zip(features) {
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
        self.text.embeddings.clone().select(0, crate::cache::ids(ids, &self.device))
    }

    /// The patches of these images, one after another. `[N, channels·frames·patch²]`
    pub(crate) fn patches(&self, images: &[&ImagePatches]) -> Tensor<2> {
        let width = self.config.vision.patch_values();
        let values: Vec<f32> = images.iter().flat_map(|i| i.values.iter().copied()).collect();
        let rows = values.len() / width;
        Tensor::<2>::from_data(TensorData::new(values, [rows, width]), (&self.device, DType::F32))
            .cast(self.dtype)
    }

    fn check_ids(&self, ids: &[u32]) -> Result<(), ModelError> {
        let vocabulary = self.config.text.vocab_size;
        match ids.iter().find(|id| **id as usize >= vocabulary) {
            Some(id) => Err(ModelError::Prompt(format!(
                "token id {id} is not in the model's vocabulary of {vocabulary}: do tokenizer and model belong together?"
            ))),
            None => Ok(()),
        }
    }
}

/// Splits `[M, D]` into parts of these many rows.
pub(crate) fn split_rows(tensor: Tensor<2>, rows: &[usize]) -> Vec<Tensor<2>> {
    let mut start = 0;
    rows.iter()
        .map(|&n| {
            start += n;
            tensor.clone().narrow(0, start - n, n)
        })
        .collect()
}
