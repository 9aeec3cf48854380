//! The loss of rows of logits: the fused operator where the backend has it, plain operators elsewhere.

use crate::checks::{check_logits, check_temperature, check_terms, same_kind};
use crate::divergence::Direction;
use crate::error::SpanKlError;
use crate::operator::{SpanKlBackend, column};
use crate::reference::composed;
use crate::rows::{RowLoss, RowStatistics, SpanKlRows};
use burn::backend::{Dispatch, DispatchTensorKind};
use burn::tensor::{DType, Device, Tensor, TensorData, s};
use vigos_devices::{DeviceError, read, send};

/// The loss of rows of logits and its gradient, in f32 arithmetic whatever the precision of the logits.
///
/// On a backend with the fused operator the gradient is written over the student's logits if no other handle
/// holds them: hand them over by value, and nothing of their size is allocated. A probability below e⁻⁸⁷ of the
/// row's largest counts as zero.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use vigos_kernels::{Direction, RowLoss, span_kl};
///
/// let device = Device::flex();
/// let student = Tensor::<2>::from_data([[0.0, 0.0, 0.0]], &device);
/// let teacher = Tensor::<2>::from_data([[2.0, 0.0, 0.0]], &device);
/// let row = RowLoss { direction: Direction::Forward, weight: 1.0, clip: None };
/// let found = span_kl(student, teacher, &[row], 1.0)?;
/// assert_eq!(found.loss, found.rows[0].kl);
/// // p − q: less than nothing for the token that the teacher prefers.
/// let gradient: Vec<f32> = found.gradient.try_into_vec_as()?;
/// assert!(gradient[0] < 0.0 && gradient[1] > 0.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Shapes
/// - `student`, `teacher`: `[R, V]` logits in one precision of f32, f16 and bf16, on one device, without a
///   gradient graph
///
/// # Errors
/// If shapes, precisions or devices do not fit, there is not one of `rows` for each row of logits, or a
/// temperature, weight or clip makes no sense; if the device fails.
pub fn span_kl(
    student: Tensor<2>,
    teacher: Tensor<2>,
    rows: &[RowLoss],
    temperature: f64,
) -> Result<SpanKlRows, SpanKlError> {
    check_pair(&student, &teacher, rows, temperature)?;
    if !is_native(&student) {
        return Ok(composed(student, teacher, rows, temperature)?);
    }
    let arguments = pack(rows, &student.device());
    let (statistics, gradient) = <Dispatch as SpanKlBackend>::span_kl_rows(
        student.into_dispatch(),
        teacher.into_dispatch(),
        arguments.into_dispatch(),
        temperature as f32,
    );
    Ok(unpack(Tensor::from_dispatch(statistics), Tensor::from_dispatch(gradient), rows)?)
}

/// The same for logits of both models in one tensor, the student's rows above the teacher's.
///
/// # Shapes
/// - `logits`: `[2R, V]`
///
/// # Errors
/// As [`span_kl`].
pub fn span_kl_stacked(
    logits: Tensor<2>,
    rows: &[RowLoss],
    temperature: f64,
) -> Result<SpanKlRows, SpanKlError> {
    let (found, count) = (logits.dims(), rows.len());
    if found[0] != 2 * count {
        let wanted = format!("[{}, V], two rows for each row of the loss", 2 * count);
        return Err(SpanKlError::Shape { name: "stacked logits", found, wanted });
    }
    check("stacked logits", &logits, rows, temperature)?;
    if !is_native(&logits) {
        let (student, teacher) = (logits.clone().slice(s![0..count, ..]), logits.slice(s![count.., ..]));
        return Ok(composed(student, teacher, rows, temperature)?);
    }
    let arguments = pack(rows, &logits.device());
    let (statistics, gradient) = <Dispatch as SpanKlBackend>::span_kl_stacked(
        logits.into_dispatch(),
        arguments.into_dispatch(),
        temperature as f32,
    );
    Ok(unpack(Tensor::from_dispatch(statistics), Tensor::from_dispatch(gradient), rows)?)
}

