//! One number from all units of a cube, the same in every unit, in an order that does not depend on timing.

#![allow(clippy::manual_is_multiple_of, reason = "a kernel has the remainder only")]
#![allow(missing_docs, reason = "the macro makes items of its own beside the documented ones")]

use cubecl::ir::features::Plane;
use cubecl::prelude::*;

/// How two numbers become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum By {
    /// Their sum.
    Sum,
    /// The larger one.
    Largest,
    /// The smaller one.
    Smallest,
}

/// The shape of a launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Blueprint {
    /// Units of a cube, a power of two.
    pub units: u32,
    /// How many units a plane has, if those of one exchange registers; otherwise everything goes through shared
    /// memory. Known beforehand, not asked of the device: SPIR-V as CubeCL writes it declares that in a way that is
    /// not valid.
    pub plane: Option<u32>,
}

impl Blueprint {
    /// As many of these units as the device takes, and planes only if it has them in one size.
    pub fn fitting(client: &Client, units: u32, planes: bool) -> Self {
        let properties = client.properties();
        let hardware = &properties.hardware;
        let most = hardware.max_units_per_cube.min(hardware.max_cube_dim.0).max(1);
        // A power of two, for the tree.
        let units = 1 << units.min(most).ilog2();
        let fixed = hardware.plane_size_min == hardware.plane_size_max && hardware.plane_size_max > 1;
        let can = properties.features.plane.contains(Plane::Ops) && fixed && units >= hardware.plane_size_max;
        Self { units, plane: (planes && can).then_some(hardware.plane_size_max) }
    }
}

/// Combines the values of all units. `scratch` holds one number a unit.
#[cube]
pub fn reduce(
    value: f32,
    scratch: &mut Shared<[f32]>,
    #[comptime] by: By,
    #[comptime] blueprint: Blueprint,
) -> f32 {
    // Some unit may still read what the last reduction left.
    sync_cube();
    if comptime!(blueprint.plane.is_some()) {
        let plane = comptime!(blueprint.plane.unwrap_or(1));
        let partial = within_plane(value, by);
        if UNIT_POS % plane == 0 {
            scratch[(UNIT_POS / plane) as usize] = partial;
        }
        sync_cube();
        let planes = comptime!(blueprint.units.div_ceil(blueprint.plane.unwrap_or(1)) as usize);
        let mut total = scratch[0];
        for plane in 1..planes {
            total = combine(total, scratch[plane], by);
        }
        total
    } else {
        let unit = UNIT_POS as usize;
        scratch[unit] = value;
        sync_cube();
        let mut width = CUBE_DIM as usize / 2;
        while width > 0 {
            if unit < width {
                scratch[unit] = combine(scratch[unit], scratch[unit + width], by);
            }
            sync_cube();
            width /= 2;
        }
        scratch[0]
    }
}

#[cube]
fn within_plane(value: f32, #[comptime] by: By) -> f32 {
    match comptime!(by) {
        By::Sum => plane_sum(value),
        By::Largest => plane_max(value),
        By::Smallest => plane_min(value),
    }
}

#[cube]
fn combine(a: f32, b: f32, #[comptime] by: By) -> f32 {
    match comptime!(by) {
        By::Sum => a + b,
        By::Largest => max(a, b),
        By::Smallest => min(a, b),
    }
}
