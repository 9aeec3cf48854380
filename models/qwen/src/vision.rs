//! The vision tower: patches to tokens of the language model's width.
//!
//! - Qwen2.5-VL: most blocks attend within windows, a few over the whole image. Patches are kept in window
//!   order throughout, and the merged tokens are put back at the end.
//! - Qwen3-VL: every block attends over the whole image; patches carry learned position embeddings, and
//!   the outputs of some blocks are merged as well (deepstack).
//! - Both: rotary positions are (row, column) of the patch, half of the pairs for each.
//! - `N` patches of all images, `M` merged tokens (`N` / merge²), `W` width, `K` deepstack mergers.

pub mod embeddings;
pub mod merger;
pub mod norm;
pub mod plan;

use crate::config::{TowerStyle, VisionConfig};
use burn::tensor::{Device, Tensor};
use embeddings::PositionGrid;
use merger::{Merger, NormOrder};
use norm::{EPSILON, Norm};
use vigos_kernels::attention;
use vigos_models::ModelError;
use vigos_models::adapter::BlockLora;
use vigos_models::layers::{GatedMlp, Gelu, GeluMlp, Linear};
use vigos_models::source::Source;
use vigos_processor::Grid;

pub use plan::VisionPlan;

/// The frozen vision tower.
#[derive(Clone, Debug)]
pub struct VisionTower {
    config: VisionConfig,
    embedding: PatchEmbedding,
    /// The blocks, first to last.
    pub blocks: Vec<VisionBlock>,
    merger: Merger,
    /// Mergers of the outputs of `deepstack_visual_indexes`.
    deepstack: Vec<Merger>,
}

/// From patches to the first block's input.
#[derive(Clone, Debug)]
pub(crate) struct PatchEmbedding {
    project: Linear,
    positions: Option<PositionGrid>,
}

/// One block: attention within segments, then an MLP.
#[derive(Clone, Debug)]
pub struct VisionBlock {
    norm1: Norm,
    qkv: Linear,
    proj: Linear,
    norm2: Norm,
    mlp: VisionMlp,
    heads: usize,
    /// Whether it attends over the whole image.
    full: bool,
}

/// The MLP of a block. Only the gated one has layers that can carry an adapter.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // One to a block; a tensor is a handle.
enum VisionMlp {
    Gated(GatedMlp),
    Plain(GeluMlp),
}

