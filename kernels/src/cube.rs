//! The operator on every CubeCL runtime.

mod kernel;
mod launch;
#[cfg(feature = "lowering")]
pub mod lowering;
mod sums;
#[cfg(feature = "autotune")]
mod tune;

use crate::operator::{SpanKlBackend, column};
use burn::backend::TensorMetadata;
use burn::tensor::{DType, Shape};
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use launch::Problem;

impl SpanKlBackend for CubeBackend {
    fn span_kl_rows(
        student: CubeTensor,
        teacher: CubeTensor,
        rows: CubeTensor,
        temperature: f32,
    ) -> (CubeTensor, CubeTensor) {
        let student = owned(student);
        let teacher = in_rows(teacher);
        let statistics = compute(student.clone(), Some(teacher), rows, temperature);
        (statistics, student)
    }

    fn span_kl_stacked(logits: CubeTensor, rows: CubeTensor, temperature: f32) -> (CubeTensor, CubeTensor) {
        let logits = owned(logits);
        let statistics = compute(logits.clone(), None, rows, temperature);
        (statistics, upper_half(logits))
    }
}

/// Statistics of every row; the gradient goes over the student's logits.
fn compute(
    logits: CubeTensor,
    teacher: Option<CubeTensor>,
    rows: CubeTensor,
    temperature: f32,
) -> CubeTensor {
    let rows = into_contiguous(rows);
    let count = rows.shape()[0];
    let statistics = empty_device_contiguous_dtype(
        rows.client.clone(),
        rows.device.clone(),
        Shape::from([count, column::COUNT]),
        DType::F32,
    );
    let problem = Problem {
        logits,
        teacher,
        rows,
        statistics: statistics.clone(),
        inverse_temperature: temperature.recip(),
    };
    if count > 0 {
        #[cfg(feature = "autotune")]
        tune::run(problem);
        #[cfg(not(feature = "autotune"))]
        {
            let blueprint = problem.usual();
            problem.run(blueprint);
        }
    }
    statistics
}

/// The tensor itself if its columns lie side by side and nobody else holds it, otherwise a copy.
fn owned(tensor: CubeTensor) -> CubeTensor {
    let tensor = in_rows(tensor);
    if tensor.can_mut() { tensor } else { tensor.copy() }
}

/// The tensor itself if its columns lie side by side and its rows apart, otherwise a copy.
fn in_rows(tensor: CubeTensor) -> CubeTensor {
    let (shape, strides) = (tensor.meta.shape(), tensor.meta.strides());
    let apart = shape[0] <= 1 || strides[0] >= shape[1];
    if !tensor.meta.is_tiled() && (shape[1] <= 1 || strides[1] == 1) && apart {
        return tensor;
    }
    into_contiguous(tensor)
}

/// The first half of the rows, without a copy.
fn upper_half(logits: CubeTensor) -> CubeTensor {
    let rows = logits.meta.shape()[0] / 2;
    let rest = (rows * logits.meta.strides()[0] * logits.dtype.size()) as u64;
    let mut half = logits;
    half.handle = half.handle.offset_end(rest);
    half.meta.shape[0] = rows;
    half
}
