//! The adapter: low-rank updates (LoRA) beside a frozen base.
//!
//! `y = x·W + s·(drop(x)·Aᵀ)·Bᵀ`, with `A: [r, in]` and `B: [out, r]` as PEFT stores them, and s = α/r, or α/√r
//! with rsLoRA. The adapter is its own value, never merged: the base cannot drift, and a teacher is the same
//! forward without one.

use crate::architecture::Architecture;
use crate::dropout::Dropout;
use crate::lora::{AdapterConfig, LoraConfig};
use crate::sites::{Projection, Site, tensor_names};
use crate::trained::Trained;
use burn::tensor::{DType, Device, Tensor, TensorData};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use vigos_core::random::{Key, Purpose, draws};
use vigos_kernels::Update;

/// One update.
#[derive(Clone, Debug)]
pub struct LoraPair {
    /// Path of the layer that it updates, in Transformers' module tree.
    pub path: Arc<str>,
    /// `[r, in]`
    pub a: Tensor<2>,
    /// `[out, r]`
    pub b: Tensor<2>,
    /// Factor of the update: α/r, or α/√r.
    pub scale: f64,
}

impl LoraPair {
    /// The same pair with other tensors, made by `f` from its own.
    pub fn map(&self, mut f: impl FnMut(&Tensor<2>) -> Tensor<2>) -> Self {
        Self { path: self.path.clone(), a: f(&self.a), b: f(&self.b), scale: self.scale }
    }
}

/// The updates of one block.
pub type BlockAdapter = BTreeMap<Projection, LoraPair>;

/// A tree of tensors with one pair for each adapted layer: the adapter's weights, or their gradients.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// What it updates and how strongly.
    pub config: AdapterConfig,
    /// Vision blocks (gated MLPs only), first to last.
    pub vision: Vec<BlockAdapter>,
    /// Decoder layers, first to last.
    pub text: Vec<BlockAdapter>,
}

impl Adapter {
    /// A fresh adapter: A uniform in ±1/√in (Kaiming with a = √5), B zero, so that the update is zero.
    pub fn init(config: &LoraConfig, model: &Architecture, seed: u64, device: &Device) -> Self {
        let mut adapter = Self::empty(config.into(), model);
        for (index, site) in model.sites(&config.targets).into_iter().enumerate() {
            let mut stream =
                draws(Purpose::Initialisation, Key { seed, sample: index as u64, ..Default::default() });
            let bound = 1.0 / (site.input as f64).sqrt();
            let values: Vec<f32> = (0..config.rank * site.input)
                .map(|_| ((2.0 * stream.uniform() - 1.0) * bound) as f32)
                .collect();
            let a =
                Tensor::from_data(TensorData::new(values, [config.rank, site.input]), (device, DType::F32));
            let b = Tensor::zeros([site.output, config.rank], (device, DType::F32));
            adapter.insert(&site, LoraPair { path: site.path.as_str().into(), a, b, scale: config.scale() });
        }
        adapter
    }

    /// A tree without any pair yet.
    pub fn empty(config: AdapterConfig, model: &Architecture) -> Self {
        Self {
            config,
            vision: vec![BlockAdapter::new(); model.vision.depth],
            text: vec![BlockAdapter::new(); model.text.num_hidden_layers],
        }
    }

    /// Puts the pair of one site in its place.
    ///
    /// # Panics
    /// If the site lies beyond the model's last block.
    pub fn insert(&mut self, site: &Site, pair: LoraPair) {
        let tower = if site.vision { &mut self.vision } else { &mut self.text };
        tower[site.block].insert(site.projection, pair);
    }

    /// Every pair, those of the vision tower first.
    pub fn pairs(&self) -> impl Iterator<Item = &LoraPair> {
        self.vision.iter().chain(&self.text).flat_map(BTreeMap::values)
    }

    /// The kinds of layers that carry an update.
    pub fn projections(&self) -> BTreeSet<Projection> {
        self.vision.iter().chain(&self.text).flat_map(|pairs| pairs.keys().copied()).collect()
    }

    /// Every tensor with its PEFT name, sorted by name.
    pub fn tensors(&self) -> Vec<(String, Tensor<2>)> {
        let mut all = Vec::new();
        for pair in self.pairs() {
            all.extend(tensor_names(&pair.path).into_iter().zip([pair.a.clone(), pair.b.clone()]));
        }
        all.sort_by(|x, y| x.0.cmp(&y.0));
        all
    }

