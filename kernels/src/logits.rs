//! The loss of rows of logits: the fused operator where the backend has it, plain operators elsewhere.

use crate::error::SpanKlError;
use crate::operator::{SpanKlBackend, column};
use crate::reference::composed;
use burn::backend::{Dispatch, DispatchTensorKind};
use burn::tensor::{DType, Device, Tensor, TensorData, s};

/// Kernels count tokens in f32, which is exact up to here.
const LARGEST_VOCABULARY: usize = 1 << 24;

/// Which distribution the divergence averages over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// KL(teacher ‖ student): the student covers what the teacher does.
    Forward,
    /// KL(student ‖ teacher): the student leaves what the teacher does not do.
    Reverse,
}

/// How one row enters the loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RowLoss {
    /// Direction of the divergence.
    pub direction: Direction,
    /// Weight in the loss.
    pub weight: f64,
    /// The loss counts at most this much of the divergence; above it the gradient is zero.
    pub clip: Option<f64>,
}

impl RowLoss {
    /// Whether a divergence is above the clip; at the clip the gradient passes.
    pub fn clips(&self, kl: f64) -> bool {
        self.clip.is_some_and(|clip| kl > clip)
    }

    /// What a divergence adds to the loss.
    pub fn counts(&self, kl: f64) -> f64 {
        match self.clip {
            _ if self.weight == 0.0 => 0.0,
            Some(clip) if kl > clip => self.weight * clip,
            _ => self.weight * kl,
        }
    }
}

/// What is known of one row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RowStatistics {
    /// Divergence, unclipped. Infinite where a token with probability in the averaging distribution has none in
    /// the other; NaN where a row of logits is no distribution: without a finite entry, or with +∞ or NaN.
    pub kl: f64,
    /// Entropy of the student, in nats.
    pub student_entropy: f64,
    /// Entropy of the teacher, in nats.
    pub teacher_entropy: f64,
    /// Whether both have their largest logit at the same token; the first one counts among equals.
    pub agrees: bool,
}

/// The loss of some rows of logits.
#[derive(Clone, Debug)]
pub struct SpanKlRows {
    /// Σ weight · min(K, clip)
    pub loss: f64,
    /// Every row, in the order given.
    pub rows: Vec<RowStatistics>,
    /// `[R, V]` in the precision of the student's logits, ∂loss/∂(student logits). Never NaN: zero for rows that
    /// are clipped or have no gradient, such as those of infinite reverse divergence.
    pub gradient: Tensor<2>,
}

/// The loss of rows of logits and its gradient, in f32 arithmetic whatever the precision of the logits.
///
/// On a backend with the fused operator the gradient is written over the student's logits if no other handle
/// holds them: hand them over by value, and nothing of their size is allocated. A probability below e⁻⁸⁷ of the
/// row's largest counts as zero.
///
/// # Shapes
/// - `student`, `teacher`: `[R, V]` logits in one precision of f32, f16 and bf16, on one device, without a
///   gradient graph
///
/// # Errors
/// If shapes, precisions or devices do not fit, there is not one of `rows` for each row of logits, or a
/// temperature, weight or clip makes no sense.
pub fn span_kl(
    student: Tensor<2>,
    teacher: Tensor<2>,
    rows: &[RowLoss],
    temperature: f64,
) -> Result<SpanKlRows, SpanKlError> {
    check_pair(&student, &teacher, rows, temperature)?;
    if !is_native(&student) {
        return Ok(composed(student, teacher, rows, temperature));
    }
    let arguments = pack(rows, &student.device());
    let (statistics, gradient) = <Dispatch as SpanKlBackend>::span_kl_rows(
        student.into_dispatch(),
        teacher.into_dispatch(),
        arguments.into_dispatch(),
        temperature as f32,
    );
    Ok(unpack(Tensor::from_dispatch(statistics), Tensor::from_dispatch(gradient), rows))
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
        return Ok(composed(student, teacher, rows, temperature));
    }
    let arguments = pack(rows, &logits.device());
    let (statistics, gradient) = <Dispatch as SpanKlBackend>::span_kl_stacked(
        logits.into_dispatch(),
        arguments.into_dispatch(),
        temperature as f32,
    );
    Ok(unpack(Tensor::from_dispatch(statistics), Tensor::from_dispatch(gradient), rows))
}

/// The loss as a differentiable tensor, `[1]` in f32; only the student's logits get a gradient.
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
        let result = composed(student.clone().inner(), teacher.inner(), rows, temperature);
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
    Ok(composed(student, teacher, rows, temperature))
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
    let [_, vocabulary] = logits.dims();
    if !(1..=LARGEST_VOCABULARY).contains(&vocabulary) {
        let wanted = format!("1 to {LARGEST_VOCABULARY} columns");
        return Err(SpanKlError::Shape { name, found: logits.dims(), wanted });
    }
    let found = logits.dtype();
    if !matches!(found, DType::F32 | DType::F16 | DType::BF16) {
        return Err(SpanKlError::Precision { name, found, wanted: "f32, f16 or bf16".into() });
    }
    // The kernels divide in f32.
    if !(temperature as f32 > 0.0 && (temperature as f32).recip().is_normal()) {
        return Err(SpanKlError::Temperature { found: temperature });
    }
    for (row, loss) in rows.iter().enumerate() {
        if !(loss.weight >= 0.0 && (loss.weight as f32).is_finite()) {
            return Err(SpanKlError::Row { row, field: "weight", found: loss.weight });
        }
        if let Some(clip) = loss.clip.filter(|clip| clip.is_nan() || *clip < 0.0) {
            return Err(SpanKlError::Row { row, field: "clip", found: clip });
        }
    }
    Ok(())
}

/// Refuses a tensor of another precision or on another device than the student's.
pub(crate) fn same_kind(
    name: &'static str,
    tensor: &Tensor<2>,
    student: &Tensor<2>,
) -> Result<(), SpanKlError> {
    if tensor.dtype() != student.dtype() {
        let wanted = format!("{:?} as the student", student.dtype());
        return Err(SpanKlError::Precision { name, found: tensor.dtype(), wanted });
    }
    // A tensor under autodiff is on the device that it wraps.
    let place = |tensor: &Tensor<2>| tensor.device().inner();
    if place(tensor) != place(student) {
        let text = |tensor: &Tensor<2>| format!("{:?}", place(tensor));
        return Err(SpanKlError::Device { name, found: text(tensor), wanted: text(student) });
    }
    Ok(())
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
    Tensor::from_data(TensorData::new(values, [rows.len(), 3]), (device, DType::F32))
}

/// The largest f32 that is not above: a divergence in f32 exceeds both or neither.
fn floor(value: f64) -> f32 {
    let rounded = value as f32;
    if f64::from(rounded) > value { rounded.next_down() } else { rounded }
}

fn unpack(statistics: Tensor<2>, gradient: Tensor<2>, rows: &[RowLoss]) -> SpanKlRows {
    let values = host(statistics);
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
    SpanKlRows { loss, rows: statistics, gradient }
}

/// Reads a tensor back to the host.
pub(crate) fn host(tensor: Tensor<2>) -> Vec<f32> {
    match tensor.try_into_vec_as() {
        Ok(values) => values,
        // The device is gone: there is no state to go on from.
        Err(error) => panic!("the device did not return its result: {error}"),
    }
}
