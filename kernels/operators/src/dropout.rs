//! Dropout whose mask is a function of where a value is, decided where it is needed and kept nowhere.
//!
//! A row has two words that its owner drew for it, a layer has two, and a column's two come of the layer's. They are mixed
//! with integer products that never leave 31 bits: the same mask on every backend, at any time, in any order of rows. On the
//! CPU in f32, and on CubeCL's runtimes, it is one operator, forward and back; elsewhere it is made of others.

use burn::tensor::{DType, Int, Tensor, TensorData};
use vigos_devices::send;

/// Bits of a word.
pub(crate) const WORD: u32 = 0xFFFF;
/// Odd multipliers below 2¹⁵, so that a product with a word stays below 2³¹ on every integer type, and shifts.
pub(crate) const ROUNDS: [(u32, u32); 4] = [(31_153, 7), (24_989, 9), (29_573, 8), (20_117, 7)];

/// Which values of a layer's input are dropped.
#[derive(Clone, Debug)]
pub struct DropMask {
    /// Two words of 16 bits for each row. `[T, 2]`, i32
    pub rows: Tensor<2, Int>,
    /// What tells the layer from others: 64 random bits.
    pub site: u64,
    /// Of a value's being dropped, from 0 to 1, in steps of 2⁻¹⁶.
    pub probability: f64,
}

impl DropMask {
    /// Words below this are dropped.
    fn threshold(&self) -> u32 {
        (self.probability * f64::from(WORD + 1)).round() as u32
    }

    /// What the values that are left are multiplied with, so that the mean stays.
    fn scale(&self) -> f64 {
        1.0 / (1.0 - self.probability)
    }
}

/// A column's two words: the finaliser of a hash (lowbias32), twice.
pub(crate) fn column_words(site: u64, column: u32) -> [u32; 2] {
    let mix = |mut h: u32| {
        h = (h ^ (h >> 16)).wrapping_mul(0x7FEB_352D);
        h = (h ^ (h >> 15)).wrapping_mul(0x846C_A68B);
        h ^ (h >> 16)
    };
    let mixed = mix(mix(column.wrapping_mul(0x9E37_79B1) ^ site as u32) ^ (site >> 32) as u32);
    [mixed & WORD, mixed >> 16]
}

/// Zero for values that are dropped, the others divided by one less the probability. Differentiable with respect to `x`.
///
/// ```
/// use burn::tensor::{DType, Device, Tensor, TensorData};
/// use vigos_operators::{DropMask, dropped};
///
/// let device = Device::flex();
/// let rows = Tensor::from_data(TensorData::from([[1, 2], [3, 4]]), (&device, DType::I32));
/// let mask = DropMask { rows, site: 5, probability: 0.5 };
/// let found: Vec<f32> = dropped(Tensor::ones([2, 100], &device), &mask).try_into_vec_as()?;
/// assert!(found.iter().all(|x| *x == 0.0 || *x == 2.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Shapes
/// - `x` and output: `[T, I]`
pub fn dropped(x: Tensor<2>, mask: &DropMask) -> Tensor<2> {
    #[cfg(any(feature = "flex", feature = "cube"))]
    if crate::placement::is_fused(&x) {
        return fused::dropped(x, mask);
    }
    dropped_reference(x, mask)
}

/// The same made of separate operators.
///
/// # Shapes
/// As [`dropped`].
pub fn dropped_reference(x: Tensor<2>, mask: &DropMask) -> Tensor<2> {
    let [rows, columns] = x.dims();
    let device = mask.rows.device();
    let words = |which: usize| {
        let words = (0..columns as u32).map(|column| column_words(mask.site, column)[which] as i32).collect();
        let words: Tensor<2, Int> = send(TensorData::new::<i32, _>(words, [1, columns]), &device, DType::I32);
        words.expand([rows, columns])
    };
    let of_row = |which| mask.rows.clone().narrow(1, which, 1).expand([rows, columns]);
    let [r0, r1, c0, c1] = [of_row(0), of_row(1), words(0), words(1)];
    let word = |t: Tensor<2, Int>| t.bitwise_and_scalar(WORD as i32);
    let mut mixed = word(r0.clone() + c0);
    // Every word meets at least two products: with fewer, some pairs of columns nearly share their masks.
    for ((multiplier, shift), inject) in ROUNDS.into_iter().zip([Some(r1), Some(c1), Some(r0), None]) {
        mixed = word(mixed * multiplier as i32);
        mixed = mixed.clone().bitwise_xor(mixed.bitwise_right_shift_scalar(shift as i32));
        if let Some(inject) = inject {
            mixed = mixed.bitwise_xor(inject);
        }
    }
    let keep = mixed.greater_equal_elem(mask.threshold() as i32).float().cast(x.dtype());
    let keep = if x.is_autodiff() { Tensor::from_inner(keep) } else { keep };
    x * keep * mask.scale()
}

#[cfg(any(feature = "flex", feature = "cube"))]
pub(crate) mod fused {
    use super::DropMask;
    use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
    use burn::backend::autodiff::grads::Gradients;
    use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
    use burn::backend::tensor::{FloatTensor, IntTensor};
    use burn::backend::{Autodiff, Backend, Dispatch, backend_extension};
    use burn::tensor::Tensor;

    pub(super) fn dropped(x: Tensor<2>, mask: &DropMask) -> Tensor<2> {
        let (x, rows) = (x.into_dispatch(), mask.rows.clone().into_dispatch());
        let (site, threshold, scale) = (mask.site, mask.threshold(), mask.scale() as f32);
        Tensor::from_dispatch(<Dispatch as DropBackend>::dropped(x, rows, site, threshold, scale))
    }

    /// A backend with dropout as one operator.
    #[backend_extension(
        Cube: cfg(feature = "cube"),
        Flex: cfg(feature = "flex"),
        Autodiff,
        Fusion: cfg(feature = "fusion")
    )]
    pub(crate) trait DropBackend: Backend {
        /// `x` where its word is at least the threshold, times `scale`; otherwise zero. It is its own backward.
        #[fusion(meta = |x, _rows, _site, _threshold, _scale| x.clone())]
        fn dropped(
            x: FloatTensor<Self>,
            rows: IntTensor<Self>,
            site: u64,
            threshold: u32,
            scale: f32,
        ) -> FloatTensor<Self>;
    }

    impl<B: DropBackend, C: CheckpointStrategy> DropBackend for Autodiff<B, C> {
        fn dropped(
            x: FloatTensor<Self>,
            rows: IntTensor<Self>,
            site: u64,
            threshold: u32,
            scale: f32,
        ) -> FloatTensor<Self> {
            #[derive(Debug)]
            struct DropBackward;

            impl<B: DropBackend> Backward<B, 1> for DropBackward {
                /// Words of the rows, site, threshold and scale.
                type State = (IntTensor<B>, u64, u32, f32);

                fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
                    let [x] = ops.parents;
                    let upstream = gradients.consume::<B>(&ops.node);
                    if let Some(x) = x {
                        let (rows, site, threshold, scale) = ops.state;
                        gradients.register::<B>(x.id, B::dropped(upstream, rows, site, threshold, scale));
                    }
                }
            }

            let node = x.node();
            let x = x.into_primitive();
            match DropBackward.prepare::<C>([node]).compute_bound().stateful() {
                OpsKind::Tracked(step) => {
                    let output = B::dropped(x, rows.clone(), site, threshold, scale);
                    step.finish((rows, site, threshold, scale), output)
                }
                OpsKind::UnTracked(step) => step.finish(B::dropped(x, rows, site, threshold, scale)),
            }
        }
    }
}
