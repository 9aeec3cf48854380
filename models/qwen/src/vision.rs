//! The vision tower of Qwen2.5-VL: patches to tokens of the language model's width.
//!
//! - Most blocks attend within windows of `window_size` pixels, a few over the whole image. Patches are kept
//!   in window order throughout, and the merged tokens are put back at the end.
//! - Rotary positions are (row, column) of the patch, half of the pairs for each.
//! - `N` patches of all images, `M` merged tokens (`N` / merge²), `W` width.

use crate::adapter::{ActiveAdapter, BlockLora};
use crate::config::VisionConfig;
use crate::error::ModelError;
use crate::layers::{GatedMlp, Linear, RmsNorm, Rotary, Segments, Source, attention, frequencies, indices};
use burn::tensor::{Device, Int, Tensor};
use vigos_processor::Grid;

/// Base of the rotary frequencies, the same in every published checkpoint.
const THETA: f64 = 10_000.0;
const EPSILON: f64 = 1e-6;

/// The frozen vision tower.
#[derive(Clone, Debug)]
pub struct VisionTower {
    config: VisionConfig,
    patch_embed: Linear,
    /// The blocks, first to last.
    pub blocks: Vec<VisionBlock>,
    norm: RmsNorm,
    expand: Linear,
    project: Linear,
}

/// One block: attention within segments, then a gated MLP.
#[derive(Clone, Debug)]
pub struct VisionBlock {
    norm1: RmsNorm,
    qkv: Linear,
    proj: Linear,
    norm2: RmsNorm,
    mlp: GatedMlp,
    heads: usize,
    /// Whether it attends over the whole image.
    full: bool,
}

/// Where the patches of some images go: orders, positions and attention segments.
#[derive(Clone, Debug)]
pub struct VisionPlan {
    /// For each row in window order, its patch. `[N]`
    order: Tensor<1, Int>,
    /// For each merged token in image order, its row in window order. `[M]`
    restore: Tensor<1, Int>,
    rotary: Rotary,
    windows: Segments,
    images: Segments,
    /// Merged tokens of each image.
    pub tokens: Vec<usize>,
}

impl VisionTower {
    /// Reads the tower.
    ///
    /// # Errors
    /// If a tensor is missing or cannot be read.
    pub fn load(config: &VisionConfig, source: &Source) -> Result<Self, ModelError> {
        let merged = config.hidden_size * config.merge_unit();
        let blocks =
            (0..config.depth).map(|i| VisionBlock::load(config, i, source)).collect::<Result<_, _>>()?;
        let patch_shape = [config.hidden_size, config.patch_values()];
        Ok(Self {
            config: config.clone(),
            patch_embed: Linear::load(source, "visual.patch_embed.proj", patch_shape, false)?,
            blocks,
            norm: RmsNorm::load(source, "visual.merger.ln_q", config.hidden_size, EPSILON)?,
            expand: Linear::load(source, "visual.merger.mlp.0", [merged, merged], true)?,
            project: Linear::load(source, "visual.merger.mlp.2", [config.out_hidden_size, merged], true)?,
        })
    }

    /// Lays out the patches of images with these grids.
    pub fn plan(&self, grids: &[Grid], device: &Device) -> VisionPlan {
        let merge = self.config.spatial_merge_size;
        let unit = self.config.merge_unit();
        let side = self.config.window_size / merge / self.config.patch_size;
        let mut order = Vec::new(); // merged tokens in window order
        let mut windows = Vec::new();
        let mut images = Vec::new();
        let mut angles = Vec::new(); // in image order
        for grid in grids {
            let first = order.len();
            let (lines, columns) = (grid.h / merge, grid.w / merge);
            for frame in 0..grid.t {
                for (top, left) in cells(lines.div_ceil(side), columns.div_ceil(side)) {
                    let rows = top * side..lines.min((top + 1) * side);
                    let cols = left * side..columns.min((left + 1) * side);
                    windows.push(rows.len() * cols.len() * unit);
                    for y in rows {
                        order.extend(cols.clone().map(|x| first + (frame * lines + y) * columns + x));
                    }
                }
                images.push(grid.h * grid.w);
                for (block_y, block_x) in cells(lines, columns) {
                    for (y, x) in cells(merge, merge) {
                        angles.push((block_y * merge + y, block_x * merge + x));
                    }
                }
            }
        }
        let patches: Vec<usize> = order.iter().flat_map(|t| (0..unit).map(move |i| t * unit + i)).collect();
        let mut restore = vec![0; order.len()];
        for (row, &token) in order.iter().enumerate() {
            restore[token] = row;
        }
        let half = self.config.head_dim() / 2;
        let frequencies = frequencies(THETA, half);
        let table: Vec<f32> = patches
            .iter()
            .flat_map(|&p| {
                let (y, x) = angles[p];
                [y, x].into_iter().flat_map(|v| frequencies.iter().map(move |f| v as f32 * f))
            })
            .collect();
        VisionPlan {
            order: indices(patches, device),
            restore: indices(restore, device),
            rotary: Rotary::new(&table, half, device),
            windows: Segments::new(windows),
            images: Segments::new(images),
            tokens: grids.iter().map(|g| g.tokens(merge)).collect(),
        }
    }

