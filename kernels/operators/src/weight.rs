//! Frozen weights as they are kept: as floats, or quantised.
//!
//! A quantised weight has whole numbers of eight or four bits, symmetric about zero, in groups of [`GROUP`] neighbours
//! along the inputs, each group with a scale of its own in f32: `w ≈ scale · q`, the scale such that the group's largest
//! value is the largest number. So no weight is further from its own than half a scale.
//!
//! Numbers lie in words of 32 bits, blocks of 16 words: number `k` of word `w` is value `16·k + w` of the block. Neighbours
//! lie in neighbouring words, so a vector of words unpacks into vectors of neighbours, whatever the vector's width.
//!
//! Shapes: `O` outputs, `I` inputs.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use rayon::prelude::*;

/// Values with a scale in common.
pub const GROUP: usize = 64;
/// Words of a block.
pub(crate) const BLOCK: usize = 16;

/// How many bits a number has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bits {
    /// −127 … 127
    Eight,
    /// −7 … 7
    Four,
}

impl Bits {
    /// The number.
    pub fn bits(self) -> usize {
        match self {
            Self::Eight => 8,
            Self::Four => 4,
        }
    }

    /// Numbers of a word.
    pub(crate) fn per_word(self) -> usize {
        32 / self.bits()
    }

    /// The largest number.
    pub fn largest(self) -> i32 {
        (1 << (self.bits() - 1)) - 1
    }

    /// Blocks of a row of so many inputs.
    fn blocks(self, inputs: usize) -> usize {
        inputs.div_ceil(BLOCK * self.per_word())
    }

    /// Scales of a row of so many inputs.
    fn groups(self, inputs: usize) -> usize {
        self.blocks(inputs) * BLOCK * self.per_word() / GROUP
    }

    /// Bytes of a weight of this shape.
    ///
    /// ```
    /// use vigos_operators::Bits;
    ///
    /// // A byte a weight and four for each 64; half a byte and four for each 64.
    /// assert_eq!(Bits::Eight.bytes([1, 256]), 256 + 16);
    /// assert_eq!(Bits::Four.bytes([1, 256]), 128 + 16);
    /// ```
    pub fn bytes(self, [outputs, inputs]: [usize; 2]) -> u64 {
        let block = 4 * (BLOCK + BLOCK * self.per_word() / GROUP);
        (outputs as u64).saturating_mul(self.blocks(inputs) as u64).saturating_mul(block as u64)
    }
}

/// A weight without a gradient, `[O, I]`.
#[derive(Clone, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "a model has some hundred of them, and each stands for megabytes"
)]
pub enum Weight {
    /// Floats.
    Plain(Tensor<2>),
    /// Whole numbers and scales.
    Quantised(Quantised),
}

impl From<Tensor<2>> for Weight {
    fn from(tensor: Tensor<2>) -> Self {
        Self::Plain(tensor)
    }
}

impl Weight {
    /// The weight in `dtype`: the tensor itself where it is that already, otherwise made by separate operators.
    ///
    /// # Shapes
    /// - output: `[O, I]`
    pub fn wide(&self, dtype: DType) -> Tensor<2> {
        match self {
            Self::Plain(tensor) if tensor.dtype() == dtype => tensor.clone(),
            Self::Plain(tensor) => tensor.clone().cast(dtype),
            Self::Quantised(quantised) => quantised.wide().cast(dtype),
        }
    }
}

/// A quantised weight.
#[derive(Clone, Debug)]
pub struct Quantised {
    pub(crate) layout: Layout,
    /// `[O, 16·blocks]`, words of 32 bits
    pub(crate) words: Tensor<2, Int>,
    /// `[O, groups]` in f32
    pub(crate) scales: Tensor<2>,
}

/// How the numbers of a row lie.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Layout {
    pub(crate) bits: Bits,
    pub(crate) inputs: usize,
}

