//! What operators of the CPU share on its vector units. All of it is to be called where those are on
//! (`macerator::with_simd`).

use macerator::{Scalar, Simd, Vector};

/// More lanes than any vector has.
pub const LANES: usize = 64;

/// What is left behind the last whole vector, filled up with `padding` to whole vectors.
pub fn filled(rest: &[f32], padding: f32) -> [f32; LANES] {
    let mut padded = [padding; LANES];
    padded[..rest.len()].copy_from_slice(rest);
    padded
}

/// Exponents below this count as zero; [`exp`] of it is still a normal number.
pub const CUT: f32 = -87.0;

/// e to the power of `x` ≤ 0, to 1.2e-7 of the value; zero below [`CUT`]. What is no number stays none.
///
/// `x = n·ln 2 + r` with |r| ≤ ½ ln 2. A polynomial of degree six stands for the power of `r`, interpolated at
/// the Chebyshev nodes (1e-8 of the value before rounding); 2ⁿ is put together from its bits.
#[inline(always)]
pub fn exp<S: Simd>(x: Vector<S, f32>) -> Vector<S, f32> {
    // Adding it leaves the nearest whole number in the low bits of the significand.
    const ROUND: f32 = 12_582_912.0;
    // ln 2 in two parts; the first has so few bits that its products with n are exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let shifted = x.mul_add(std::f32::consts::LOG2_E.splat::<S>(), ROUND.splat::<S>());
    let n = shifted - ROUND.splat::<S>();
    let r = n.mul_add((-LN_2_HIGH).splat::<S>(), x);
    let r = n.mul_add((-LN_2_LOW).splat::<S>(), r);
    let mut tail = 1.392_617_6e-3_f32.splat::<S>();
    for coefficient in [8.363_173e-3, 4.166_655_5e-2, 1.666_657_7e-1, 0.5_f32] {
        tail = tail.mul_add(r, coefficient.splat::<S>());
    }
    let power = (r * r).mul_add(tail, r) + 1.0f32.splat::<S>();
    let bits = (shifted.reinterpret::<u32>() + 127u32.splat::<S>()) << 23;
    let value = power * bits.reinterpret::<f32>();
    x.lt(CUT.splat::<S>()).select(0.0f32.splat::<S>(), value)
}

/// Reads one vector; `values` has as many elements as the vector has lanes.
#[inline(always)]
pub fn load<S: Simd>(values: &[f32]) -> Vector<S, f32> {
    bytemuck::pod_read_unaligned(bytemuck::cast_slice(values))
}

/// Writes one vector; `values` has as many elements as the vector has lanes.
#[inline(always)]
pub fn store<S: Simd>(vector: Vector<S, f32>, values: &mut [f32]) {
    bytemuck::cast_slice_mut::<f32, u8>(values).copy_from_slice(bytemuck::bytes_of(&vector));
}

/// Σ a·b, in one sum for each lane of a vector.
#[inline(always)]
pub fn dot<S: Simd>(a: &[f32], b: &[f32]) -> f32 {
    let lanes = f32::lanes::<S>();
    let (a_vectors, b_vectors) = (a.chunks_exact(lanes), b.chunks_exact(lanes));
    let mut rest = 0.0;
    for (a, b) in a_vectors.remainder().iter().zip(b_vectors.remainder()) {
        rest += a * b;
    }
    let mut sum = 0.0f32.splat::<S>();
    for (a, b) in a_vectors.zip(b_vectors) {
        sum = load::<S>(a).mul_add(load::<S>(b), sum);
    }
    sum.reduce_add() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[macerator::with_simd]
    fn exp_block<S: Simd>(block: &mut [f32; 64]) {
        let lanes = f32::lanes::<S>();
        for values in block.chunks_exact_mut(lanes) {
            let value = exp::<S>(load::<S>(values));
            store::<S>(value, values);
        }
    }

    #[test]
    fn the_exponential_keeps_its_bound_down_to_the_cut() {
        let steps = 1 << 20;
        let mut worst = 0.0f64;
        for block in 0..steps / 64 {
            let x: [f32; 64] = std::array::from_fn(|i| CUT * (block * 64 + i) as f32 / steps as f32);
            let mut found = x;
            exp_block(&mut found);
            for (x, found) in x.iter().zip(found) {
                let wanted = f64::from(*x).exp();
                worst = worst.max((f64::from(found) / wanted - 1.0).abs());
            }
        }
        assert!(worst < 1.2e-7, "{worst:e}");
        let mut edges = [0.0; 64];
        (edges[0], edges[1], edges[2]) = (f32::NEG_INFINITY, -87.1, f32::NAN);
        exp_block(&mut edges);
        assert_eq!((edges[0], edges[1], edges[3]), (0.0, 0.0, 1.0));
        assert!(edges[2].is_nan());
    }
}
