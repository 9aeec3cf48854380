//! The adapter: low-rank updates (LoRA) beside a frozen base.
//!
//! `y = x·W + (α/r)·(drop(x)·Aᵀ)·Bᵀ`, with `A: [r, in]` and `B: [out, r]` as PEFT stores them. The adapter is
//! its own value, never merged: the base cannot drift, and a teacher is the same forward without one.

use crate::config::Config;
use crate::dropout::Dropout;
use crate::family::TowerStyle;
use crate::trained::Trained;
use burn::tensor::{DType, Device, Tensor, TensorData};
use std::collections::BTreeMap;
use vigos_core::random::{Key, Purpose, draws};

/// A linear layer that can carry an update, by the name that it has wherever it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Projection {
    /// `self_attn.q_proj`
    Query,
    /// `self_attn.k_proj`
    Key,
    /// `self_attn.v_proj`
    Value,
    /// `self_attn.o_proj`
    Output,
    /// `mlp.gate_proj`
    Gate,
    /// `mlp.up_proj`
    Up,
    /// `mlp.down_proj`
    Down,
}

impl Projection {
    /// All seven.
    pub const ALL: [Self; 7] =
        [Self::Query, Self::Key, Self::Value, Self::Output, Self::Gate, Self::Up, Self::Down];

    /// The last part of the module's name, as in PEFT's `target_modules`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Query => "q_proj",
            Self::Key => "k_proj",
            Self::Value => "v_proj",
            Self::Output => "o_proj",
            Self::Gate => "gate_proj",
            Self::Up => "up_proj",
            Self::Down => "down_proj",
        }
    }

    /// The projection of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.name() == name)
    }

    fn is_mlp(self) -> bool {
        matches!(self, Self::Gate | Self::Up | Self::Down)
    }

    fn parent(self) -> &'static str {
        if self.is_mlp() { "mlp" } else { "self_attn" }
    }
}

/// Shape and strength of an adapter.
#[derive(Clone, Debug, PartialEq)]
pub struct LoraConfig {
    /// Rank r of every update.
    pub rank: usize,
    /// α: the update is scaled by α/r.
    pub alpha: f64,
    /// Probability of dropping an input value in training.
    pub dropout: f64,
    /// Which layers carry an update; a name found in the vision tower counts there as well.
    pub targets: Vec<Projection>,
}

impl LoraConfig {
    /// α/r
    pub fn scale(&self) -> f64 {
        self.alpha / self.rank as f64
    }
}

/// One update.
#[derive(Clone, Debug)]
pub struct LoraPair {
    /// `[r, in]`
    pub a: Tensor<2>,
    /// `[out, r]`
    pub b: Tensor<2>,
}

/// The updates of one block.
pub type BlockAdapter = BTreeMap<Projection, LoraPair>;

/// A tree of tensors with one pair for each adapted layer: the adapter's weights, or their gradients.
#[derive(Clone, Debug)]
pub struct Adapter {
    /// Rank, α, dropout and targets.
    pub config: LoraConfig,
    /// Vision blocks (gated MLPs only), first to last.
    pub vision: Vec<BlockAdapter>,
    /// Decoder layers, first to last.
    pub text: Vec<BlockAdapter>,
}

/// An adapted layer of a model: its PEFT module name and its (in, out) widths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// Whether it lies in the vision tower.
    pub vision: bool,
    /// Its block or layer.
    pub block: usize,
    /// Which of the block's layers it is.
    pub projection: Projection,
    /// Input width.
    pub input: usize,
    /// Output width.
    pub output: usize,
}

impl Site {
    /// The module's name inside a PEFT file, without `.lora_A.weight`.
    pub fn module(&self) -> String {
        let tower = if self.vision { "visual.blocks" } else { "language_model.layers" };
        let (parent, name) = (self.projection.parent(), self.projection.name());
        format!("base_model.model.model.{tower}.{}.{parent}.{name}", self.block)
    }

    /// The names of its two tensors inside a PEFT file, A and B.
    pub fn names(&self) -> [String; 2] {
        let module = self.module();
        ["lora_A", "lora_B"].map(|part| format!("{module}.{part}.weight"))
    }
}

