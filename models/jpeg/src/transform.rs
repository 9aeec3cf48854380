//! Coefficients to samples: the accurate integer inverse DCT (Loeffler, Ligtenberg and Moschytz, 1989) with 13
//! fraction bits, and the two extra bits between its passes that decide how it rounds.

use std::num::Wrapping;

use crate::error::{JpegError, Result};
use crate::frame::Component;

/// The samples of a component.
pub(crate) struct Plane {
    /// Samples of a row, padding included.
    pub(crate) stride: usize,
    pub(crate) samples: Vec<u8>,
}

impl Component {
    /// The component's samples.
    pub(crate) fn plane(&self) -> Result<Plane> {
        let quantization = self
            .quantization
            .ok_or(JpegError::Damaged("a component without samples or without its quantization table"))?;
        let stride = self.blocks_wide * 8;
        let mut samples = vec![0; stride * self.blocks_high * 8];
        for (blocks, rows) in
            self.coefficients.chunks_exact(self.blocks_wide).zip(samples.chunks_exact_mut(stride * 8))
        {
            for (x, block) in blocks.iter().enumerate() {
                for (row, values) in inverse(block, &quantization).chunks_exact(8).enumerate() {
                    rows[row * stride + x * 8..][..8].copy_from_slice(values);
                }
            }
        }
        Ok(Plane { stride, samples })
    }
}

/// Sums of a damaged file may not fit; they wrap instead of ending the program.
type Int = Wrapping<i32>;

const CONST_BITS: usize = 13;
const PASS_BITS: usize = 2;

fn inverse(block: &[i16; 64], quantization: &[u16; 64]) -> [u8; 64] {
    let mut work = [Wrapping(0); 64];
    for ((value, coefficient), step) in work.iter_mut().zip(block).zip(quantization) {
        *value = Wrapping(i32::from(*coefficient)) * Wrapping(i32::from(*step));
    }
    for column in 0..8 {
        let input = std::array::from_fn(|row| work[row * 8 + column]);
        for (row, sum) in butterfly(input).into_iter().enumerate() {
            work[row * 8 + column] = descale(sum, CONST_BITS - PASS_BITS);
        }
    }
    let mut samples = [0; 64];
    for (values, out) in work.as_chunks::<8>().0.iter().zip(samples.chunks_exact_mut(8)) {
        for (sum, sample) in butterfly(*values).into_iter().zip(out) {
            *sample = (descale(sum, CONST_BITS + PASS_BITS + 3).0.saturating_add(128)).clamp(0, 255) as u8;
        }
    }
    samples
}

fn descale(sum: Int, bits: usize) -> Int {
    (sum + Wrapping(1 << (bits - 1))) >> bits
}

/// The one-dimensional transform of eight values, scaled up by 13 bits.
fn butterfly(x: [Int; 8]) -> [Int; 8] {
    /// `round(value · 2^13)`
    const fn fixed(value: f64) -> Int {
        Wrapping((value * 8192.0 + 0.5) as i32)
    }
    let shared = (x[2] + x[6]) * fixed(0.541196100);
    let even_2 = shared - x[6] * fixed(1.847759065);
    let even_3 = shared + x[2] * fixed(0.765366865);
    let even_0 = (x[0] + x[4]) << CONST_BITS;
    let even_1 = (x[0] - x[4]) << CONST_BITS;
    let even = [even_0 + even_3, even_1 + even_2, even_1 - even_2, even_0 - even_3];

    let z5 = (x[7] + x[3] + x[5] + x[1]) * fixed(1.175875602);
    let z1 = (x[7] + x[1]) * fixed(0.899976223);
    let z2 = (x[5] + x[3]) * fixed(2.562915447);
    let z3 = z5 - (x[7] + x[3]) * fixed(1.961570560);
    let z4 = z5 - (x[5] + x[1]) * fixed(0.390180644);
    let odd = [
        x[1] * fixed(1.501321110) - z1 + z4,
        x[3] * fixed(3.072711026) - z2 + z3,
        x[5] * fixed(2.053119869) - z2 + z4,
        x[7] * fixed(0.298631336) - z1 + z3,
    ];
    std::array::from_fn(|n| if n < 4 { even[n] + odd[n] } else { even[7 - n] - odd[7 - n] })
}