    /// Patch embeddings in window order, the first block's input.
    ///
    /// # Shapes
    /// - `patches`: `[N, channels·frames·patch²]` in image order
    /// - output: `[N, W]`
    pub fn embed(&self, patches: Tensor<2>, plan: &VisionPlan) -> Tensor<2> {
        self.patch_embed.forward(patches).select(0, plan.order.clone())
    }

    /// Merges squares of patches into tokens and restores the order of the images.
    ///
    /// # Shapes
    /// - `hidden`: `[N, W]`
    /// - output: `[M, D]`
    pub fn merge(&self, hidden: Tensor<2>, plan: &VisionPlan) -> Tensor<2> {
        let unit = self.config.merge_unit();
        let [patches, width] = hidden.dims();
        let merged = self.norm.forward(hidden).reshape([patches / unit, width * unit]);
        let expanded = burn::tensor::activation::gelu(self.expand.forward(merged));
        self.project.forward(expanded).select(0, plan.restore.clone())
    }
}

impl VisionPlan {
    /// Puts per-patch dropout rows into window order.
    pub fn order_dropout(&self, dropout: &crate::dropout::Dropout) -> crate::dropout::Dropout {
        dropout.permuted(&self.order)
    }
}

impl VisionBlock {
    fn load(config: &VisionConfig, block: usize, source: &Source) -> Result<Self, ModelError> {
        let at = |name: &str| format!("visual.blocks.{block}.{name}");
        let width = config.hidden_size;
        Ok(Self {
            norm1: RmsNorm::load(source, &at("norm1"), width, EPSILON)?,
            qkv: Linear::load(source, &at("attn.qkv"), [3 * width, width], true)?,
            proj: Linear::load(source, &at("attn.proj"), [width, width], true)?,
            norm2: RmsNorm::load(source, &at("norm2"), width, EPSILON)?,
            mlp: GatedMlp::load(source, &at("mlp"), width, config.intermediate_size, true)?,
            heads: config.num_heads,
            full: config.fullatt_block_indexes.contains(&block),
        })
    }

    /// # Shapes
    /// - `x` and output: `[N, W]` in window order
    pub fn forward(&self, x: Tensor<2>, plan: &VisionPlan, lora: Option<BlockLora>) -> Tensor<2> {
        let [rows, width] = x.dims();
        let qkv = self.qkv.forward(self.norm1.forward(x.clone()));
        let part = |i: usize| {
            qkv.clone().narrow(1, i * width, width).reshape([rows, self.heads, width / self.heads])
        };
        let (query, key) = (plan.rotary.rotate(part(0)), plan.rotary.rotate(part(1)));
        let segments = if self.full { &plan.images } else { &plan.windows };
        let x = x + self.proj.forward(attention(query, key, part(2), segments, false));
        x.clone() + self.mlp.forward(self.norm2.forward(x), lora)
    }
}

/// The adapter's updates for one block.
pub(crate) fn lora<'a>(adapter: Option<ActiveAdapter<'a>>, block: usize) -> Option<BlockLora<'a>> {
    adapter.map(|a| a.vision(block))
}

/// (row, column) of a grid, row by row.
fn cells(rows: usize, columns: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..rows).flat_map(move |y| (0..columns).map(move |x| (y, x)))
}