/// The layers of `model` that `targets` name, decoder first.
pub fn sites(model: &Config, targets: &[Projection]) -> Vec<Site> {
    let (text, vision) = (&model.text, &model.vision);
    let (d, q) = (text.hidden_size, text.num_attention_heads * text.head_dim);
    let kv = text.num_key_value_heads * text.head_dim;
    let text_shape = |p| match p {
        Projection::Query => (d, q),
        Projection::Key | Projection::Value => (d, kv),
        Projection::Output => (q, d),
        Projection::Gate | Projection::Up => (d, text.intermediate_size),
        Projection::Down => (text.intermediate_size, d),
    };
    let vision_shape = |p| match p {
        Projection::Down => (vision.intermediate_size, vision.hidden_size),
        _ => (vision.hidden_size, vision.intermediate_size),
    };
    let mut targets = targets.to_vec();
    targets.sort();
    targets.dedup();
    let mut sites = Vec::new();
    for block in 0..text.num_hidden_layers {
        for &projection in &targets {
            let (input, output) = text_shape(projection);
            sites.push(Site { vision: false, block, projection, input, output });
        }
    }
    // A plain tower has none of these layers.
    let adapted_blocks = if vision.style == TowerStyle::Gated { vision.depth } else { 0 };
    for block in 0..adapted_blocks {
        for &projection in targets.iter().filter(|p| p.is_mlp()) {
            let (input, output) = vision_shape(projection);
            sites.push(Site { vision: true, block, projection, input, output });
        }
    }
    sites
}

impl Adapter {
    /// A fresh adapter: A uniform in ±1/√in (Kaiming with a = √5), B zero, so that the update is zero.
    pub fn init(config: &LoraConfig, model: &Config, seed: u64, device: &Device) -> Self {
        let mut adapter = Self::empty(config, model);
        for (index, site) in sites(model, &config.targets).into_iter().enumerate() {
            let mut stream =
                draws(Purpose::Initialisation, Key { seed, sample: index as u64, ..Default::default() });
            let bound = 1.0 / (site.input as f64).sqrt();
            let values: Vec<f32> = (0..config.rank * site.input)
                .map(|_| ((2.0 * stream.uniform() - 1.0) * bound) as f32)
                .collect();
            let a =
                Tensor::from_data(TensorData::new(values, [config.rank, site.input]), (device, DType::F32));
            let b = Tensor::zeros([site.output, config.rank], (device, DType::F32));
            adapter.insert(&site, LoraPair { a, b });
        }
        adapter
    }

    /// A tree without any pair yet.
    pub fn empty(config: &LoraConfig, model: &Config) -> Self {
        Self {
            config: config.clone(),
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

    /// Every tensor with its PEFT name, sorted by name.
    pub fn tensors(&self) -> Vec<(String, Tensor<2>)> {
        let mut all = Vec::new();
        for (vision, tower) in [(true, &self.vision), (false, &self.text)] {
            for (block, pairs) in tower.iter().enumerate() {
                for (&projection, pair) in pairs {
                    let names = Site { vision, block, projection, input: 0, output: 0 }.names();
                    all.extend(names.into_iter().zip([pair.a.clone(), pair.b.clone()]));
                }
            }
        }
        all.sort_by(|x, y| x.0.cmp(&y.0));
        all
    }

    /// A tree of the same form, made tensor by tensor from the tensors of `self` with their PEFT names.
    ///
    /// # Errors
    /// The first error of `f`.
    pub fn try_map<E>(&self, mut f: impl FnMut(&str, &Tensor<2>) -> Result<Tensor<2>, E>) -> Result<Self, E> {
        let mut tower = |vision: bool, blocks: &[BlockAdapter]| {
            let mut mapped = Vec::with_capacity(blocks.len());
            for (block, pairs) in blocks.iter().enumerate() {
                let mut new = BlockAdapter::new();
                for (&projection, pair) in pairs {
                    let [a, b] = Site { vision, block, projection, input: 0, output: 0 }.names();
                    new.insert(projection, LoraPair { a: f(&a, &pair.a)?, b: f(&b, &pair.b)? });
                }
                mapped.push(new);
            }
            Ok(mapped)
        };
        let vision = tower(true, &self.vision)?;
        let text = tower(false, &self.text)?;
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
        BlockLora { pairs, scale: self.adapter.config.scale(), dropout, site }
    }
}

/// The updates of one block in a forward pass.
#[derive(Clone, Copy, Debug)]
pub struct BlockLora<'a> {
    /// The block's pairs.
    pub pairs: &'a BlockAdapter,
    scale: f64,
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
        BlockLora { pairs, scale: self.scale, dropout: self.dropout, site: self.site }
    }

    /// `(α/r)·(drop(x)·Aᵀ)·Bᵀ` in the adapter's precision, or nothing where the layer has no update.
    ///
    /// # Shapes
    /// - `x`: `[T, in]`
    /// - output: `[T, out]`
    pub fn update(&self, projection: Projection, x: Tensor<2>) -> Option<Tensor<2>> {
        let pair = self.pairs.get(&projection)?;
        let dtype = x.dtype();
        let x = x.cast(pair.a.dtype());
        let x = match self.dropout {
            Some(dropout) => dropout.apply(x, self.site + projection as u64),
            None => x,
        };
        let update = x.matmul(pair.a.clone().transpose()).matmul(pair.b.clone().transpose());
        Some((update * self.scale).cast(dtype))
    }
}
