//! A frozen layer for few rows, with all that is added to its product: one launch.
//!
//! A cube makes some outputs of every row. Its units are groups of 32; each group reads some rows of the weight, every unit
//! every 32nd piece of them, and multiplies them with all rows of x, so that the weight is read once. The low-rank update's
//! inner product is worked out by every cube for itself, which costs as many reads from the cache as rank by outputs says and
//! saves a launch. A sum's order depends on neither the other rows nor their number.

#![allow(clippy::too_many_arguments, reason = "a kernel takes its tensors one by one")]
#![allow(missing_docs, reason = "the macro makes items of its own beside the documented ones")]

use crate::launch::{beside, cube_count, dense, dims, vector_size};
use crate::tile::total;
use burn::backend::cubecl::dtype_to_storage_type;
use burn::tensor::{DType, Shape};
use burn_cubecl::tensor::CubeTensor;
use cubecl::ir::HardwareProperties;
use cubecl::prelude::*;

/// Most rows.
pub const ROWS: usize = 16;
/// Most numbers of the low-rank update's inner product, of all rows.
pub const INNER: usize = 2048;
/// Words of a block of a quantised weight.
const BLOCK: usize = 16;
/// Words that are read at once: so many neighbouring inputs.
pub const WORDS: usize = 4;
/// Values that have a scale in common.
const GROUP: usize = 64;
/// Units of a group.
const LANES: usize = 32;
/// Sums that a unit makes at once.
const SUMS: usize = 16;

/// A layer and what is added to it; what is `None` is not.
pub struct Layer {
    /// `[B, I]`
    pub x: CubeTensor,
    /// `[O, I]`
    pub weight: Weight,
    /// `[1, O]`, in the precision of `x`
    pub bias: Option<CubeTensor>,
    /// A `[r, I]` and B `[O, r]`, both in f32, and the factor of their product.
    pub update: Option<(CubeTensor, CubeTensor, f32)>,
    /// `[B, O]`, in the precision of `x`
    pub residual: Option<CubeTensor>,
}

/// A weight, as it is kept.
#[allow(clippy::large_enum_variant, reason = "a layer has one for a moment")]
pub enum Weight {
    /// In the precision of `x`.
    Plain(CubeTensor),
    /// Whole numbers of so many bits in words of 32, `[O, 16·blocks]`: number `k` of word `w` is value `16·k + w` of its block.
    /// Scales `[O, groups]` in f32, one for 64 neighbours.
    Quantised {
        /// The words, in i32.
        words: CubeTensor,
        /// The scales.
        scales: CubeTensor,
        /// 8 or 4.
        bits: usize,
    },
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
    /// Of a quantised weight's numbers; 0: it is floats.
    bits: usize,
    bias: bool,
    residual: bool,
}

impl Plan {
    fn of(layer: &Layer, rank: usize) -> Self {
        let hardware = &layer.x.client.properties().hardware;
        let plan = Self::new(hardware, layer.x.meta.shape()[0], rank);
        let bits = if let Weight::Quantised { bits, .. } = &layer.weight { *bits } else { 0 };
        Self { bits, bias: layer.bias.is_some(), residual: layer.residual.is_some(), ..plan }
    }

    /// With a weight of floats and everything that can be added.
    pub(crate) fn new(hardware: &HardwareProperties, rows: usize, rank: usize) -> Self {
        let rows = rows.next_power_of_two();
        let units = hardware.max_units_per_cube.min(hardware.max_cube_dim.0) as usize;
        let groups = if hardware.max_shared_memory_size >= 32 << 10 { 8 } else { 2 };
        Self {
            rows,
            groups: groups.min(units / LANES).max(1),
            outputs: (SUMS / rows).clamp(1, 4),
            rank,
            bits: 0,
            bias: true,
            residual: true,
        }
    }

    /// Units of a cube.
    pub(crate) fn units(&self) -> CubeDim {
        CubeDim::new_1d((self.groups * LANES) as u32)
    }

