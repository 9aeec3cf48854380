//! The loss from hidden states: active rows gathered, multiplied with the shared head a chunk at a time.

use crate::logits::{Direction, row_kl};
use burn::tensor::{DType, Device, IndexingUpdateOp, Int, Tensor, TensorData};

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
        self.clip.is_some_and(|clip| kl > clip)
    }
}

/// What a loss computes.
#[derive(Clone, Debug)]
pub struct SpanKl {
    /// Σ weight · min(K, clip)
    pub loss: f64,
    /// Unclipped divergence of every active row, in the order given.
    pub kl: Vec<f64>,
    /// `[N, D]` in f32, ∂loss/∂(student hidden states)
    pub gradient: Tensor<2>,
}

/// How many rows a chunk has so that its logits, of both models in f32, take at most `bytes`.
pub fn chunk_rows(vocabulary: usize, bytes: usize) -> usize {
    (bytes / (2 * vocabulary.max(1) * size_of::<f32>())).max(1)
}

/// The loss of all active rows and its gradient with respect to the student's hidden states.
///
/// The head gets no gradient. Both models' logits of one chunk are the only tensors with a vocabulary axis;
/// rows that were clipped take no part in the product back to the hidden states.
///
/// # Shapes
/// - `student`: `[N, D]`, `teacher`: `[M, D]`, `head`: `[V, D]`, all in one precision and without a graph
///
/// # Panics
/// If a row lies outside `student` or `teacher`, or `chunk` is zero.
pub fn span_kl_linear(
    student: &Tensor<2>,
    teacher: &Tensor<2>,
    head: &Tensor<2>,
    rows: &[ActiveRow],
    temperature: f64,
    chunk: usize,
) -> SpanKl {
    let device = student.device();
    let [students, width] = student.dims();
    let teachers = teacher.dims()[0];
    assert!(
        rows.iter().all(|r| r.student < students && r.teacher < teachers),
        "an active row lies outside the hidden states"
    );
    let mut gradient = Tensor::<2>::zeros([students, width], (&device, DType::F32));
    let mut kl = vec![0.0; rows.len()];
    let mut loss = 0.0;
    for direction in [Direction::Forward, Direction::Reverse] {
        let members: Vec<usize> = (0..rows.len()).filter(|i| rows[*i].direction == direction).collect();
        for members in members.chunks(chunk) {
            let count = members.len();
            let gathered = Tensor::cat(
                vec![
                    student.clone().select(0, indices(members.iter().map(|i| rows[*i].student), &device)),
                    teacher.clone().select(0, indices(members.iter().map(|i| rows[*i].teacher), &device)),
                ],
                0,
            );
            let logits = gathered.matmul(head.clone().transpose());
            let result = row_kl(
                logits.clone().narrow(0, 0, count),
                logits.narrow(0, count, count),
                direction,
                temperature,
            );
            let values: Vec<f32> = host(result.kl);

            let mut kept = Vec::new();
            for (position, (&i, &value)) in members.iter().zip(&values).enumerate() {
                let (row, value) = (&rows[i], f64::from(value));
                kl[i] = value;
                loss += row.weight * row.clip.map_or(value, |clip| value.min(clip));
                if !row.clips(value) && row.weight != 0.0 {
                    kept.push(position);
                }
            }
            if kept.is_empty() {
                continue;
            }
            let weights: Vec<f32> = kept.iter().map(|p| rows[members[*p]].weight as f32).collect();
            let weights =
                Tensor::<2>::from_data(TensorData::new(weights, [kept.len(), 1]), (&device, DType::F32));
            let back = result.gradient.select(0, indices(kept.iter().copied(), &device)) * weights;
            let back = back.cast(head.dtype()).matmul(head.clone()).cast(DType::F32);
            let places = indices(kept.iter().map(|p| rows[members[*p]].student), &device);
            gradient = gradient.select_assign(0, places, back, IndexingUpdateOp::Add);
        }
    }
    SpanKl { loss, kl, gradient }
}

fn indices(values: impl Iterator<Item = usize>, device: &Device) -> Tensor<1, Int> {
    let values: Vec<i32> = values.map(|v| v as i32).collect();
    let count = values.len();
    Tensor::from_data(TensorData::new(values, [count]), (device, DType::I32))
}

/// Reads a tensor back to the host.
fn host(tensor: Tensor<2>) -> Vec<f32> {
    match tensor.try_into_vec_as() {
        Ok(values) => values,
        // The device is gone: there is no state to go on from.
        Err(error) => panic!("the device did not return its result: {error}"),
    }
}
