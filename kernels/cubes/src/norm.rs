//! The root-mean-square norm: a cube for each row.

use crate::launch::{cube_count, dense, dims, like, vector_size};
use crate::reduce::{Blueprint, By, reduce};
use burn::backend::cubecl::dtype_to_storage_type;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// Units of a row's cube.
const UNITS: u32 = 256;

/// `x / √(mean(x²) + ε) · γ` of `x`, `[T, D]`, with γ, `[1, D]`.
pub fn rms_norm(x: CubeTensor, scale: CubeTensor, epsilon: f32) -> CubeTensor {
    let [x, scale] = dense([x, scale]);
    let out = like(&x);
    let (client, [rows, width]) = (x.client.clone(), dims(&x));
    if rows * width == 0 {
        return out;
    }
    let blueprint = Blueprint::fitting(&client, UNITS, true);
    forward::launch(
        &client,
        cube_count(&client, rows),
        CubeDim::new_1d(blueprint.units),
        x.required_address_type(),
        vector_size(&x, width),
        x.clone().into_tensor_arg(),
        scale.into_tensor_arg(),
        out.clone().into_tensor_arg(),
        epsilon,
        blueprint,
        dtype_to_storage_type(x.dtype),
    );
    out
}

/// The gradient of `x`.
pub fn rms_norm_back(x: CubeTensor, scale: CubeTensor, upstream: CubeTensor, epsilon: f32) -> CubeTensor {
    let [x, scale, upstream] = dense([x, scale, upstream]);
    let out = like(&x);
    let (client, [rows, width]) = (x.client.clone(), dims(&x));
    if rows * width == 0 {
        return out;
    }
    let blueprint = Blueprint::fitting(&client, UNITS, true);
    back::launch(
        &client,
        cube_count(&client, rows),
        CubeDim::new_1d(blueprint.units),
        x.required_address_type(),
        vector_size(&x, width),
        x.clone().into_tensor_arg(),
        scale.into_tensor_arg(),
        upstream.into_tensor_arg(),
        out.clone().into_tensor_arg(),
        epsilon,
        blueprint,
        dtype_to_storage_type(x.dtype),
    );
    out
}

/// `x / √(mean(x²) + ε) · γ` of `x`, `[T, D]`, with γ, `[1, D]`.
#[cube(launch, address_type = "dynamic")]
pub(crate) fn forward<F: Float, N: Size>(
    x: &Tensor<Vector<F, N>>,
    scale: &Tensor<Vector<F, N>>,
    out: &mut Tensor<Vector<F, N>>,
    epsilon: f32,
    #[comptime] blueprint: Blueprint,
    #[define(F)] _precision: ElemType,
) {
    let row = CUBE_POS;
    if row >= x.shape(0) {
        terminate!();
    }
    let width = x.shape(1);
    let length = width / N::value();
    let first = row * length;
    let mut squares = 0.0f32;
    let mut i = UNIT_POS as usize;
    while i < length {
        let values = x[first + i];
        #[unroll]
        for lane in 0..N::value() {
            let value = f32::cast_from(values.extract(lane));
            squares += value * value;
        }
        i += CUBE_DIM as usize;
    }
    let mut scratch = Shared::<[f32]>::new_slice(comptime!(blueprint.units as usize));
    let squares = reduce(squares, &mut scratch, By::Sum, blueprint);
    let inverse = 1.0 / (squares / f32::cast_from(width) + epsilon).sqrt();
    i = UNIT_POS as usize;
    while i < length {
        let (values, scales) = (x[first + i], scale[i]);
        let mut normed = Vector::<F, N>::zeroed();
        #[unroll]
        for lane in 0..N::value() {
            let value = f32::cast_from(values.extract(lane)) * inverse;
            normed.insert(lane, F::cast_from(value * f32::cast_from(scales.extract(lane))));
        }
        out[first + i] = normed;
        i += CUBE_DIM as usize;
    }
}

/// With r = 1/√(mean(x²) + ε) and n = x·r: ∂x = r·(γ·g − n·mean(γ·g·n)).
#[cube(launch, address_type = "dynamic")]
pub(crate) fn back<F: Float, N: Size>(
    x: &Tensor<Vector<F, N>>,
    scale: &Tensor<Vector<F, N>>,
    upstream: &Tensor<Vector<F, N>>,
    out: &mut Tensor<Vector<F, N>>,
    epsilon: f32,
    #[comptime] blueprint: Blueprint,
    #[define(F)] _precision: ElemType,
) {
    let row = CUBE_POS;
    if row >= x.shape(0) {
        terminate!();
    }
    let width = x.shape(1);
    let length = width / N::value();
    let first = row * length;
    let mut squares = 0.0f32;
    let mut slopes = 0.0f32;
    let mut i = UNIT_POS as usize;
    while i < length {
        let (values, scales, above) = (x[first + i], scale[i], upstream[first + i]);
        #[unroll]
        for lane in 0..N::value() {
            let value = f32::cast_from(values.extract(lane));
            squares += value * value;
            slopes += value * f32::cast_from(scales.extract(lane)) * f32::cast_from(above.extract(lane));
        }
        i += CUBE_DIM as usize;
    }
    let mut scratch = Shared::<[f32]>::new_slice(comptime!(blueprint.units as usize));
    let squares = reduce(squares, &mut scratch, By::Sum, blueprint);
    let slopes = reduce(slopes, &mut scratch, By::Sum, blueprint);
    let inverse = 1.0 / (squares / f32::cast_from(width) + epsilon).sqrt();
    let mean = slopes * inverse / f32::cast_from(width);
    i = UNIT_POS as usize;
    while i < length {
        let (values, scales, above) = (x[first + i], scale[i], upstream[first + i]);
        let mut made = Vector::<F, N>::zeroed();
        #[unroll]
        for lane in 0..N::value() {
            let n = f32::cast_from(values.extract(lane)) * inverse;
            let scaled = f32::cast_from(scales.extract(lane)) * f32::cast_from(above.extract(lane));
            made.insert(lane, F::cast_from(inverse * (scaled - n * mean)));
        }
        out[first + i] = made;
        i += CUBE_DIM as usize;
    }
}