/// The loss as a differentiable tensor, `[1]` in f32; only the student's logits get a gradient.
///
/// ```
/// use burn::tensor::{Device, Tensor};
/// use vigos_kernels::{Direction, RowLoss, span_kl_loss};
///
/// let device = Device::flex().autodiff();
/// let student = Tensor::<2>::from_data([[0.0, 0.0, 0.0]], &device).require_grad();
/// let teacher = Tensor::<2>::from_data([[2.0, 0.0, 0.0]], &device);
/// let row = RowLoss { direction: Direction::Reverse, weight: 1.0, clip: None };
/// let loss = span_kl_loss(student.clone(), teacher, &[row], 1.0)?;
/// assert!(student.grad(&loss.backward()).is_some());
/// # Ok::<(), vigos_kernels::SpanKlError>(())
/// ```
///
/// # Shapes
/// - `student`: `[R, V]` logits, tracked by autodiff; `teacher`: `[R, V]`, tracked or not
///
/// # Errors
/// As [`span_kl`].
pub fn span_kl_loss(
    student: Tensor<2>,
    teacher: Tensor<2>,
    rows: &[RowLoss],
    temperature: f64,
) -> Result<Tensor<1>, SpanKlError> {
    check_pair(&student, &teacher, rows, temperature)?;
    if !is_native(&student) {
        let result = composed(student.clone().inner(), teacher.inner(), rows, temperature)?;
        // A product with the gradient has the right derivative; its value is taken away again.
        let linear = (student * Tensor::from_inner(result.gradient)).sum().cast(DType::F32);
        let value = linear.clone().detach();
        return Ok(linear - value + result.loss);
    }
    let arguments = pack(rows, &student.device());
    Ok(Tensor::from_dispatch(<Dispatch as SpanKlBackend>::span_kl_loss(
        student.into_dispatch(),
        teacher.into_dispatch(),
        arguments.into_dispatch(),
        temperature as f32,
    )))
}

/// What [`span_kl`] computes, from operators that every backend has; several tensors of the logits' size come and
/// go on the way. Backends without the fused operator take this, and tests compare with it.
///
/// # Shapes
/// - `student`, `teacher`: `[R, V]` logits, without a gradient graph
///
/// # Errors
/// As [`span_kl`].
pub fn span_kl_reference(
    student: Tensor<2>,
    teacher: Tensor<2>,
    rows: &[RowLoss],
    temperature: f64,
) -> Result<SpanKlRows, SpanKlError> {
    check_pair(&student, &teacher, rows, temperature)?;
    Ok(composed(student, teacher, rows, temperature)?)
}

/// Refuses two tensors of logits that do not fit together.
fn check_pair(
    student: &Tensor<2>,
    teacher: &Tensor<2>,
    rows: &[RowLoss],
    temperature: f64,
) -> Result<(), SpanKlError> {
    let [count, vocabulary] = student.dims();
    if teacher.dims() != student.dims() {
        let wanted = format!("[{count}, {vocabulary}] as the student's");
        return Err(SpanKlError::Shape { name: "teacher logits", found: teacher.dims(), wanted });
    }
    if rows.len() != count {
        return Err(SpanKlError::RowCount { rows: rows.len(), logits: count });
    }
    same_kind("teacher logits", teacher, student)?;
    check("student logits", student, rows, temperature)
}

/// Refuses logits that cannot be read, and rows or a temperature that make no sense.
fn check(
    name: &'static str,
    logits: &Tensor<2>,
    rows: &[RowLoss],
    temperature: f64,
) -> Result<(), SpanKlError> {
    check_logits(name, logits)?;
    check_temperature(temperature)?;
    check_terms(rows.iter().map(|row| (row.weight, row.clip)))
}

/// Whether the tensor's backend has the operator.
fn is_native(tensor: &Tensor<2>) -> bool {
    fn native(kind: &DispatchTensorKind) -> bool {
        match kind {
            #[cfg(feature = "cube")]
            DispatchTensorKind::Cube(_) => true,
            #[cfg(feature = "flex")]
            DispatchTensorKind::Flex(_) => true,
            DispatchTensorKind::Autodiff(inner) => native(inner),
            #[allow(unreachable_patterns, reason = "depends on the backends that Burn is built with")]
            _ => false,
        }
    }
    native(&tensor.clone().into_dispatch().kind)
}

/// The rows as the operator reads them, `[R, 3]`.
fn pack(rows: &[RowLoss], device: &Device) -> Tensor<2> {
    let values: Vec<f32> = rows
        .iter()
        .flat_map(|row| {
            let reverse = f32::from(u8::from(row.direction == Direction::Reverse));
            [reverse, row.weight as f32, row.clip.map_or(f32::INFINITY, floor)]
        })
        .collect();
    send(TensorData::new(values, [rows.len(), 3]), device, DType::F32)
}

/// The largest f32 that is not above: a divergence in f32 exceeds both or neither.
fn floor(value: f64) -> f32 {
    let rounded = value as f32;
    if f64::from(rounded) > value { rounded.next_down() } else { rounded }
}

fn unpack(statistics: Tensor<2>, gradient: Tensor<2>, rows: &[RowLoss]) -> Result<SpanKlRows, DeviceError> {
    let values: Vec<f32> = read(statistics)?;
    let statistics: Vec<RowStatistics> = values
        .chunks_exact(column::COUNT)
        .map(|row| RowStatistics {
            kl: f64::from(row[column::KL]),
            student_entropy: f64::from(row[column::STUDENT_ENTROPY]),
            teacher_entropy: f64::from(row[column::TEACHER_ENTROPY]),
            agrees: row[column::AGREES] != 0.0,
        })
        .collect();
    let loss = rows.iter().zip(&statistics).map(|(row, found)| row.counts(found.kl)).sum();
    Ok(SpanKlRows { loss, rows: statistics, gradient })
}
