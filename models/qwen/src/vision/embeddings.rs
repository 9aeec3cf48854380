//! Learned position embeddings: a square grid of vectors, stretched over each image and interpolated.

use crate::config::VisionConfig;
use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use vigos_kernels::send;
use vigos_models::ModelError;
use vigos_models::rows::indices;
use vigos_models::source::Source;

/// The learned grid.
#[derive(Clone, Debug)]
pub struct PositionGrid {
    /// `[side², W]`, row by row
    table: Tensor<2>,
}

/// Where patches lie in the grid: four entries each, and how near it is to them.
#[derive(Clone, Debug)]
pub struct Corners([(Tensor<1, Int>, Tensor<2>); 4]);

impl PositionGrid {
    /// Reads the grid, if the tower has one.
    ///
    /// # Errors
    /// If its tensor is missing or cannot be read.
    pub fn load(config: &VisionConfig, source: &impl Source) -> Result<Option<Self>, ModelError> {
        let read = |n| source.tensor("visual.pos_embed.weight", [n, config.hidden_size]);
        let table = config.num_position_embeddings.map(read).transpose()?;
        Ok(table.map(|table| Self { table }))
    }

    /// The interpolated embeddings of patches.
    ///
    /// # Shapes
    /// - output: `[N, W]`
    pub fn at(&self, corners: &Corners) -> Tensor<2> {
        let [first, rest @ ..] = corners.0.each_ref().map(|(entries, weights)| {
            self.table.clone().select(0, entries.clone()) * weights.clone().cast(self.table.dtype())
        });
        rest.into_iter().fold(first, |sum, corner| sum + corner)
    }
}

impl Corners {
    /// The places in a grid of `side` by `side` of these patches: each (row, rows of its image, column,
    /// columns of its image). The outermost patches lie on the outermost entries.
    pub fn new(patches: &[[usize; 4]], side: usize, device: &Device) -> Self {
        let places: Vec<[(usize, f32); 4]> = patches
            .iter()
            .map(|&[y, rows, x, columns]| {
                let (top, bottom) = neighbours(y, rows, side);
                let (left, right) = neighbours(x, columns, side);
                [(top, left), (top, right), (bottom, left), (bottom, right)]
                    .map(|(v, h)| (v.0 * side + h.0, v.1 * h.1))
            })
            .collect();
        Self(std::array::from_fn(|corner| {
            let weights: Vec<f32> = places.iter().map(|p| p[corner].1).collect();
            let weights = TensorData::new(weights, [places.len(), 1]);
            (indices(places.iter().map(|p| p[corner].0), device), send(weights, device, DType::F32))
        }))
    }
}

/// The entries on both sides of patch `at` of `count`, and the weight of each.
fn neighbours(at: usize, count: usize, side: usize) -> ((usize, f32), (usize, f32)) {
    let place = match count {
        0 | 1 => 0.0,
        _ => at as f32 * ((side - 1) as f32 / (count - 1) as f32),
    };
    let low = (place as usize).min(side - 1);
    let share = place - low as f32;
    ((low, 1.0 - share), ((low + 1).min(side - 1), share))
}
