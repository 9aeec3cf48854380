//! Dropout: a unit for some neighbouring values, which works out their masks itself.

#![allow(missing_docs, reason = "the macro makes items of its own beside the documented ones")]

use crate::launch::{dense, each, like, vector_size};
use burn::backend::cubecl::dtype_to_storage_type;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// Bits of a word.
const WORD: u32 = 0xFFFF;

/// `x`, `[T, I]`, where its word is at least `threshold`, times `scale`; otherwise zero.
///
/// `rows` has two words of 16 bits for each row, `[T, 2]` in i32, and `site` those of the layer.
pub fn dropped(x: CubeTensor, rows: CubeTensor, site: u64, threshold: u32, scale: f32) -> CubeTensor {
    let [x, rows] = dense([x, rows]);
    let out = like(&x);
    let (client, count) = (x.client.clone(), x.meta.num_elements());
    if count == 0 {
        return out;
    }
    let width = x.meta.shape()[1];
    let vector = vector_size(&x, width);
    let (cubes, units) = each(&client, count / vector);
    drop_some::launch(
        &client,
        cubes,
        units,
        x.required_address_type(),
        vector,
        x.clone().into_tensor_arg(),
        rows.into_tensor_arg(),
        out.clone().into_tensor_arg(),
        site as u32,
        (site >> 32) as u32,
        threshold,
        scale,
        dtype_to_storage_type(x.dtype),
    );
    out
}

#[cube(launch, address_type = "dynamic")]
pub(crate) fn drop_some<F: Float, N: Size>(
    x: &Tensor<Vector<F, N>>,
    rows: &Tensor<i32>,
    out: &mut Tensor<Vector<F, N>>,
    site_low: u32,
    site_high: u32,
    threshold: u32,
    scale: f32,
    #[define(F)] _precision: ElemType,
) {
    let i = ABSOLUTE_POS;
    if i >= out.len() {
        terminate!();
    }
    let across = x.shape(1) / N::value();
    let (row, first) = (i / across, i % across * N::value());
    let r0 = rows[2 * row] as u32;
    let r1 = rows[2 * row + 1] as u32;
    let values = x[i];
    let mut made = Vector::<F, N>::zeroed();
    #[unroll]
    for lane in 0..N::value() {
        let column = (first + lane) as u32;
        let of_column = finalise(finalise((column * 0x9E37_79B1u32) ^ site_low) ^ site_high);
        let (c0, c1) = (of_column & WORD, of_column >> 16);
        let mixed = round((r0 + c0) & WORD, 31_153u32, 7u32) ^ r1;
        let mixed = round(mixed, 24_989u32, 9u32) ^ c1;
        let mixed = round(mixed, 29_573u32, 8u32) ^ r0;
        let mixed = round(mixed, 20_117u32, 7u32);
        let kept = select(mixed >= threshold, f32::cast_from(values.extract(lane)) * scale, 0.0);
        made.insert(lane, F::cast_from(kept));
    }
    out[i] = made;
}

/// A product within a word, and its upper bits over its lower ones.
#[cube]
fn round(mixed: u32, #[comptime] multiplier: u32, #[comptime] shift: u32) -> u32 {
    let mixed = (mixed * multiplier) & WORD;
    mixed ^ (mixed >> shift)
}

/// The finaliser of a hash (lowbias32); products wrap around.
#[cube]
fn finalise(bits: u32) -> u32 {
    let bits = (bits ^ (bits >> 16)) * 0x7FEB_352Du32;
    let bits = (bits ^ (bits >> 15)) * 0x846C_A68Bu32;
    bits ^ (bits >> 16)
}
