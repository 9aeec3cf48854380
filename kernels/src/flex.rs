//! The operator on the CPU: rows in parallel, each of them on the vector units.

mod element;
mod simd;

use crate::operator::{SpanKlBackend, column};
use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use burn::tensor::{DType, TensorData};
use element::Element;
use half::{bf16, f16};
use rayon::prelude::*;
use simd::{RowArguments, row};

impl SpanKlBackend for Flex {
    fn span_kl_rows(
        student: FlexTensor,
        teacher: FlexTensor,
        rows: FlexTensor,
        temperature: f32,
    ) -> (FlexTensor, FlexTensor) {
        match student.dtype() {
            DType::F32 => separate::<f32>(student, teacher, rows, temperature),
            DType::F16 => separate::<f16>(student, teacher, rows, temperature),
            DType::BF16 => separate::<bf16>(student, teacher, rows, temperature),
            other => unreachable!("logits in {other:?} are cast before the operator"),
        }
    }

    fn span_kl_stacked(logits: FlexTensor, rows: FlexTensor, temperature: f32) -> (FlexTensor, FlexTensor) {
        match logits.dtype() {
            DType::F32 => stacked::<f32>(logits, rows, temperature),
            DType::F16 => stacked::<f16>(logits, rows, temperature),
            DType::BF16 => stacked::<bf16>(logits, rows, temperature),
            other => unreachable!("logits in {other:?} are cast before the operator"),
        }
    }
}

fn separate<E: Element>(
    student: FlexTensor,
    teacher: FlexTensor,
    rows: FlexTensor,
    temperature: f32,
) -> (FlexTensor, FlexTensor) {
    let vocabulary = student.layout().shape()[1];
    let mut gradient = owned::<E>(student);
    let teacher = dense::<E>(teacher);
    let statistics = match (writable::<E>(&mut gradient), teacher.as_slice::<E>()) {
        (Some(student), Some(teacher)) => compute(student, teacher, &rows, vocabulary, temperature),
        _ => unreachable!("both tensors have just been made contiguous"),
    };
    (statistics, gradient)
}

fn stacked<E: Element>(logits: FlexTensor, rows: FlexTensor, temperature: f32) -> (FlexTensor, FlexTensor) {
    let [count, vocabulary] = [logits.layout().shape()[0] / 2, logits.layout().shape()[1]];
    let mut logits = owned::<E>(logits);
    let statistics = match writable::<E>(&mut logits) {
        Some(both) => {
            let (student, teacher) = both.split_at_mut(count * vocabulary);
            compute(student, teacher, &rows, vocabulary, temperature)
        }
        None => unreachable!("the logits have just been made contiguous"),
    };
    let upper = logits.layout().narrow(0, 0, count);
    (statistics, logits.with_layout(upper))
}

/// Statistics of every row; the gradient goes over the student's logits.
fn compute<E: Element>(
    student: &mut [E],
    teacher: &[E],
    rows: &FlexTensor,
    vocabulary: usize,
    temperature: f32,
) -> FlexTensor {
    let rows = dense::<f32>(rows.clone());
    let rows = rows.as_slice::<f32>().unwrap_or(&[]);
    let count = rows.len() / 3;
    let mut statistics = vec![0.0f32; count * column::COUNT];
    statistics
        .par_chunks_exact_mut(column::COUNT)
        .zip(rows.par_chunks_exact(3))
        .zip(student.par_chunks_exact_mut(vocabulary.max(1)))
        .zip(teacher.par_chunks_exact(vocabulary.max(1)))
        .for_each(|(((statistics, arguments), student), teacher)| {
            let (reverse, weight, clip) = (arguments[0] != 0.0, arguments[1], arguments[2]);
            let inverse_temperature = temperature.recip();
            let result = row(student, teacher, RowArguments { reverse, weight, clip, inverse_temperature });
            statistics[column::KL] = result.kl;
            // NaN stays: `f32::min` would hide it.
            let counted = if result.kl > clip { clip } else { result.kl };
            statistics[column::LOSS] = if weight == 0.0 { 0.0 } else { weight * counted };
            statistics[column::STUDENT_ENTROPY] = result.student_entropy;
            statistics[column::TEACHER_ENTROPY] = result.teacher_entropy;
            statistics[column::AGREES] = f32::from(u8::from(result.agrees));
        });
    FlexTensor::from_data(TensorData::new(statistics, [count, column::COUNT]))
}

/// The tensor itself if it is contiguous and nobody else holds it, otherwise a copy.
fn owned<E: Element>(tensor: FlexTensor) -> FlexTensor {
    if tensor.is_unique() && tensor.layout().contiguous_offsets().is_some() {
        return tensor;
    }
    let tensor = dense::<E>(tensor);
    let values = tensor.as_slice::<E>().unwrap_or(&[]).to_vec();
    FlexTensor::from_data(TensorData::new(values, tensor.layout().shape().clone()))
}

/// The tensor itself if its elements lie in order, otherwise a copy.
fn dense<E: Element>(tensor: FlexTensor) -> FlexTensor {
    if tensor.as_slice::<E>().is_some() { tensor } else { tensor.to_contiguous() }
}

/// The elements of a tensor from [`owned`].
fn writable<E: Element>(tensor: &mut FlexTensor) -> Option<&mut [E]> {
    let (start, end) = tensor.layout().contiguous_offsets()?;
    tensor.try_storage_mut::<E>()?.get_mut(start..end)
}
