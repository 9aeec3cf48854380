//! The loss from hidden states: active rows gathered, multiplied with the shared head a chunk at a time.

use crate::checks::{check_temperature, check_terms, same_device, same_kind};
use crate::differentiated::differentiated;
use crate::error::SpanKlError;
use crate::logits::span_kl_stacked;
use crate::rows::{ActiveRow, RowLoss, RowStatistics, SpanKlRows};
use crate::tensors::indices;
use burn::tensor::{DType, IndexingUpdateOp, Tensor};
use std::num::NonZeroUsize;
use vigos_devices::{computed, in_chunks};
use vigos_operators::{project, project_back};

/// Memory that the logits of one chunk of rows take at most, in bytes: large enough for products to be efficient,
/// small beside a model. Who goes over logits in chunks makes them of this size.
pub const LOGITS_BUDGET: usize = 256 << 20;

/// How many rows a chunk has so that its logits, of both models in f32, take at most `bytes`.
///
/// ```
/// use vigos_kernels::{LOGITS_BUDGET, chunk_rows};
///
/// assert_eq!(chunk_rows(151_936, LOGITS_BUDGET).get(), 220);
/// assert_eq!(chunk_rows(151_936, 1).get(), 1);
/// ```
pub fn chunk_rows(vocabulary: usize, bytes: usize) -> NonZeroUsize {
    NonZeroUsize::new(bytes / (2 * vocabulary.max(1) * size_of::<f32>())).unwrap_or(NonZeroUsize::MIN)
}

/// What a loss computes.
#[derive(Clone, Debug)]
pub struct LinearLoss {
    /// Σ weight · min(K, clip)
    pub loss: f64,
    /// Unclipped divergence of every active row, in the order given.
    pub kl: Vec<f64>,
    /// Everything known of every active row, in the order given.
    pub rows: Vec<RowStatistics>,
    /// `[N, D]` in f32, ∂loss/∂(student hidden states)
    pub gradient: Tensor<2>,
}

/// The loss of all active rows and its gradient with respect to the student's hidden states.
///
/// The head gets no gradient. Both models' logits of one chunk are the only tensors with a vocabulary axis; rows that
/// were clipped take no part in the product back to the hidden states.
///
/// Rows whose divergence is [fused](crate::Divergence::fused) go through the fused operator. The others follow, through
/// the divergence's own operators and autodiff, which keep some more tensors of a chunk's size; a row of infinite
/// divergence has no gradient there.
///
/// ```
/// use burn::tensor::{Device, Distribution, Tensor};
/// use vigos_kernels::{ActiveRow, ForwardKl, LOGITS_BUDGET, chunk_rows, divergence_linear};
///
/// let device = Device::flex();
/// let random = |rows| Tensor::<2>::random([rows, 8], Distribution::Normal(0.0, 1.0), &device);
/// let (student, teacher, head) = (random(4), random(2), random(100));
/// // The student's last two rows learn from the teacher's two.
/// let rows = [(2, 0), (3, 1)].map(|(student, teacher)| {
///     ActiveRow { student, teacher, divergence: &ForwardKl, weight: 0.5, clip: None }
/// });
/// let chunk = chunk_rows(100, LOGITS_BUDGET);
/// let found = divergence_linear(&student, &teacher, &head, &rows, 1.0, chunk)?;
/// assert_eq!(found.gradient.dims(), [4, 8]);
/// assert!((found.loss - (found.kl[0] + found.kl[1]) / 2.0).abs() < 1e-6);
/// # Ok::<(), vigos_kernels::SpanKlError>(())
/// ```
///
/// # Shapes
/// - `student`: `[N, D]`, `teacher`: `[M, D]`, in one precision, `head`: `[V, D]`, which may have another; all without a
///   graph
///
/// # Errors
/// If a tensor's shape, precision or device does not fit the student's, a row lies outside `student` or `teacher`, a
/// temperature, weight or clip makes no sense, or a divergence gives what is none; if the device fails. One that is out of
/// memory for a chunk is asked for half as many rows at a time, once.
pub fn divergence_linear(
    student: &Tensor<2>,
    teacher: &Tensor<2>,
    head: &Tensor<2>,
    rows: &[ActiveRow],
    temperature: f64,
    chunk: NonZeroUsize,
) -> Result<LinearLoss, SpanKlError> {
    check(student, teacher, head, rows, temperature)?;
    let (mut fused, mut others) = (Vec::new(), Vec::new());
    for (number, &ActiveRow { divergence, weight, clip, .. }) in rows.iter().enumerate() {
        match divergence.fused() {
            Some(direction) => fused.push((number, RowLoss { direction, weight, clip })),
            None => others.push(number),
        }
    }
    let mut sum = Sum::new(Problem { student, teacher, head, rows });
    let (device, out_of_memory) = (student.device(), SpanKlError::is_out_of_memory);
    in_chunks(&fused, chunk, &device, out_of_memory, |part| {
        let (numbers, losses): (Vec<usize>, Vec<RowLoss>) = part.iter().copied().unzip();
        let found = span_kl_stacked(sum.of.logits(&numbers), &losses, temperature)?;
        sum.add(&numbers, found)
    })?;
    in_chunks(&others, chunk, &device, out_of_memory, |numbers| {
        let part: Vec<ActiveRow> = numbers.iter().map(|number| rows[*number]).collect();
        let found = differentiated(sum.of.logits(numbers), &part, temperature)?;
        sum.add(numbers, found)
    })?;
    Ok(sum.finish())
}

