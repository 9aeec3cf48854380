//! The loss from hidden states: active rows gathered, multiplied with the shared head a chunk at a time.

use crate::error::SpanKlError;
use crate::logits::{Direction, RowLoss, RowStatistics, same_kind, span_kl_stacked};
use crate::projection::{project, project_back};
use burn::tensor::{DType, Device, IndexingUpdateOp, Int, Tensor, TensorData};
use std::num::NonZeroUsize;

/// One supervised token: a row of the student against a row of a teacher.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ActiveRow {
    /// Row of the student's hidden states.
    pub student: usize,
    /// Row of the teacher's hidden states.
    pub teacher: usize,
    /// Direction of the divergence.
    pub direction: Direction,
    /// Weight in the loss.
    pub weight: f64,
    /// The loss counts at most this much of the divergence; above it the gradient is zero.
    pub clip: Option<f64>,
}

impl ActiveRow {
    /// Whether a divergence is above the clip; at the clip the gradient passes.
    pub fn clips(&self, kl: f64) -> bool {
        self.loss().clips(kl)
    }

    fn loss(&self) -> RowLoss {
        RowLoss { direction: self.direction, weight: self.weight, clip: self.clip }
    }
}

/// What a loss computes.
#[derive(Clone, Debug)]
pub struct SpanKl {
    /// Σ weight · min(K, clip)
    pub loss: f64,
    /// Unclipped divergence of every active row, in the order given.
    pub kl: Vec<f64>,
    /// Everything known of every active row, in the order given.
    pub rows: Vec<RowStatistics>,
    /// `[N, D]` in f32, ∂loss/∂(student hidden states)
    pub gradient: Tensor<2>,
}

/// How many rows a chunk has so that its logits, of both models in f32, take at most `bytes`.
pub fn chunk_rows(vocabulary: usize, bytes: usize) -> NonZeroUsize {
    NonZeroUsize::new(bytes / (2 * vocabulary.max(1) * size_of::<f32>())).unwrap_or(NonZeroUsize::MIN)
}

/// The loss of all active rows and its gradient with respect to the student's hidden states.
///
/// The head gets no gradient. Both models' logits of one chunk are the only tensors with a vocabulary axis;
/// rows that were clipped take no part in the product back to the hidden states.
///
/// # Shapes
/// - `student`: `[N, D]`, `teacher`: `[M, D]`, `head`: `[V, D]`, all in one precision and without a graph
///
/// # Errors
/// If a tensor's shape, precision or device does not fit the student's, a row lies outside `student` or
/// `teacher`, or a temperature, weight or clip makes no sense.
pub fn span_kl_linear(
    student: &Tensor<2>,
    teacher: &Tensor<2>,
    head: &Tensor<2>,
    rows: &[ActiveRow],
    temperature: f64,
    chunk: NonZeroUsize,
) -> Result<SpanKl, SpanKlError> {
    check(student, teacher, head, rows)?;
    let device = student.device();
    let [students, width] = student.dims();
    let mut gradient = Tensor::<2>::zeros([students, width], (&device, DType::F32));
    let mut statistics = Vec::with_capacity(rows.len());
    let mut loss = 0.0;
    for rows in rows.chunks(chunk.get()) {
        let gathered = Tensor::cat(
            vec![
                student.clone().select(0, indices(rows.iter().map(|r| r.student), &device)),
                teacher.clone().select(0, indices(rows.iter().map(|r| r.teacher), &device)),
            ],
            0,
        );
        let logits = project(gathered, head);
        let losses: Vec<RowLoss> = rows.iter().map(ActiveRow::loss).collect();
        let result = span_kl_stacked(logits, &losses, temperature)?;
        loss += result.loss;

        let passes = |i: &usize| rows[*i].weight != 0.0 && !rows[*i].clips(result.rows[*i].kl);
        let kept: Vec<usize> = (0..rows.len()).filter(passes).collect();
        statistics.extend(result.rows);
        if kept.is_empty() {
            continue;
        }
        let upstream = if kept.len() == rows.len() {
            result.gradient
        } else {
            result.gradient.select(0, indices(kept.iter().copied(), &device))
        };
        let back = project_back(upstream, head).cast(DType::F32);
        let places = indices(kept.iter().map(|i| rows[*i].student), &device);
        gradient = gradient.select_assign(0, places, back, IndexingUpdateOp::Add);
    }
    let kl = statistics.iter().map(|row| row.kl).collect();
    Ok(SpanKl { loss, kl, rows: statistics, gradient })
}

/// Refuses tensors that do not fit together and rows that are not there.
fn check(
    student: &Tensor<2>,
    teacher: &Tensor<2>,
    head: &Tensor<2>,
    rows: &[ActiveRow],
) -> Result<(), SpanKlError> {
    let [students, width] = student.dims();
    for (name, tensor) in [("teacher", teacher), ("head", head)] {
        if tensor.dims()[1] != width {
            let wanted = format!("{width} columns as the student");
            return Err(SpanKlError::Shape { name, found: tensor.dims(), wanted });
        }
        same_kind(name, tensor, student)?;
    }
    let teachers = teacher.dims()[0];
    for (row, active) in rows.iter().enumerate() {
        for (side, found, count) in
            [("student", active.student, students), ("teacher", active.teacher, teachers)]
        {
            if found >= count {
                return Err(SpanKlError::OutOfRange { row, side, found, count });
            }
        }
    }
    Ok(())
}

fn indices(values: impl Iterator<Item = usize>, device: &Device) -> Tensor<1, Int> {
    let values: Vec<i32> = values.map(|v| v as i32).collect();
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), (device, DType::I32))
}
