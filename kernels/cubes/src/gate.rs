//! The gate of an MLP: a unit for some neighbouring values, forward and back.

use crate::launch::{dense, each, like, vector_size};
use burn::backend::cubecl::dtype_to_storage_type;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// `silu(gate) ⊙ up` of tensors of one shape.
pub fn gated(gate: CubeTensor, up: CubeTensor) -> CubeTensor {
    let [gate, up] = dense([gate, up]);
    let out = like(&gate);
    let (client, count) = (gate.client.clone(), gate.meta.num_elements());
    if count == 0 {
        return out;
    }
    let vector = vector_size(&gate, count);
    let (cubes, units) = each(&client, count / vector);
    forward::launch(
        &client,
        cubes,
        units,
        gate.required_address_type(),
        vector,
        gate.clone().into_tensor_arg(),
        up.into_tensor_arg(),
        out.clone().into_tensor_arg(),
        dtype_to_storage_type(gate.dtype),
    );
    out
}

/// The gradients of `gate` and of `up`.
pub fn gated_back(gate: CubeTensor, up: CubeTensor, upstream: CubeTensor) -> (CubeTensor, CubeTensor) {
    let [gate, up, upstream] = dense([gate, up, upstream]);
    let (of_gate, of_up) = (like(&gate), like(&up));
    let (client, count) = (gate.client.clone(), gate.meta.num_elements());
    if count == 0 {
        return (of_gate, of_up);
    }
    let vector = vector_size(&gate, count);
    let (cubes, units) = each(&client, count / vector);
    back::launch(
        &client,
        cubes,
        units,
        gate.required_address_type(),
        vector,
        gate.clone().into_tensor_arg(),
        up.into_tensor_arg(),
        upstream.into_tensor_arg(),
        of_gate.clone().into_tensor_arg(),
        of_up.clone().into_tensor_arg(),
        dtype_to_storage_type(gate.dtype),
    );
    (of_gate, of_up)
}

/// `silu(gate) ⊙ up`
#[cube(launch, address_type = "dynamic")]
pub(crate) fn forward<F: Float, N: Size>(
    gate: &Tensor<Vector<F, N>>,
    up: &Tensor<Vector<F, N>>,
    out: &mut Tensor<Vector<F, N>>,
    #[define(F)] _precision: ElemType,
) {
    let i = ABSOLUTE_POS;
    if i >= out.len() {
        terminate!();
    }
    let (gates, ups) = (gate[i], up[i]);
    let mut made = Vector::<F, N>::zeroed();
    #[unroll]
    for lane in 0..N::value() {
        let x = f32::cast_from(gates.extract(lane));
        made.insert(lane, F::cast_from(x * sigmoid(x) * f32::cast_from(ups.extract(lane))));
    }
    out[i] = made;
}

/// With s = σ(gate): ∂gate = g·up·s·(1 + gate·(1 − s)), ∂up = g·gate·s.
#[cube(launch, address_type = "dynamic")]
pub(crate) fn back<F: Float, N: Size>(
    gate: &Tensor<Vector<F, N>>,
    up: &Tensor<Vector<F, N>>,
    upstream: &Tensor<Vector<F, N>>,
    of_gate: &mut Tensor<Vector<F, N>>,
    of_up: &mut Tensor<Vector<F, N>>,
    #[define(F)] _precision: ElemType,
) {
    let i = ABSOLUTE_POS;
    if i >= of_up.len() {
        terminate!();
    }
    let (gates, ups, slopes) = (gate[i], up[i], upstream[i]);
    let mut made_gate = Vector::<F, N>::zeroed();
    let mut made_up = Vector::<F, N>::zeroed();
    #[unroll]
    for lane in 0..N::value() {
        let (x, slope) = (f32::cast_from(gates.extract(lane)), f32::cast_from(slopes.extract(lane)));
        let s = sigmoid(x);
        let of_silu = s * (1.0 + x * (1.0 - s));
        made_gate.insert(lane, F::cast_from(slope * f32::cast_from(ups.extract(lane)) * of_silu));
        made_up.insert(lane, F::cast_from(slope * x * s));
    }
    of_gate[i] = made_gate;
    of_up[i] = made_up;
}

/// σ(x) from the exponential of −|x|, which does not overflow.
#[cube]
fn sigmoid(x: f32) -> f32 {
    let small = min(x, -x).exp();
    select(x < 0.0, small, 1.0) / (1.0 + small)
}
