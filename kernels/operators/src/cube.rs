//! The operators on every CubeCL runtime. Numbers are f32 inside, whatever the tensors' precision.

mod gate;
mod norm;
mod rotary;

use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// Units of a cube whose units have nothing to tell each other.
const UNITS: u32 = 256;

/// At least `cubes` cubes, within what the device takes along each axis.
pub fn cube_count(client: &Client, cubes: usize) -> CubeCount {
    let widest = client.properties().hardware.max_cube_count.0.max(1) as usize;
    let x = cubes.clamp(1, widest);
    CubeCount::Static(x as u32, cubes.div_ceil(x).max(1) as u32, 1)
}

/// A launch of so many units that work by themselves; there may be some more.
fn each(client: &Client, count: usize) -> (CubeCount, CubeDim) {
    let hardware = &client.properties().hardware;
    let units = UNITS.min(hardware.max_units_per_cube).min(hardware.max_cube_dim.0).max(1);
    (cube_count(client, count.div_ceil(units as usize)), CubeDim::new_1d(units))
}

/// The tensors with their values side by side.
fn dense<const N: usize>(tensors: [CubeTensor; N]) -> [CubeTensor; N] {
    tensors.map(into_contiguous)
}

/// A tensor without values yet, like another one in all else.
fn like(tensor: &CubeTensor) -> CubeTensor {
    let (client, device) = (tensor.client.clone(), tensor.device.clone());
    empty_device_contiguous_dtype(client, device, tensor.meta.shape().clone(), tensor.dtype)
}

/// How many neighbouring values of this type one load takes, where they come in runs of `run`.
fn vector_size(tensor: &CubeTensor, run: usize) -> usize {
    let sizes = tensor.client.io_optimized_vector_sizes(tensor.dtype.size());
    sizes.into_iter().filter(|size| run.is_multiple_of(*size)).max().unwrap_or(1)
}