    /// With a quantised weight.
    pub(crate) fn quantised(self, bits: usize) -> Self {
        Self { bits, ..self }
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
    let [x] = dense([x]);
    // What is not there is not read; something has to stand in its place.
    let nothing = |dtype| beside(&x, Shape::from([1, 1]), dtype);
    let (weight, words, scales) = match weight {
        Weight::Plain(weight) => (weight, nothing(DType::I32), nothing(DType::F32)),
        Weight::Quantised { words, scales, .. } => (x.clone(), words, scales),
    };
    let [weight, words, scales] = dense([weight, words, scales]);
    let (client, outputs) = (x.client.clone(), if plan.bits > 0 { &words } else { &weight }.meta.shape()[0]);
    let [rows, inputs] = dims(&x);
    let out = beside(&x, Shape::from([rows, outputs]), x.dtype);
    if rows * outputs == 0 {
        return out;
    }
    let (a, b, scale) = update.unwrap_or_else(|| (nothing(DType::F32), nothing(DType::F32), 0.0));
    let (bias, residual) = (bias.unwrap_or_else(|| x.clone()), residual.unwrap_or_else(|| x.clone()));
    let [a, b, bias, residual] = dense([a, b, bias, residual]);
    let mut vector = if plan.bits > 0 { WORDS } else { vector_size(&x, inputs) };
    if rank > 0 {
        vector = vector.min(vector_size(&a, inputs));
    }
    some_outputs::launch(
        &client,
        cube_count(&client, outputs.div_ceil(plan.of_a_cube())),
        plan.units(),
        weight.required_address_type(),
        vector,
        if rank > 0 { vector } else { 1 },
        if plan.bits > 0 { WORDS } else { 1 },
        x.clone().into_tensor_arg(),
        weight.into_tensor_arg(),
        words.into_tensor_arg(),
        scales.into_tensor_arg(),
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
pub(crate) fn some_outputs<F: Float, N: Size, M: Size, W: Size>(
    x: &Tensor<Vector<F, N>>,
    weight: &Tensor<Vector<F, N>>,
    words: &Tensor<Vector<i32, W>>,
    scales: &Tensor<f32>,
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
    let outputs = out.shape(1);
    if comptime!(plan.bits > 0) {
        of_words::<F, N, W>(x, words, scales, first, outputs, &mut parts, plan);
    } else {
        products::<F, F, N, N>(x, weight, first, outputs, &mut parts, plan);
    }
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
    lay_down::<N>(&sums, parts, plan);
}

/// As [`products`] with a quantised weight: four neighbouring words give as many vectors of four neighbours as a word has
/// numbers.
#[cube]
fn of_words<F: Float, N: Size, W: Size>(
    x: &Tensor<Vector<F, N>>,
    words: &Tensor<Vector<i32, W>>,
    scales: &Tensor<f32>,
    first: usize,
    end: usize,
    parts: &mut Shared<[f32]>,
    #[comptime] plan: Plan,
) {
    let (rows, outputs, numbers) = comptime!((plan.rows, plan.outputs, 32 / plan.bits.max(1)));
    let (mask, sign) = comptime!(((1i32 << plan.bits) - 1, (1i32 << plan.bits) / 2));
    let (lane, group) = (UNIT_POS as usize % comptime!(LANES), UNIT_POS as usize / comptime!(LANES));
    let (last_row, last) = (x.shape(0) - 1, end - 1);
    // In vectors of four: x, a row's words, a block's words.
    let (pieces, across) = (x.shape(1) / N::value(), words.shape(1) / W::value());
    let of_block = comptime!(BLOCK / WORDS);
    let groups = scales.shape(1);
    let mut sums = Array::<Vector<f32, N>>::new(comptime!(rows * outputs));
    for i in 0..comptime!(rows * outputs) {
        sums[i] = Vector::<f32, N>::zeroed();
    }
    let mut place = lane;
    while place < across {
        let begin = place / of_block * numbers * of_block + place % of_block;
        #[unroll]
        for output in 0..outputs {
            let at = min(first + group * outputs + output, last);
            let packed = words[at * across + place];
            #[unroll]
            for number in 0..numbers {
                // What fills the last block up is not there in x.
                let piece = begin + number * of_block;
                if piece < pieces {
                    let scale = scales[at * groups + piece * comptime!(WORDS) / comptime!(GROUP)];
                    let mut weights = Vector::<f32, N>::zeroed();
                    #[unroll]
                    for word in 0..WORDS {
                        let value = (packed.extract(word) >> comptime!((number * plan.bits) as i32)) & mask;
                        weights.insert(word, f32::cast_from(value - (value & sign) * 2) * scale);
                    }
                    #[unroll]
                    for row in 0..rows {
                        let values = Vector::<f32, N>::cast_from(x[min(row, last_row) * pieces + piece]);
                        sums[output * rows + row] += values * weights;
                    }
                }
            }
        }
        place += comptime!(LANES);
    }
    lay_down::<N>(&sums, parts, plan);
}

/// What this unit has of its group's outputs, to where [`gathered`] finds it.
#[cube]
fn lay_down<N: Size>(sums: &Array<Vector<f32, N>>, parts: &mut Shared<[f32]>, #[comptime] plan: Plan) {
    let count = comptime!(plan.rows * plan.outputs);
    let (lane, group) = (UNIT_POS as usize % comptime!(LANES), UNIT_POS as usize / comptime!(LANES));
    #[unroll]
    for i in 0..count {
        parts[(group * count + i) * comptime!(LANES + 1) + lane] = total::<N>(sums[i]);
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