    /// A tree of the same form, made tensor by tensor from the tensors of `self` with their PEFT names.
    ///
    /// # Errors
    /// The first error of `f`.
    pub fn try_map<E>(&self, mut f: impl FnMut(&str, &Tensor<2>) -> Result<Tensor<2>, E>) -> Result<Self, E> {
        let mut tower = |blocks: &[BlockAdapter]| {
            let mut mapped = Vec::with_capacity(blocks.len());
            for pairs in blocks {
                let mut new = BlockAdapter::new();
                for (&projection, pair) in pairs {
                    let [a, b] = tensor_names(&pair.path);
                    let (a, b) = (f(&a, &pair.a)?, f(&b, &pair.b)?);
                    new.insert(projection, LoraPair { path: pair.path.clone(), a, b, scale: pair.scale });
                }
                mapped.push(new);
            }
            Ok(mapped)
        };
        let vision = tower(&self.vision)?;
        let text = tower(&self.text)?;
        Ok(Self { config: self.config.clone(), vision, text })
    }

    /// As [`Adapter::try_map`] where nothing can fail.
    pub fn map(&self, mut f: impl FnMut(&str, &Tensor<2>) -> Tensor<2>) -> Self {
        match self.try_map(|name, tensor| Ok::<_, std::convert::Infallible>(f(name, tensor))) {
            Ok(adapter) => adapter,
            Err(never) => match never {},
        }
    }

    /// Number of values in all tensors.
    pub fn parameters(&self) -> usize {
        self.tensors().iter().map(|(_, t)| t.dims().iter().product::<usize>()).sum()
    }
}

impl Trained for Adapter {
    fn tensors(&self) -> Vec<(String, Tensor<2>)> {
        self.tensors()
    }

    fn map(&self, f: impl FnMut(&str, &Tensor<2>) -> Tensor<2>) -> Self {
        self.map(f)
    }

    /// All of it decays.
    fn decays(&self, _name: &str) -> bool {
        true
    }
}

/// The adapter as a forward pass sees it: switched on, with or without dropout.
#[derive(Clone, Copy, Debug)]
pub struct ActiveAdapter<'a> {
    /// The weights.
    pub adapter: &'a Adapter,
    /// Dropout of a training forward for the vision tower and the language model; `None` in eval mode.
    pub dropout: Option<&'a DropoutPair>,
}

/// Dropout for the rows of each tower.
#[derive(Clone, Debug)]
pub struct DropoutPair {
    /// Over patches.
    pub vision: Dropout,
    /// Over tokens.
    pub text: Dropout,
}

impl<'a> ActiveAdapter<'a> {
    /// The updates of one vision block.
    pub fn vision(&self, block: usize) -> BlockLora<'a> {
        let site = block as u64 * 16 + (1 << 32);
        self.block(&self.adapter.vision[block], self.dropout.map(|d| &d.vision), site)
    }

    /// The updates of one decoder layer.
    pub fn text(&self, layer: usize) -> BlockLora<'a> {
        self.block(&self.adapter.text[layer], self.dropout.map(|d| &d.text), layer as u64 * 16)
    }

    fn block(&self, pairs: &'a BlockAdapter, dropout: Option<&'a Dropout>, site: u64) -> BlockLora<'a> {
        BlockLora { pairs, dropout, site }
    }
}

/// The updates of one block in a forward pass.
#[derive(Clone, Copy, Debug)]
pub struct BlockLora<'a> {
    /// The block's pairs.
    pub pairs: &'a BlockAdapter,
    dropout: Option<&'a Dropout>,
    /// Number of the block's first layer among all layers with dropout.
    site: u64,
}

impl<'a> BlockLora<'a> {
    /// The same block with other tensors in the place of its pairs, as a recomputation needs them.
    pub fn with_pairs<'b>(self, pairs: &'b BlockAdapter) -> BlockLora<'b>
    where
        'a: 'b,
    {
        BlockLora { pairs, dropout: self.dropout, site: self.site }
    }

    /// Whether values are dropped.
    pub fn drops(&self) -> bool {
        self.dropout.is_some_and(Dropout::drops)
    }

    /// The update `s·(drop(x)·Aᵀ)·Bᵀ` of a layer, in the adapter's precision, or nothing where it has none.
    ///
    /// # Shapes
    /// - `x`: `[T, in]`
    pub fn update(&self, projection: Projection, x: &Tensor<2>) -> Option<Update> {
        let LoraPair { a, b, scale, .. } = self.pairs.get(&projection)?.clone();
        let dropped = self
            .dropout
            .filter(|dropout| dropout.drops())
            .map(|dropout| dropout.apply(x.clone().cast(a.dtype()), self.site + projection as u64));
        Some(Update { dropped, a, b, scale })
    }
}