impl VisionTower {
    /// Reads the tower.
    ///
    /// # Errors
    /// If a tensor is missing or cannot be read.
    pub fn load(config: &VisionConfig, source: &impl Source) -> Result<Self, ModelError> {
        Ok(Self {
            config: config.clone(),
            embedding: PatchEmbedding::load(config, source)?,
            blocks: (0..config.depth)
                .map(|i| VisionBlock::load(config, i, source))
                .collect::<Result<_, _>>()?,
            merger: Self::load_merger(config, source)?,
            deepstack: (0..config.deepstack_visual_indexes.len())
                .map(|k| Self::load_deepstack(config, k, source))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Reads the merger of the last block's output.
    ///
    /// # Errors
    /// If a tensor is missing or cannot be read.
    pub(crate) fn load_merger(config: &VisionConfig, source: &impl Source) -> Result<Merger, ModelError> {
        Merger::load(config, source, "visual.merger", NormOrder::BeforeMerging)
    }

    /// Reads the `k`-th deepstack merger.
    ///
    /// # Errors
    /// If a tensor is missing or cannot be read.
    pub(crate) fn load_deepstack(
        config: &VisionConfig,
        k: usize,
        source: &impl Source,
    ) -> Result<Merger, ModelError> {
        let module = format!("visual.deepstack_merger_list.{k}");
        Merger::load(config, source, &module, NormOrder::AfterMerging)
    }

    /// Lays out the patches of images with these grids.
    pub fn plan(&self, grids: &[Grid], device: &Device) -> VisionPlan {
        VisionPlan::new(&self.config, grids, device)
    }

    /// Patch embeddings in the order of the plan, the first block's input.
    ///
    /// # Shapes
    /// - `patches`: `[N, channels·frames·patch²]` in image order
    /// - output: `[N, W]`
    pub fn embed(&self, patches: Tensor<2>, plan: &VisionPlan) -> Tensor<2> {
        self.embedding.forward(patches, plan)
    }

    /// Merges squares of patches into tokens and restores the order of the images.
    ///
    /// # Shapes
    /// - `hidden`: `[N, W]`
    /// - output: `[M, D]`
    pub fn merge(&self, hidden: Tensor<2>, plan: &VisionPlan) -> Tensor<2> {
        plan.restore(self.merger.forward(hidden))
    }

    /// The deepstack features of block `block`, if it has any, from its output.
    ///
    /// # Shapes
    /// - `hidden`: `[N, W]`
    /// - output: `[M, D]`
    pub fn deepstack(&self, block: usize, hidden: &Tensor<2>, plan: &VisionPlan) -> Option<Tensor<2>> {
        let which = self.config.deepstack_of(block)?;
        self.deepstack.get(which).map(|merger| plan.restore(merger.forward(hidden.clone())))
    }
}

impl PatchEmbedding {
    pub(crate) fn load(config: &VisionConfig, source: &impl Source) -> Result<Self, ModelError> {
        let shape = [config.hidden_size, config.patch_values()];
        let bias = config.style == TowerStyle::Plain;
        Ok(Self {
            project: Linear::load(source, "visual.patch_embed.proj", shape, bias)?,
            positions: PositionGrid::load(config, source)?,
        })
    }

    /// # Shapes
    /// - `patches`: `[N, channels·frames·patch²]` in image order
    /// - output: `[N, W]` in the order of the plan
    pub(crate) fn forward(&self, patches: Tensor<2>, plan: &VisionPlan) -> Tensor<2> {
        let mut hidden = self.project.forward(patches);
        if let (Some(positions), Some(corners)) = (&self.positions, &plan.corners) {
            hidden = hidden + positions.at(corners);
        }
        plan.arrange(hidden)
    }
}

impl VisionBlock {
    pub(crate) fn load(
        config: &VisionConfig,
        block: usize,
        source: &impl Source,
    ) -> Result<Self, ModelError> {
        let at = |name: &str| format!("visual.blocks.{block}.{name}");
        let (width, style) = (config.hidden_size, config.style);
        Ok(Self {
            norm1: Norm::load(style, source, &at("norm1"), width, EPSILON)?,
            qkv: Linear::load(source, &at("attn.qkv"), [3 * width, width], true)?,
            proj: Linear::load(source, &at("attn.proj"), [width, width], true)?,
            norm2: Norm::load(style, source, &at("norm2"), width, EPSILON)?,
            mlp: VisionMlp::load(config, &at("mlp"), source)?,
            heads: config.num_heads,
            full: config.fullatt_block_indexes.contains(&block),
        })
    }

    /// # Shapes
    /// - `x` and output: `[N, W]` in the order of the plan
    pub fn forward(&self, x: Tensor<2>, plan: &VisionPlan, lora: Option<BlockLora>) -> Tensor<2> {
        let [rows, width] = x.dims();
        let qkv = self.qkv.forward(self.norm1.forward(x.clone()));
        let part = |i: usize| {
            qkv.clone().narrow(1, i * width, width).reshape([rows, self.heads, width / self.heads])
        };
        let (query, key) = (plan.rotary.rotate(part(0)), plan.rotary.rotate(part(1)));
        let segments = if self.full { &plan.images } else { &plan.local };
        let x = x + self.proj.forward(attention(query, key, part(2), segments, false));
        self.mlp.onto(x.clone(), self.norm2.forward(x), lora)
    }
}

impl VisionMlp {
    fn load(config: &VisionConfig, module: &str, source: &impl Source) -> Result<Self, ModelError> {
        let (width, inner) = (config.hidden_size, config.intermediate_size);
        Ok(match config.style {
            TowerStyle::Gated => Self::Gated(GatedMlp::load(source, module, width, inner, true)?),
            TowerStyle::Plain => {
                let layers = ["linear_fc1", "linear_fc2"].map(|name| format!("{module}.{name}"));
                let [expand, project] = layers.each_ref().map(String::as_str);
                let widths = [width, inner, width];
                Self::Plain(GeluMlp::load(source, [expand, project], widths, Gelu::Tanh)?)
            }
        })
    }

    /// What it makes of `x`, added to `residual`.
    fn onto(&self, residual: Tensor<2>, x: Tensor<2>, lora: Option<BlockLora>) -> Tensor<2> {
        match self {
            Self::Gated(mlp) => mlp.onto(residual, x, lora),
            Self::Plain(mlp) => residual + mlp.forward(x),
        }
    }
}
