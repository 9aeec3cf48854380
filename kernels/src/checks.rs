//! What is refused before anything is computed.

use crate::error::SpanKlError;
use burn::tensor::{DType, Tensor};

/// Kernels count tokens in f32, which is exact up to here.
const LARGEST_VOCABULARY: usize = 1 << 24;

/// Refuses logits that cannot be read.
pub(crate) fn check_logits(name: &'static str, logits: &Tensor<2>) -> Result<(), SpanKlError> {
    let [_, vocabulary] = logits.dims();
    if !(1..=LARGEST_VOCABULARY).contains(&vocabulary) {
        let wanted = format!("1 to {LARGEST_VOCABULARY} columns");
        return Err(SpanKlError::Shape { name, found: logits.dims(), wanted });
    }
    let found = logits.dtype();
    if !matches!(found, DType::F32 | DType::F16 | DType::BF16) {
        return Err(SpanKlError::Precision { name, found, wanted: "f32, f16 or bf16".into() });
    }
    Ok(())
}

/// Refuses a temperature that cannot divide; the kernels divide in f32.
pub(crate) fn check_temperature(found: f64) -> Result<(), SpanKlError> {
    if found as f32 > 0.0 && (found as f32).recip().is_normal() {
        return Ok(());
    }
    Err(SpanKlError::Temperature { found })
}

/// Refuses weights and clips that are below zero or no numbers.
pub(crate) fn check_terms(terms: impl Iterator<Item = (f64, Option<f64>)>) -> Result<(), SpanKlError> {
    for (row, (weight, clip)) in terms.enumerate() {
        if !(weight >= 0.0 && (weight as f32).is_finite()) {
            return Err(SpanKlError::Row { row, field: "weight", found: weight });
        }
        if let Some(clip) = clip.filter(|clip| clip.is_nan() || *clip < 0.0) {
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
    same_device(name, tensor, student)
}

/// Refuses a tensor on another device than the student's.
pub(crate) fn same_device(
    name: &'static str,
    tensor: &Tensor<2>,
    student: &Tensor<2>,
) -> Result<(), SpanKlError> {
    // A tensor under autodiff is on the device that it wraps.
    let place = |tensor: &Tensor<2>| tensor.device().inner();
    if place(tensor) != place(student) {
        let text = |tensor: &Tensor<2>| format!("{:?}", place(tensor));
        return Err(SpanKlError::Device { name, found: text(tensor), wanted: text(student) });
    }
    Ok(())
}