/// What the loss is of.
struct Problem<'a> {
    student: &'a Tensor<2>,
    teacher: &'a Tensor<2>,
    head: &'a Tensor<2>,
    rows: &'a [ActiveRow<'a>],
}

impl Problem<'_> {
    /// Logits of these active rows, the student's above the teacher's. `[2R, V]`
    fn logits(&self, numbers: &[usize]) -> Tensor<2> {
        let device = self.student.device();
        let of = |row: fn(&ActiveRow) -> usize| indices(numbers.iter().map(|n| row(&self.rows[*n])), &device);
        let gathered = Tensor::cat(
            vec![
                self.student.clone().select(0, of(|row| row.student)),
                self.teacher.clone().select(0, of(|row| row.teacher)),
            ],
            0,
        );
        project(gathered, self.head)
    }
}

/// The loss of the rows so far.
struct Sum<'a> {
    of: Problem<'a>,
    loss: f64,
    statistics: Vec<Option<RowStatistics>>,
    gradient: Tensor<2>,
}

impl<'a> Sum<'a> {
    fn new(of: Problem<'a>) -> Self {
        let gradient = Tensor::zeros(of.student.dims(), (&of.student.device(), DType::F32));
        Self { loss: 0.0, statistics: vec![None; of.rows.len()], gradient, of }
    }

    /// Adds a chunk: these active rows; all of it, or nothing if the device fails.
    fn add(&mut self, numbers: &[usize], found: SpanKlRows) -> Result<(), SpanKlError> {
        let (rows, device) = (self.of.rows, self.of.student.device());
        let passes = |i: &usize| {
            let row = &rows[numbers[*i]];
            row.weight != 0.0 && !row.clips(found.rows[*i].kl)
        };
        let kept: Vec<usize> = (0..numbers.len()).filter(passes).collect();
        if !kept.is_empty() {
            let upstream = if kept.len() == numbers.len() {
                found.gradient
            } else {
                found.gradient.select(0, indices(kept.iter().copied(), &device))
            };
            let back = project_back(upstream, self.of.head).cast(DType::F32);
            computed(&back)?;
            let places = indices(kept.iter().map(|i| rows[numbers[*i]].student), &device);
            self.gradient.inplace(|all| all.select_assign(0, places, back, IndexingUpdateOp::Add));
        }
        self.loss += found.loss;
        for (number, row) in numbers.iter().zip(&found.rows) {
            self.statistics[*number] = Some(*row);
        }
        Ok(())
    }

    fn finish(self) -> LinearLoss {
        let rows: Vec<RowStatistics> = self.statistics.into_iter().flatten().collect();
        LinearLoss {
            loss: self.loss,
            kl: rows.iter().map(|row| row.kl).collect(),
            rows,
            gradient: self.gradient,
        }
    }
}

/// Refuses tensors that do not fit together, rows that are not there, and terms that make no sense.
fn check(
    student: &Tensor<2>,
    teacher: &Tensor<2>,
    head: &Tensor<2>,
    rows: &[ActiveRow],
    temperature: f64,
) -> Result<(), SpanKlError> {
    let [students, width] = student.dims();
    for (name, tensor) in [("teacher", teacher), ("head", head)] {
        if tensor.dims()[1] != width {
            let wanted = format!("{width} columns as the student");
            return Err(SpanKlError::Shape { name, found: tensor.dims(), wanted });
        }
    }
    same_kind("teacher", teacher, student)?;
    same_device("head", head, student)?;
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
    check_temperature(temperature)?;
    check_terms(rows.iter().map(|row| (row.weight, row.clip)))
}
