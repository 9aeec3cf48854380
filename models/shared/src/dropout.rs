//! Dropout whose mask is a function of (seed, step, sample, position, layer, column).
//!
//! A mask that came from a device's own generator would depend on the order of operations, on the batch and
//! on the backend, and a recomputed block would draw another one. Here the host draws two 16-bit words for
//! each row and each column, and the device mixes them with integer products that never leave 31 bits: the
//! same mask on every backend, at any time, without storing it.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use vigos_core::random::{Key, Purpose, draws};

const WORD: u64 = 0xFFFF;
/// Odd multipliers below 2¹⁵: a product with a 16-bit word stays below 2³¹ on every integer type.
const MULTIPLIERS: [i32; 4] = [31_153, 24_989, 29_573, 20_117];
const SHIFTS: [i32; 4] = [7, 9, 8, 7];

/// A dropout over the rows of one packed batch.
#[derive(Clone, Debug)]
pub struct Dropout {
    probability: f64,
    /// Two words a row, each `[T, 1]`.
    rows: [Tensor<2, Int>; 2],
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
        let bits: Vec<u64> = rows
            .into_iter()
            .map(|(sample, position)| draws(Purpose::Dropout, Key { seed, step, sample, position }).bits())
            .collect();
        let rows = words(&bits, |n| [n, 1], device);
        Self { probability, rows }
    }

    /// The same dropout with its rows in another order.
    pub fn permuted(&self, order: &Tensor<1, Int>) -> Self {
        let rows = self.rows.clone().map(|w| w.select(0, order.clone()));
        Self { probability: self.probability, rows }
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
        let [rows, columns] = x.dims();
        let device = self.rows[0].device();
        let mut stream = draws(Purpose::Dropout, Key { seed: u64::MAX, step: site, ..Default::default() });
        let bits: Vec<u64> = (0..columns).map(|_| stream.bits()).collect();
        let columns_words = words(&bits, |n| [1, n], &device);
        let wide = |w: &Tensor<2, Int>| w.clone().expand([rows, columns]);
        let [r0, r1] = [wide(&self.rows[0]), wide(&self.rows[1])];
        let [c0, c1] = [wide(&columns_words[0]), wide(&columns_words[1])];

        let word = |t: Tensor<2, Int>| t.bitwise_and_scalar(WORD as i32);
        let mut mixed = word(r0.clone() + c0);
        // Every word meets at least two products: with fewer, some pairs of columns nearly share their masks.
        let injected = [Some(r1), Some(c1), Some(r0), None];
        for ((multiplier, shift), inject) in MULTIPLIERS.into_iter().zip(SHIFTS).zip(injected) {
            mixed = word(mixed * multiplier);
            mixed = mixed.clone().bitwise_xor(mixed.bitwise_right_shift_scalar(shift));
            if let Some(inject) = inject {
                mixed = mixed.bitwise_xor(inject);
            }
        }
        let threshold = (self.probability * (WORD + 1) as f64).round() as i32;
        let keep = mixed.greater_equal_elem(threshold).float().cast(x.dtype());
        x * keep * (1.0 / (1.0 - self.probability))
    }
}

/// Splits each draw into two 16-bit words on the device.
fn words(bits: &[u64], shape: impl Fn(usize) -> [usize; 2], device: &Device) -> [Tensor<2, Int>; 2] {
    [0, 32].map(|shift| {
        let values: Vec<i32> = bits.iter().map(|b| ((b >> shift) & WORD) as i32).collect();
        let shape = shape(values.len());
        Tensor::from_data(TensorData::new(values, shape), (device, DType::I32))
    })
}
