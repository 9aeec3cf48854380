//! Tensors as slices, and work on their rows in parallel.

use burn::backend::flex::FlexTensor;
use burn::tensor::TensorData;
use rayon::iter::repeat_n;
use rayon::prelude::*;

/// Values of one piece of work: enough to be worth a thread's waking, few enough to stay in its cache.
pub(super) const PIECE: usize = 16 << 10;

/// The tensor itself if its values lie in order, otherwise a copy.
pub(super) fn dense(tensor: FlexTensor) -> FlexTensor {
    if tensor.as_slice::<f32>().is_some() { tensor } else { tensor.to_contiguous() }
}

/// The values of a tensor from [`dense`].
pub(super) fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().unwrap_or_else(|| unreachable!("a dense tensor of f32"))
}

/// A tensor of these values.
pub(super) fn tensor(values: Vec<f32>, shape: impl Into<burn::tensor::Shape>) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape.into()))
}

/// So many zeros, to be written over. Where they are many all threads make them: one would keep the others waiting while it
/// writes memory that was used before, or has the system clear what was not.
pub(super) fn zeros(length: usize) -> Vec<f32> {
    if length <= 4 * PIECE { vec![0.0; length] } else { repeat_n(0.0, length).with_min_len(PIECE).collect() }
}

/// Rows of `width` values that make a piece of work. It does not depend on the number of threads, and so neither does
/// a sum that is made piece by piece.
pub(super) fn piece_rows(width: usize) -> usize {
    (PIECE / width.max(1)).max(1)
}

/// Writes rows of `width` values, a piece of them at a time: `write` is given the first row's number and the rows.
pub(super) fn write_rows(out: &mut [f32], width: usize, write: impl Fn(usize, &mut [f32]) + Sync) {
    let rows = piece_rows(width);
    let length = (rows * width).max(1);
    if out.len() <= length {
        return write(0, out);
    }
    out.par_chunks_mut(length).enumerate().for_each(|(piece, out)| write(piece * rows, out));
}
