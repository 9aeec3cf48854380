//! How a kernel is launched, and the tensors that it is given.

use burn::tensor::{DType, Shape};
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
pub(crate) fn each(client: &Client, count: usize) -> (CubeCount, CubeDim) {
    let hardware = &client.properties().hardware;
    let units = UNITS.min(hardware.max_units_per_cube).min(hardware.max_cube_dim.0).max(1);
    (cube_count(client, count.div_ceil(units as usize)), CubeDim::new_1d(units))
}

/// The tensors with their values side by side.
pub(crate) fn dense<const N: usize>(tensors: [CubeTensor; N]) -> [CubeTensor; N] {
    tensors.map(into_contiguous)
}

/// The sizes of a tensor's axes.
pub(crate) fn dims<const D: usize>(tensor: &CubeTensor) -> [usize; D] {
    std::array::from_fn(|axis| tensor.meta.shape()[axis])
}

/// A tensor without values yet, like another one in all else.
pub(crate) fn like(tensor: &CubeTensor) -> CubeTensor {
    beside(tensor, tensor.meta.shape().clone(), tensor.dtype)
}

/// How many neighbouring values of this type one load takes, where they come in runs of `run`.
pub(crate) fn vector_size(tensor: &CubeTensor, run: usize) -> usize {
    let sizes = tensor.client.io_optimized_vector_sizes(tensor.dtype.size());
    sizes.into_iter().filter(|size| run.is_multiple_of(*size)).max().unwrap_or(1)
}

/// A tensor of this shape without values yet, where another one lies.
pub(crate) fn beside(tensor: &CubeTensor, shape: Shape, dtype: DType) -> CubeTensor {
    empty_device_contiguous_dtype(tensor.client.clone(), tensor.device.clone(), shape, dtype)
}

/// The tensor itself if its values lie side by side and nobody else holds them, otherwise a copy.
pub(crate) fn owned(tensor: CubeTensor) -> CubeTensor {
    let tensor = into_contiguous(tensor);
    if tensor.can_mut() { tensor } else { tensor.copy() }
}
