//! The highest logits of each row, so that a vocabulary need not cross the bus for one token: a cube for each row.

#![allow(missing_docs, reason = "the macro makes items of its own beside the documented ones")]

use crate::launch::{beside, cube_count, dense, dims};
use crate::reduce::{Blueprint, By, reduce};
use crate::special::{is_broken, is_excluded};
use burn::tensor::{DType, Shape};
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// Units of a cube, at most.
const UNITS: u32 = 256;
/// Columns before a row's tokens: how many there are, the logarithm of the sum of all exponentials as bits of f32, and one
/// where a logit is +∞ or no number.
pub const HEAD: usize = 3;

/// Of each row of `logits`, `[R, V]` in f32, all that are at least the `k`-th highest, −∞ aside: `[R, HEAD + 2·room]` in i32,
/// behind the head the first `room` tokens by ascending id, then their logits as bits.
pub fn likeliest(logits: CubeTensor, k: usize, room: usize) -> CubeTensor {
    let [logits] = dense([logits]);
    let (client, [rows, vocabulary]) = (logits.client.clone(), dims(&logits));
    let out = beside(&logits, Shape::from([rows, HEAD + 2 * room]), DType::I32);
    if rows * vocabulary == 0 {
        return out;
    }
    let blueprint = Blueprint::fitting(&client, UNITS, true);
    of_a_row::launch(
        &client,
        cube_count(&client, rows),
        CubeDim::new_1d(blueprint.units),
        logits.required_address_type(),
        logits.into_tensor_arg(),
        out.clone().into_tensor_arg(),
        k as u32,
        room,
        blueprint,
    );
    out
}

#[cube(launch, address_type = "dynamic")]
pub(crate) fn of_a_row(
    logits: &Tensor<f32>,
    out: &mut Tensor<i32>,
    k: u32,
    #[comptime] room: usize,
    #[comptime] blueprint: Blueprint,
) {
    let row = CUBE_POS;
    if row >= logits.shape(0) {
        terminate!();
    }
    let units = comptime!(blueprint.units as usize);
    let (unit, vocabulary) = (UNIT_POS as usize, logits.shape(1));
    let first = row * vocabulary;
    let mut scratch = Shared::<[f32]>::new_slice(units);

    let mut largest = f32::MIN.runtime();
    let mut broken = 0.0f32;
    let mut i = unit;
    while i < vocabulary {
        let logit = logits[first + i];
        if is_broken(logit) {
            broken = 1.0;
        } else if !is_excluded(logit) {
            largest = max(largest, logit);
        }
        i += units;
    }
    let largest = reduce(largest, &mut scratch, By::Largest, blueprint);
    let broken = reduce(broken, &mut scratch, By::Largest, blueprint);
    let mut sum = 0.0f32;
    i = unit;
    while i < vocabulary {
        sum += (logits[first + i] - largest).exp();
        i += units;
    }
    let sum = reduce(sum, &mut scratch, By::Sum, blueprint);

    // The highest threshold that leaves k, bit by bit from above; none where there are fewer.
    let mut threshold = 0u32;
    let mut bit = 0x8000_0000u32;
    while bit > 0 {
        let higher = threshold | bit;
        let mut count = 0.0f32;
        i = unit;
        while i < vocabulary {
            count += select(order(logits[first + i]) >= higher, 1.0, 0.0);
            i += units;
        }
        if reduce(count, &mut scratch, By::Sum, blueprint) >= f32::cast_from(k) {
            threshold = higher;
        }
        bit >>= 1;
    }
    threshold = max(threshold, 1);

    // Neighbouring tokens are one unit's, so that they come in order.
    let share = vocabulary.div_ceil(units);
    let (from, to) = (min(unit * share, vocabulary), min((unit + 1) * share, vocabulary));
    let mut own = 0u32;
    for i in from..to {
        own += select(order(logits[first + i]) >= threshold, 1u32, 0u32);
    }
    let mut counts = Shared::<[u32]>::new_slice(units);
    counts[unit] = own;
    sync_cube();
    let mut place = 0u32;
    for other in 0..unit {
        place += counts[other];
    }
    let head = row * comptime!(HEAD + 2 * room);
    for i in from..to {
        if order(logits[first + i]) >= threshold {
            if place < comptime!(room as u32) {
                let at = head + comptime!(HEAD) + place as usize;
                out[at] = i as i32;
                out[at + room] = i32::reinterpret(logits[first + i]);
            }
            place += 1;
        }
    }
    if unit == units - 1 {
        out[head] = place as i32;
        out[head + 1] = i32::reinterpret(largest + sum.ln());
        out[head + 2] = i32::cast_from(broken);
    }
}

/// A number that is larger for a larger logit, zero for −∞; both zeros are one.
#[cube]
fn order(logit: f32) -> u32 {
    let bits = u32::reinterpret(select(logit == 0.0, 0.0, logit));
    let negative = bits >= 0x8000_0000;
    let ordered = select(negative, !bits, bits | 0x8000_0000);
    select(is_excluded(logit), 0u32, ordered)
}
