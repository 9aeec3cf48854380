//! From tensors to a launch of the kernel.

#![allow(
    unsafe_code,
    reason = "the kernel's own bounds are proven here, so that no access checks them again"
)]

use super::kernel::{span_kl_separate, span_kl_stacked};
use burn::backend::TensorMetadata;
use burn::backend::cubecl::dtype_to_storage_type;
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;
use vigos_cubes::cube_count;
use vigos_cubes::reduce::Blueprint;

/// Units of a cube where nothing speaks for another number.
#[cfg(not(feature = "autotune"))]
const UNITS: u32 = 512;

/// Everything that a launch reads and writes.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    /// The student's logits, `[R, V]`, or those of both models, `[2R, V]`; columns lie side by side. The gradient
    /// goes over the first `R` rows.
    pub(super) logits: CubeTensor,
    /// The teacher's logits, `[R, V]`, unless they are below the student's.
    pub(super) teacher: Option<CubeTensor>,
    /// `[R, 3]`, contiguous
    pub(super) rows: CubeTensor,
    /// `[R, 5]`, contiguous
    pub(super) statistics: CubeTensor,
    pub(super) inverse_temperature: f32,
}

impl Problem {
    /// A launch that suits most devices, where none is chosen by trial.
    #[cfg(not(feature = "autotune"))]
    pub(super) fn usual(&self) -> Blueprint {
        self.blueprint(UNITS, true)
    }

    /// As many of these units as the device takes, and planes only if it has them in one size.
    pub(super) fn blueprint(&self, units: u32, planes: bool) -> Blueprint {
        Blueprint::fitting(&self.rows.client, units, planes)
    }

    /// Launches the kernel.
    pub(super) fn run(self, blueprint: Blueprint) {
        let client = self.rows.client.clone();
        let count = self.rows.shape()[0];
        let cubes = cube_count(&client, count);
        let units = CubeDim::new_1d(blueprint.units);
        let inverse_temperature = self.inverse_temperature;
        let student = self.logits;
        match self.teacher {
            Some(teacher) => {
                let vector = vector_size(&[&student, &teacher]);
                let precision = dtype_to_storage_type(student.dtype);
                let address = student.required_address_type().max(teacher.required_address_type());
                // SAFETY: the kernel indexes rows below `R` and columns below `V` of tensors with these shapes, by
                // their own row strides; cubes beyond the rows stop at once. `vector_size` divides columns and strides.
                unsafe {
                    span_kl_separate::launch_unchecked(
                        &client,
                        cubes,
                        units,
                        address,
                        vector,
                        student.into_tensor_arg(),
                        teacher.into_tensor_arg(),
                        self.rows.into_tensor_arg(),
                        self.statistics.into_tensor_arg(),
                        inverse_temperature,
                        blueprint,
                        precision,
                    );
                }
            }
            None => {
                let vector = vector_size(&[&student]);
                let precision = dtype_to_storage_type(student.dtype);
                let address = student.required_address_type();
                // SAFETY: as above, with the teacher's rows from `R` to `2R` of the same tensor.
                unsafe {
                    span_kl_stacked::launch_unchecked(
                        &client,
                        cubes,
                        units,
                        address,
                        vector,
                        student.into_tensor_arg(),
                        self.rows.into_tensor_arg(),
                        self.statistics.into_tensor_arg(),
                        inverse_temperature,
                        blueprint,
                        precision,
                    );
                }
            }
        }
    }
}

/// How many neighbouring logits one load takes.
fn vector_size(tensors: &[&CubeTensor]) -> usize {
    let divides = |tensor: &CubeTensor, size: usize| {
        let rows = tensor.meta.shape()[0];
        tensor.meta.shape()[1].is_multiple_of(size)
            && (rows <= 1 || tensor.meta.strides()[0].is_multiple_of(size))
    };
    let first = tensors[0];
    let sizes = first.client.io_optimized_vector_sizes(first.dtype.size());
    sizes.into_iter().filter(|size| tensors.iter().all(|tensor| divides(tensor, *size))).max().unwrap_or(1)
}
