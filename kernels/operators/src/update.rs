//! The low-rank update of a layer.

use burn::tensor::Tensor;

/// A low-rank update of a frozen layer.
#[derive(Clone, Debug)]
pub struct Update {
    /// What it reads in the place of x: x after dropout. None: x itself. `[T, I]`
    pub dropped: Option<Tensor<2>>,
    /// `[r, I]`
    pub a: Tensor<2>,
    /// `[O, r]`
    pub b: Tensor<2>,
    /// Factor of the update.
    pub scale: f64,
}
