//! Reading and writing logits of every precision in blocks of f32.

use bytemuck::Pod;
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

/// Elements of a block: two of them and a gradient stay in a first-level cache of 32 KiB.
pub(crate) const BLOCK: usize = 1024;

/// Logits in f32. Where a row ends within a block, the rest is −∞, which changes no sum.
pub(crate) type Block = [f32; BLOCK];

/// A precision that logits can have.
pub(crate) trait Element: Pod + burn::tensor::Element {
    /// At most one block of logits in f32, in `buffer` if they have to be converted or padded.
    fn read<'a>(values: &'a [Self], buffer: &'a mut Block) -> &'a Block;

    /// Rounds the beginning of a block to `values`, to the nearest, ties to even.
    fn write(block: &Block, values: &mut [Self]);

    /// Fills with zeros.
    fn zero(values: &mut [Self]) {
        values.fill(Self::zeroed());
    }
}

impl Element for f32 {
    #[inline(always)]
    fn read<'a>(values: &'a [Self], buffer: &'a mut Block) -> &'a Block {
        if let Ok(block) = values.try_into() {
            return block;
        }
        pad(buffer, values.len()).copy_from_slice(values);
        buffer
    }

    #[inline(always)]
    fn write(block: &Block, values: &mut [Self]) {
        values.copy_from_slice(&block[..values.len()]);
    }
}

impl Element for bf16 {
    #[inline(always)]
    fn read<'a>(values: &'a [Self], buffer: &'a mut Block) -> &'a Block {
        for (wide, value) in pad(buffer, values.len()).iter_mut().zip(values) {
            *wide = f32::from_bits(u32::from(value.to_bits()) << 16);
        }
        buffer
    }

    #[inline(always)]
    fn write(block: &Block, values: &mut [Self]) {
        // Gradients are finite, so that the carry of the rounding never runs into an infinity's bits.
        for (value, wide) in values.iter_mut().zip(block) {
            let bits = wide.to_bits();
            *value = bf16::from_bits(((bits + 0x7fff + ((bits >> 16) & 1)) >> 16) as u16);
        }
    }
}

impl Element for f16 {
    #[inline(always)]
    fn read<'a>(values: &'a [Self], buffer: &'a mut Block) -> &'a Block {
        values.convert_to_f32_slice(pad(buffer, values.len()));
        buffer
    }

    #[inline(always)]
    fn write(block: &Block, values: &mut [Self]) {
        values.convert_from_f32_slice(&block[..values.len()]);
    }
}

/// The first `count` elements of a block whose others are −∞.
#[inline(always)]
fn pad(buffer: &mut Block, count: usize) -> &mut [f32] {
    let (values, rest) = buffer.split_at_mut(count.min(BLOCK));
    rest.fill(f32::NEG_INFINITY);
    values
}
