//! Dropout whose mask is a function of (seed, step, sample, position, layer, column).
//!
//! A mask that came from a device's own generator would depend on the order of operations, on the batch and
//! on the backend, and a recomputed block would draw another one. Here the host draws two 16-bit words for
//! each row, which are sent once, and the operator mixes them with those of layer and column: the
//! same mask on every backend, at any time, without storing it.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use vigos_core::random::{Key, Purpose, draws};
use vigos_kernels::{DropMask, dropped, send};

/// A dropout over the rows of one packed batch.
#[derive(Clone, Debug)]
pub struct Dropout {
    probability: f64,
    /// Two words a row. `[T, 2]`
    rows: Tensor<2, Int>,
}

impl Dropout {
    /// Dropout with `probability` at `step` for rows named by (sample, position).
    pub fn new(
        probability: f64,
        seed: u64,
        step: u64,
        rows: impl IntoIterator<Item = (u64, u64)>,
        device: &Device,
    ) -> Self {
        let words: Vec<i32> = rows
            .into_iter()
            .map(|(sample, position)| draws(Purpose::Dropout, Key { seed, step, sample, position }).bits())
            .flat_map(|bits| [(bits & 0xFFFF) as i32, (bits >> 32 & 0xFFFF) as i32])
            .collect();
        let shape = [words.len() / 2, 2];
        Self { probability, rows: send(TensorData::new(words, shape), device, DType::I32) }
    }

    /// The same dropout with its rows in another order.
    pub fn permuted(&self, order: &Tensor<1, Int>) -> Self {
        Self { probability: self.probability, rows: self.rows.clone().select(0, order.clone()) }
    }

    /// Whether it changes anything.
    pub fn drops(&self) -> bool {
        self.probability > 0.0
    }

    /// Zeroes values with the given probability and scales the others by 1/(1 − p).
    ///
    /// # Shapes
    /// - `x` and output: `[T, in]`
    pub fn apply(&self, x: Tensor<2>, site: u64) -> Tensor<2> {
        if !self.drops() {
            return x;
        }
        let site = draws(Purpose::Dropout, Key { seed: u64::MAX, step: site, ..Key::default() }).bits();
        dropped(x, &DropMask { rows: self.rows.clone(), site, probability: self.probability })
    }
}
