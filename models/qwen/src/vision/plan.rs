//! Where the patches of some images go: orders, positions and attention segments.

use super::embeddings::Corners;
use crate::config::VisionConfig;
use burn::tensor::{Device, Int, Tensor};
use vigos_kernels::Segments;
use vigos_models::rotary::{Rotary, frequencies};
use vigos_models::rows::indices;
use vigos_models::{ActiveAdapter, Dropout, DropoutPair};
use vigos_processor::Grid;

/// Base of the rotary frequencies, the same in every published checkpoint.
const THETA: f64 = 10_000.0;

/// A layout of patches. Without windows they stay in the order of the images.
#[derive(Clone, Debug)]
pub struct VisionPlan {
    windows: Option<WindowOrder>,
    /// Places in the learned position grid, in image order, if there is one.
    pub(super) corners: Option<Corners>,
    pub(super) rotary: Rotary,
    /// Segments of attention within windows; the images where there are none.
    pub(super) local: Segments,
    pub(super) images: Segments,
    /// Merged tokens of each image.
    pub tokens: Vec<usize>,
}

/// From image order to window order and back.
#[derive(Clone, Debug)]
struct WindowOrder {
    /// For each row in window order, its patch. `[N]`
    patches: Tensor<1, Int>,
    /// For each merged token in image order, its row in window order. `[M]`
    restore: Tensor<1, Int>,
}

impl VisionPlan {
    /// Lays out the patches of images with these grids.
    pub fn new(config: &VisionConfig, grids: &[Grid], device: &Device) -> Self {
        let (merge, unit) = (config.spatial_merge_size, config.merge_unit());
        let tokens: Vec<usize> = grids.iter().map(|g| g.tokens(merge)).collect();
        let images = Segments::new(grids.iter().flat_map(|g| std::iter::repeat_n(g.h * g.w, g.t)));
        let places: Vec<[usize; 4]> = grids.iter().flat_map(|g| places(*g, merge)).collect();
        let side = config.num_position_embeddings.map(usize::isqrt);
        let corners = side.map(|side| Corners::new(&places, side, device));

        let mut patches: Vec<usize> = (0..places.len()).collect();
        let (mut windows, mut local) = (None, images.clone());
        if let Some(size) = config.window_size {
            let (order, lengths) = window_order(grids, merge, size / merge / config.patch_size);
            patches = order.iter().flat_map(|token| (0..unit).map(move |i| token * unit + i)).collect();
            local = Segments::new(lengths.into_iter().map(|n| n * unit));
            let mut restore = vec![0; order.len()];
            for (row, &token) in order.iter().enumerate() {
                restore[token] = row;
            }
            let patches = indices(patches.iter().copied(), device);
            windows = Some(WindowOrder { patches, restore: indices(restore, device) });
        }
        let half = config.head_dim() / 2;
        let frequencies = frequencies(THETA, half);
        let angles: Vec<f32> = patches
            .iter()
            .flat_map(|&patch| {
                let [y, _, x, _] = places[patch];
                [y, x].into_iter().flat_map(|v| frequencies.iter().map(move |f| v as f32 * f))
            })
            .collect();
        Self { windows, corners, rotary: Rotary::new(&angles, half, device), local, images, tokens }
    }

    /// Patches in image order to the order in which the blocks see them.
    ///
    /// # Shapes
    /// - `patches` and output: `[N, …]`
    pub fn arrange(&self, patches: Tensor<2>) -> Tensor<2> {
        match &self.windows {
            Some(order) => patches.select(0, order.patches.clone()),
            None => patches,
        }
    }

    /// Merged tokens back to image order.
    ///
    /// # Shapes
    /// - `tokens` and output: `[M, …]`
    pub fn restore(&self, tokens: Tensor<2>) -> Tensor<2> {
        match &self.windows {
            Some(order) => tokens.select(0, order.restore.clone()),
            None => tokens,
        }
    }

    /// The adapter's dropout with the rows of the vision tower in the order in which the blocks see the patches.
    pub fn order_dropout(&self, adapter: Option<ActiveAdapter>) -> Option<DropoutPair> {
        let DropoutPair { vision, text } = adapter?.dropout?;
        let vision: Dropout = match &self.windows {
            Some(order) => vision.permuted(&order.patches),
            None => vision.clone(),
        };
        Some(DropoutPair { vision, text: text.clone() })
    }
}

/// (row, rows, column, columns) of each patch of an image, the patches of a token one after another.
fn places(grid: Grid, merge: usize) -> Vec<[usize; 4]> {
    let mut places = Vec::with_capacity(grid.t * grid.h * grid.w);
    for _ in 0..grid.t {
        for (top, left) in cells(grid.h / merge, grid.w / merge) {
            let inside = cells(merge, merge);
            places.extend(inside.map(|(y, x)| [top * merge + y, grid.h, left * merge + x, grid.w]));
        }
    }
    places
}

/// Merged tokens in window order, and the tokens of each window; a window has `side` tokens a side.
fn window_order(grids: &[Grid], merge: usize, side: usize) -> (Vec<usize>, Vec<usize>) {
    let (mut order, mut lengths) = (Vec::new(), Vec::new());
    for grid in grids {
        let first = order.len();
        let (lines, columns) = (grid.h / merge, grid.w / merge);
        for frame in 0..grid.t {
            for (top, left) in cells(lines.div_ceil(side), columns.div_ceil(side)) {
                let rows = top * side..lines.min((top + 1) * side);
                let cols = left * side..columns.min((left + 1) * side);
                lengths.push(rows.len() * cols.len());
                for y in rows {
                    order.extend(cols.clone().map(|x| first + (frame * lines + y) * columns + x));
                }
            }
        }
    }
    (order, lengths)
}

/// (row, column) of a grid, row by row.
fn cells(rows: usize, columns: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..rows).flat_map(move |y| (0..columns).map(move |x| (y, x)))
}
