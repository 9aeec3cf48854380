//! The loss of rows of logits: the fused operator where the backend has it, plain operators elsewhere.

use crate::operator::{SpanKlBackend, column};
use crate::reference::span_kl_reference;
use burn::backend::{Dispatch, DispatchTensorKind};
use burn::tensor::{DType, Device, Tensor, TensorData, s};

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
/// - `student`, `teacher`: `[R, V]` logits in f32, f16 or bf16 (other precisions are cast to f32), without a
///   gradient graph
///
/// # Panics
/// If the shapes differ or do not have one row for each of `rows`, or `temperature` is not above zero.
pub fn span_kl(student: Tensor<2>, teacher: Tensor<2>, rows: &[RowLoss], temperature: f64) -> SpanKlRows {
    let (student, teacher) = checked(student, teacher, rows, temperature);
    if !is_native(&student) {
        return span_kl_reference(student, teacher, rows, temperature);
    }
    let arguments = pack(rows, &student.device());
    let (statistics, gradient) = <Dispatch as SpanKlBackend>::span_kl_rows(
        student.into_dispatch(),
        teacher.into_dispatch(),
        arguments.into_dispatch(),
        temperature as f32,
    );
    unpack(Tensor::from_dispatch(statistics), Tensor::from_dispatch(gradient), rows)
}

/// The same for logits of both models in one tensor, the student's rows above the teacher's.
///
/// # Shapes
/// - `logits`: `[2R, V]`
///
/// # Panics
/// As [`span_kl`].
pub fn span_kl_stacked(logits: Tensor<2>, rows: &[RowLoss], temperature: f64) -> SpanKlRows {
    let count = rows.len();
    assert_eq!(logits.dims()[0], 2 * count, "stacked logits need two rows for each row of the loss");
    if count == 0 || !is_native(&logits) {
        let (student, teacher) = (logits.clone().slice(s![0..count, ..]), logits.slice(s![count.., ..]));
        return span_kl(student, teacher, rows, temperature);
    }
    assert!(temperature > 0.0, "the temperature is {temperature}, but has to be above zero");
    let arguments = pack(rows, &logits.device());
    let (statistics, gradient) = <Dispatch as SpanKlBackend>::span_kl_stacked(
        supported(logits).into_dispatch(),
        arguments.into_dispatch(),
        temperature as f32,
    );
    unpack(Tensor::from_dispatch(statistics), Tensor::from_dispatch(gradient), rows)
}

/// The loss as a differentiable tensor, `[1]` in f32; only the student's logits get a gradient.
///
/// # Shapes
/// - `student`: `[R, V]` logits, tracked by autodiff; `teacher`: `[R, V]`, tracked or not
///
/// # Panics
/// As [`span_kl`].
pub fn span_kl_loss(student: Tensor<2>, teacher: Tensor<2>, rows: &[RowLoss], temperature: f64) -> Tensor<1> {
    let (student, teacher) = checked(student, teacher, rows, temperature);
    let device = student.device();
    if !is_native(&student) {
        let result = span_kl_reference(student.clone().inner(), teacher.inner(), rows, temperature);
        // A product with the gradient has the right derivative; its value is taken away again.
        let linear = (student * Tensor::from_inner(result.gradient)).sum().cast(DType::F32);
        let value = linear.clone().detach();
        return linear - value + result.loss;
    }
    Tensor::from_dispatch(<Dispatch as SpanKlBackend>::span_kl_loss(
        student.into_dispatch(),
        teacher.into_dispatch(),
        pack(rows, &device).into_dispatch(),
        temperature as f32,
    ))
}

/// Both rows of logits in one supported precision.
fn checked(
    student: Tensor<2>,
    teacher: Tensor<2>,
    rows: &[RowLoss],
    temperature: f64,
) -> (Tensor<2>, Tensor<2>) {
    assert_eq!(student.dims(), teacher.dims(), "student and teacher logits need one shape");
    assert_eq!(student.dims()[0], rows.len(), "each row of logits needs its row of the loss");
    assert!(temperature > 0.0, "the temperature is {temperature}, but has to be above zero");
    let student = supported(student);
    let precision = student.dtype();
    let teacher = if teacher.dtype() == precision { teacher } else { teacher.cast(precision) };
    (student, teacher)
}

fn supported(logits: Tensor<2>) -> Tensor<2> {
    match logits.dtype() {
        DType::F32 | DType::F16 | DType::BF16 => logits,
        _ => logits.cast(DType::F32),
    }
}

/// Whether the tensor's backend has operators of this crate.
pub(crate) fn is_native(tensor: &Tensor<2>) -> bool {
    fn native(kind: &DispatchTensorKind) -> bool {
        matches!(kind, DispatchTensorKind::Flex(_))
            || matches!(kind, DispatchTensorKind::Autodiff(inner) if native(inner))
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
