//! The rotary embedding: a unit for some neighbouring pairs.

use crate::launch::{dense, each, like, vector_size};
use burn::backend::cubecl::dtype_to_storage_type;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// Every head of `x`, `[T, heads, C]`, turned by `direction` times its row's angle, whose table is `[T, 1, C/2]`.
pub fn rotate(x: CubeTensor, cos: CubeTensor, sin: CubeTensor, direction: f32) -> CubeTensor {
    let [x, cos, sin] = dense([x, cos, sin]);
    let out = like(&x);
    let (client, count) = (x.client.clone(), x.meta.num_elements());
    if count == 0 {
        return out;
    }
    // The table is in f32, whose loads are the shorter ones where `x` is in less.
    let vector = vector_size(&cos, x.meta.shape()[2] / 2);
    let (cubes, units) = each(&client, count / 2 / vector);
    turn::launch(
        &client,
        cubes,
        units,
        x.required_address_type(),
        vector,
        x.clone().into_tensor_arg(),
        cos.into_tensor_arg(),
        sin.into_tensor_arg(),
        out.clone().into_tensor_arg(),
        direction,
        dtype_to_storage_type(x.dtype),
    );
    out
}

/// Turns pair (i, i + C/2) of every head of `x`, `[T, heads, C]`, by `direction` times the angle of its row in the table,
/// `[T, 1, C/2]`.
#[cube(launch, address_type = "dynamic")]
pub(crate) fn turn<F: Float, N: Size>(
    x: &Tensor<Vector<F, N>>,
    cos: &Tensor<Vector<f32, N>>,
    sin: &Tensor<Vector<f32, N>>,
    out: &mut Tensor<Vector<F, N>>,
    direction: f32,
    #[define(F)] _precision: ElemType,
) {
    let half = x.shape(2) / N::value() / 2;
    let (head, i) = (ABSOLUTE_POS / half, ABSOLUTE_POS % half);
    let row = head / x.shape(1);
    if row >= x.shape(0) {
        terminate!();
    }
    let (left, angle) = (head * half * 2 + i, row * half + i);
    let (a, b, cosines, sines) = (x[left], x[left + half], cos[angle], sin[angle]);
    let mut first = Vector::<F, N>::zeroed();
    let mut second = Vector::<F, N>::zeroed();
    #[unroll]
    for lane in 0..N::value() {
        let (a, b) = (f32::cast_from(a.extract(lane)), f32::cast_from(b.extract(lane)));
        let (c, s) = (cosines.extract(lane), sines.extract(lane) * direction);
        first.insert(lane, F::cast_from(a * c - b * s));
        second.insert(lane, F::cast_from(b * c + a * s));
    }
    out[left] = first;
    out[left + half] = second;
}
