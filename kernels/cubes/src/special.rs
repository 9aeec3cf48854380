//! What is no finite number, told by its bits: shading languages may assume that there is none.

#![allow(missing_docs, reason = "the macro makes items of its own beside the documented ones")]

use cubecl::prelude::*;

/// The bits of +∞.
pub const INFINITY_BITS: u32 = 0x7f80_0000;

/// Whether the number is −∞.
#[cube]
pub fn is_excluded(value: f32) -> bool {
    u32::reinterpret(value) == 0xff80_0000u32
}

/// Whether the number is +∞ or none.
#[cube]
pub fn is_broken(value: f32) -> bool {
    is_special(value) && !is_excluded(value)
}

/// Whether the number is infinite or none.
#[cube]
pub fn is_special(value: f32) -> bool {
    (u32::reinterpret(value) & INFINITY_BITS) == INFINITY_BITS
}