impl Quantised {
    /// Quantises row-major values. A group with a value that is not finite has no numbers: it is NaN.
    ///
    /// ```
    /// use burn::tensor::{DType, Device};
    /// use vigos_operators::{Bits, Quantised, Weight};
    ///
    /// let quantised = Quantised::new(&[127.0, -63.6, 1.4], [1, 3], Bits::Eight, &Device::flex());
    /// let found = Weight::Quantised(quantised).wide(DType::F32).into_data().to_vec::<f32>().unwrap();
    /// assert_eq!(found, [127.0, -64.0, 1.0]);
    /// ```
    ///
    /// # Panics
    /// If there are not `O·I` values.
    pub fn new(values: &[f32], [outputs, inputs]: [usize; 2], bits: Bits, device: &Device) -> Self {
        assert_eq!(values.len(), outputs * inputs, "a value for each place");
        let (blocks, groups) = (bits.blocks(inputs), bits.groups(inputs));
        let mut words = vec![0i32; outputs * blocks * BLOCK];
        let mut scales = vec![0.0f32; outputs * groups];
        let rows = values.par_chunks_exact(inputs.max(1));
        let rows = rows.zip(words.par_chunks_exact_mut((blocks * BLOCK).max(1)));
        rows.zip(scales.par_chunks_exact_mut(groups.max(1)))
            .for_each(|((values, words), scales)| quantise_row(values, bits, words, scales));
        let words = TensorData::new(words, [outputs, blocks * BLOCK]);
        let scales = TensorData::new(scales, [outputs, groups]);
        Self {
            layout: Layout { bits, inputs },
            words: Tensor::from_data(words, (device, DType::I32)),
            scales: Tensor::from_data(scales, (device, DType::F32)),
        }
    }

    /// Its values in f32, by separate operators.
    fn wide(&self) -> Tensor<2> {
        let Layout { bits, inputs } = self.layout;
        let [outputs, words] = self.words.dims();
        let words = self.words.clone().reshape([outputs, words / BLOCK, 1, BLOCK]);
        let (width, sign) = (bits.bits() as i32, bits.largest() + 1);
        let parts = (0..bits.per_word() as i32).map(|part| {
            let number = words.clone().bitwise_right_shift_scalar(part * width);
            let number = number.bitwise_and_scalar(2 * sign - 1);
            number.clone() - number.bitwise_and_scalar(sign) * 2
        });
        let numbers = Tensor::cat(parts.collect(), 2).float().cast(DType::F32);
        let groups = self.scales.dims()[1];
        let scales = self.scales.clone().reshape([outputs, groups, 1]);
        let values = numbers.reshape([outputs, groups, GROUP]) * scales;
        values.reshape([outputs, groups * GROUP]).narrow(1, 0, inputs)
    }
}

fn quantise_row(values: &[f32], bits: Bits, words: &mut [i32], scales: &mut [f32]) {
    let (per_word, largest) = (bits.per_word(), bits.largest() as f32);
    let mask = (1u32 << bits.bits()) - 1;
    for ((group, values), scale) in values.chunks(GROUP).enumerate().zip(scales) {
        let most = values.iter().fold(0.0f32, |most, value| most.max(value.abs()));
        let is_finite = values.iter().all(|value| value.is_finite());
        *scale = if is_finite { most / largest } else { f32::NAN };
        for (i, value) in values.iter().enumerate() {
            // Zero where the scale is: a group of zeros, or of numbers too small to be told from them.
            let number = if *scale > 0.0 { (value / *scale).round().clamp(-largest, largest) } else { 0.0 };
            let place = group * GROUP + i;
            let (block, within) = (place / (BLOCK * per_word), place % (BLOCK * per_word));
            let (part, word) = (within / BLOCK, within % BLOCK);
            let bits = ((number as i32 as u32) & mask) << (part * bits.bits());
            words[block * BLOCK + word] |= bits as i32;
        }
    }
}
