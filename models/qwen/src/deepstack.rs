//! Deepstack: features of early vision blocks, added to the image tokens behind the first decoder layers.
//!
//! The vision tower gives one row for each image token: the token itself in the first `D` columns and `D`
//! more for each of the `K` deepstack mergers. A tower without deepstack gives `[M, D]`.

use burn::tensor::{Device, IndexingUpdateOp, Int, Tensor};
use vigos_models::Packed;
use vigos_models::rows::indices;

/// What is added, and to which rows of a packed batch.
#[derive(Clone, Debug)]
pub struct Deepstack {
    /// Rows of all image tokens. `[M]`
    rows: Tensor<1, Int>,
    /// For each of the first decoder layers, what is added to its output. `[M, D]`
    layers: Vec<Tensor<2>>,
}

impl Deepstack {
    /// What the features of a batch's images hold behind their first `width` columns; `None` if nothing.
    ///
    /// # Shapes
    /// - `features`: `[tokens, (1 + K)·D]` for each image, in order
    pub fn new(packed: &Packed, features: &[Tensor<2>], width: usize, device: &Device) -> Option<Self> {
        let layers = features.first()?.dims()[1] / width - 1;
        if layers == 0 {
            return None;
        }
        let features = Tensor::cat(features.to_vec(), 0);
        Some(Self {
            rows: indices(packed.image_rows(), device),
            layers: (1..=layers).map(|k| features.clone().narrow(1, k * width, width)).collect(),
        })
    }

    /// The output of decoder layer `layer` with its features added.
    ///
    /// # Shapes
    /// - `hidden` and output: `[T, D]`
    pub fn add(&self, layer: usize, hidden: Tensor<2>) -> Tensor<2> {
        match self.layers.get(layer) {
            None => hidden,
            Some(features) => {
                hidden.select_assign(0, self.rows.clone(), features.clone(), IndexingUpdateOp::Add)
            }
        }
    }
}

/// The image tokens themselves: the first `width` columns.
pub fn tokens(features: &Tensor<2>, width: usize) -> Tensor<2> {
    features.clone().narrow(1, 0, width)
}
