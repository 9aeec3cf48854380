//! The seam between what trains, samples or judges and the families of models.
//!
//! One forward serves student and teachers: with an adapter it is the student, without one the frozen base.
//! Logits are made only for the rows that someone asks for.

use crate::adapter::{ActiveAdapter, Adapter};
use crate::architecture::Architecture;
use crate::cache::KvCache;
use crate::error::ModelError;
use crate::gradient::{Keep, Trace, Upstream};
use crate::hook::ForwardHook;
use crate::packed::{Packed, Position};
use crate::parameters::Parameters;
use crate::rows::indices;
use burn::tensor::{DType, Device, Tensor};
use std::fmt::Debug;
use vigos_kernels::project;
use vigos_processor::{ImagePatches, Sequence};

/// A frozen vision-language model on a device. `T` packed tokens, `D` width, `V` vocabulary.
pub trait VisionLanguageModel: Debug + Send + Sync {
    /// What it is made of.
    fn architecture(&self) -> &Architecture;

    /// Where it lives; a plain device, never an autodiff one.
    fn device(&self) -> &Device;

    /// Precision of activations.
    fn dtype(&self) -> DType;

    /// The weight of the output head, as it is kept. `[V, D]`
    fn head(&self) -> &Tensor<2>;

    /// Lays sequences one after another, group by group; those of a group share what they all begin with.
    ///
    /// # Errors
    /// If a token id is not in the vocabulary, or an image slot does not fit its sequence.
    fn pack_groups(&self, groups: &[Vec<&Sequence>]) -> Result<Packed, ModelError>;

    /// Lays sequences one after another.
    ///
    /// # Errors
    /// As [`Self::pack_groups`].
    fn pack(&self, sequences: &[&Sequence]) -> Result<Packed, ModelError> {
        let groups: Vec<Vec<&Sequence>> = sequences.iter().map(|sequence| vec![*sequence]).collect();
        self.pack_groups(&groups)
    }

    /// Image tokens of several images, each `[tokens, rows_per_token·D]`.
    fn encode_images(&self, images: &[&ImagePatches], adapter: Option<ActiveAdapter>) -> Vec<Tensor<2>>;

    /// The language model over a packed batch.
    ///
    /// `features` holds those of every image of [`Packed::images`], as [`Self::encode_images`] gives them.
    ///
    /// # Shapes
    /// - output: `[T, D]`, after the final norm
    fn forward(
        &self,
        packed: &Packed,
        features: &[Tensor<2>],
        adapter: Option<ActiveAdapter>,
        hook: &mut dyn ForwardHook,
    ) -> Tensor<2>;

    /// One decoding step: the newest token of every row of the cache, and its position.
    ///
    /// # Shapes
    /// - output: `[B, D]`, after the final norm
    ///
    /// # Errors
    /// If a token id is not in the vocabulary.
    fn decode(
        &self,
        ids: &[u32],
        at: &[Position],
        cache: &mut KvCache,
        adapter: Option<ActiveAdapter>,
    ) -> Result<Tensor<2>, ModelError>;

    /// The student's forward for training.
    ///
    /// # Shapes
    /// - output: `[T, D]` after the final norm, with what [`Self::backward`] needs
    fn forward_traced(
        &self,
        packed: &Packed,
        images: &[&ImagePatches],
        adapter: ActiveAdapter,
        keep: Keep,
    ) -> (Tensor<2>, Trace);

    /// The gradient of every tensor of the adapter, given the gradient of the hidden states.
    ///
    /// # Shapes
    /// - `upstream`: `[T, D]`, ∂loss/∂(output of [`Self::forward_traced`])
    ///
    /// # Panics
    /// If `trace` is not of this model and of the same batch and adapter.
    fn backward(&self, trace: Trace, upstream: Tensor<2>, packed: &Packed, adapter: ActiveAdapter)
    -> Adapter;

    /// The forward for training all weights, of which this model is a frozen copy.
    ///
    /// # Shapes
    /// - output: `[T, D]` after the final norm, with what [`Self::backward_all`] needs
    ///
    /// # Panics
    /// If the model is no frozen copy of `weights`.
    fn forward_traced_all(
        &self,
        weights: &Parameters,
        packed: &Packed,
        images: &[&ImagePatches],
        keep: Keep,
    ) -> (Tensor<2>, Trace);

    /// The gradient of every weight, given the gradients of the hidden states and of the head.
    ///
    /// # Panics
    /// If `trace` is not of this model and of the same batch, or the model no frozen copy of `weights`.
    fn backward_all(
        &self,
        weights: &Parameters,
        trace: Trace,
        upstream: Upstream,
        packed: &Packed,
    ) -> Parameters;

    /// An empty cache of `rows` sequences whose longest prompt has `longest_prompt` tokens and whose longest
    /// sequence fits `capacity` columns.
    fn cache(&self, rows: usize, longest_prompt: usize, capacity: usize) -> KvCache {
        let text = &self.architecture().text;
        KvCache::new(text, rows, longest_prompt, capacity, self.device(), self.dtype())
    }

    /// Logits in f32.
    ///
    /// # Shapes
    /// - `hidden`: `[N, D]`, after the final norm
    /// - output: `[N, V]`
    fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        project(hidden, self.head()).cast(DType::F32)
    }

    /// Logits in f32 of some rows of `hidden`.
    ///
    /// # Shapes
    /// - `hidden`: `[T, D]`
    /// - output: `[rows, V]`
    fn logits_at(&self, hidden: &Tensor<2>, rows: &[usize]) -> Tensor<2> {
        self.logits(hidden.clone().select(0, indices(rows.iter().copied(), self.device())))
    }
}
