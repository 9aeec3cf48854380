//! A frozen layer for few rows, with all that is added to its product: one launch.
//!
//! A cube makes some outputs of every row. Its units are groups of 32; each group reads some rows of the weight, every unit
//! every 32nd piece of them, and multiplies them with all rows of x, so that the weight is read once. The low-rank update's
//! inner product is worked out by every cube for itself, which costs as many reads from the cache as rank by outputs says and
//! saves a launch. A sum's order depends on neither the other rows nor their number.

#![allow(clippy::too_many_arguments, reason = "a kernel takes its tensors one by one")]
#![allow(missing_docs, reason = "the macro makes items of its own beside the documented ones")]

use crate::launch::{beside, cube_count, dense, vector_size};
use crate::tile::total;
use burn::backend::cubecl::dtype_to_storage_type;
use burn::tensor::Shape;
use burn_cubecl::tensor::CubeTensor;
use cubecl::ir::HardwareProperties;
use cubecl::prelude::*;

/// Most rows.
pub const ROWS: usize = 16;
/// Most numbers of the low-rank update's inner product, of all rows.
pub const INNER: usize = 2048;
/// Units of a group.
const LANES: usize = 32;
/// Sums that a unit makes at once.
const SUMS: usize = 16;

/// A layer and what is added to it; what is `None` is not.
pub struct Layer {
    /// `[B, I]`
    pub x: CubeTensor,
    /// `[O, I]`, in the precision of `x`
    pub weight: CubeTensor,
    /// `[1, O]`, in the precision of `x`
    pub bias: Option<CubeTensor>,
    /// A `[r, I]` and B `[O, r]`, both in f32, and the factor of their product.
    pub update: Option<(CubeTensor, CubeTensor, f32)>,
    /// `[B, O]`, in the precision of `x`
    pub residual: Option<CubeTensor>,
}

/// How the work is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Plan {
    /// A power of two, at least as many as there are.
    rows: usize,
    groups: usize,
    /// Outputs of a group.
    outputs: usize,
    rank: usize,
    bias: bool,
    residual: bool,
}

impl Plan {
    fn of(layer: &Layer, rank: usize) -> Self {
        let hardware = &layer.x.client.properties().hardware;
        let plan = Self::new(hardware, layer.x.meta.shape()[0], rank);
        Self { bias: layer.bias.is_some(), residual: layer.residual.is_some(), ..plan }
    }

    /// With everything that can be added.
    pub(crate) fn new(hardware: &HardwareProperties, rows: usize, rank: usize) -> Self {
        let rows = rows.next_power_of_two();
        let units = hardware.max_units_per_cube.min(hardware.max_cube_dim.0) as usize;
        let groups = if hardware.max_shared_memory_size >= 32 << 10 { 8 } else { 2 };
        Self {
            rows,
            groups: groups.min(units / LANES).max(1),
            outputs: (SUMS / rows).clamp(1, 4),
            rank,
            bias: true,
            residual: true,
        }
    }

    /// Units of a cube.
    pub(crate) fn units(&self) -> CubeDim {
        CubeDim::new_1d((self.groups * LANES) as u32)
    }

    fn of_a_cube(&self) -> usize {
        self.groups * self.outputs
    }
}

/// `x·Wᵀ + b + s·(x·Aᵀ)·Bᵀ + residual`, `[B, O]` in the precision of `x`. At most [`ROWS`] rows, and rows times rank at most
/// [`INNER`].
pub fn adapted(layer: Layer) -> CubeTensor {
    let rank = layer.update.as_ref().map_or(0, |(a, ..)| a.meta.shape()[0]);
    let plan = Plan::of(&layer, rank);
    let Layer { x, weight, bias, update, residual } = layer;
    let [x, weight] = dense([x, weight]);
    let (client, outputs) = (x.client.clone(), weight.meta.shape()[0]);
    let [rows, inputs] = [0, 1].map(|axis| x.meta.shape()[axis]);
    let out = beside(&x, Shape::from([rows, outputs]), x.dtype);
    if rows * outputs == 0 {
        return out;
    }
    // What is not there is not read; something has to stand in its place.
    let floats = || beside(&x, Shape::from([1, 1]), burn::tensor::DType::F32);
    let (a, b, scale) = update.unwrap_or_else(|| (floats(), floats(), 0.0));
    let (bias, residual) = (bias.unwrap_or_else(|| x.clone()), residual.unwrap_or_else(|| x.clone()));
    let [a, b, bias, residual] = dense([a, b, bias, residual]);
    let vector =
        if rank > 0 { vector_size(&x, inputs).min(vector_size(&a, inputs)) } else { vector_size(&x, inputs) };
    some_outputs::launch(
        &client,
        cube_count(&client, outputs.div_ceil(plan.of_a_cube())),
        plan.units(),
        weight.required_address_type(),
        vector,
        if rank > 0 { vector } else { 1 },
        x.clone().into_tensor_arg(),
        weight.into_tensor_arg(),
        bias.into_tensor_arg(),
        a.into_tensor_arg(),
        b.into_tensor_arg(),
        residual.into_tensor_arg(),
        out.clone().into_tensor_arg(),
        scale,
        plan,
        dtype_to_storage_type(x.dtype),
    );
    out
}

#[cube(launch, address_type = "dynamic")]
pub(crate) fn some_outputs<F: Float, N: Size, M: Size>(
    x: &Tensor<Vector<F, N>>,
    weight: &Tensor<Vector<F, N>>,
    bias: &Tensor<F>,
    a: &Tensor<Vector<f32, M>>,
    b: &Tensor<f32>,
    residual: &Tensor<F>,
    out: &mut Tensor<F>,
    scale: f32,
    #[comptime] plan: Plan,
    #[define(F)] _precision: ElemType,
) {
    let count = comptime!(plan.groups * plan.outputs * plan.rows);
    let rows = x.shape(0);
    let mut parts = Shared::<[f32]>::new_slice(comptime!(count * (LANES + 1)));
    let mut inner = Shared::<[f32]>::new_slice(comptime!((plan.rows * plan.rank).max(1)));
    if comptime!(plan.rank > 0) {
        let mut from = 0usize;
        while from < comptime!(plan.rank) {
            products::<F, f32, N, M>(x, a, from, comptime!(plan.rank), &mut parts, plan);
            sync_cube();
            let mut i = UNIT_POS as usize;
            while i < count {
                let (row, at) = (i % comptime!(plan.rows), from + i / comptime!(plan.rows));
                if at < comptime!(plan.rank) {
                    inner[row * comptime!(plan.rank) + at] = gathered(&parts, i);
                }
                i += CUBE_DIM as usize;
            }
            sync_cube();
            from += comptime!(plan.groups * plan.outputs);
        }
    }
    let first = CUBE_POS * comptime!(plan.groups * plan.outputs);
    let outputs = weight.shape(0);
    products::<F, F, N, N>(x, weight, first, outputs, &mut parts, plan);
    sync_cube();
    let mut i = UNIT_POS as usize;
    while i < count {
        let (row, output) = (i % comptime!(plan.rows), first + i / comptime!(plan.rows));
        if row < rows && output < outputs {
            let mut sum = gathered(&parts, i);
            if comptime!(plan.bias) {
                sum += f32::cast_from(bias[output]);
            }
            if comptime!(plan.rank > 0) {
                let mut update = 0.0f32;
                for j in 0..comptime!(plan.rank) {
                    update += inner[row * comptime!(plan.rank) + j] * b[output * comptime!(plan.rank) + j];
                }
                sum += update * scale;
            }
            if comptime!(plan.residual) {
                sum += f32::cast_from(residual[row * outputs + output]);
            }
            out[row * outputs + output] = F::cast_from(sum);
        }
        i += CUBE_DIM as usize;
    }
}

/// This unit's part of the products of all rows with its group's rows of `weight`, of which there are `end`.
#[cube]
fn products<F: Float, G: Float, N: Size, M: Size>(
    x: &Tensor<Vector<F, N>>,
    weight: &Tensor<Vector<G, M>>,
    first: usize,
    end: usize,
    parts: &mut Shared<[f32]>,
    #[comptime] plan: Plan,
) {
    let (rows, outputs) = comptime!((plan.rows, plan.outputs));
    let (lane, group) = (UNIT_POS as usize % comptime!(LANES), UNIT_POS as usize / comptime!(LANES));
    let (last_row, last) = (x.shape(0) - 1, end - 1);
    let pieces = x.shape(1) / N::value();
    let mut sums = Array::<Vector<f32, N>>::new(comptime!(rows * outputs));
    for i in 0..comptime!(rows * outputs) {
        sums[i] = Vector::<f32, N>::zeroed();
    }
    let mut piece = lane;
    while piece < pieces {
        #[unroll]
        for output in 0..outputs {
            // What is not there is read of the last one, and not written.
            let at = min(first + group * outputs + output, last);
            let weights = Vector::<f32, N>::cast_from(weight[at * pieces + piece]);
            #[unroll]
            for row in 0..rows {
                let values = Vector::<f32, N>::cast_from(x[min(row, last_row) * pieces + piece]);
                sums[output * rows + row] += values * weights;
            }
        }
        piece += comptime!(LANES);
    }
    #[unroll]
    for i in 0..comptime!(rows * outputs) {
        let at = (group * comptime!(rows * outputs) + i) * comptime!(LANES + 1) + lane;
        parts[at] = total::<N>(sums[i]);
    }
}

/// The sum of what all units of a group have of one output and row.
#[cube]
fn gathered(parts: &Shared<[f32]>, which: usize) -> f32 {
    let mut sum = 0.0f32;
    for lane in 0..comptime!(LANES) {
        sum += parts[which * comptime!(LANES + 1) + lane];
    }
    sum
}
