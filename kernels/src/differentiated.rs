//! The loss of rows under divergences that have no fused operator: the divergence's own operators under autodiff.

use crate::checks::check_logits;
use crate::divergence::Divergence;
use crate::error::SpanKlError;
use crate::reference::{agreement, log_probabilities, statistics};
use crate::rows::{ActiveRow, SpanKlRows};
use crate::tensors::column;
use burn::tensor::{Tensor, s};
use vigos_devices::read;

/// Statistics and gradient of checked rows, each under its own divergence. Rows that follow one another under one
/// divergence are computed together.
///
/// # Shapes
/// - `logits`: `[2R, V]`, the student's above the teacher's, without a gradient graph
pub(crate) fn differentiated(
    logits: Tensor<2>,
    rows: &[ActiveRow],
    temperature: f64,
) -> Result<SpanKlRows, SpanKlError> {
    check_logits("stacked logits", &logits)?;
    let precision = logits.dtype();
    let (student, teacher) =
        (logits.clone().slice(s![0..rows.len(), ..]), logits.slice(s![rows.len().., ..]));
    let agrees = agreement(student.clone(), teacher.clone());
    let (student, teacher) =
        (log_probabilities(student, temperature), log_probabilities(teacher, temperature));
    let (mut kl, mut slopes) = (Vec::with_capacity(rows.len()), Vec::new());
    // Equal here are the value's place and its functions, so equal ones compute the same; a divergence that is there
    // twice counts as two, whose rows are computed one part after the other.
    for run in rows.chunk_by(|a, b| std::ptr::eq(a.divergence, b.divergence)) {
        let part = s![kl.len()..kl.len() + run.len(), ..];
        let found = Run { divergence: run[0].divergence, rows: run }
            .compute(student.clone().slice(part), teacher.clone().slice(part))?;
        kl.extend(found.kl);
        slopes.push(found.slope);
    }
    let rows_of = statistics(&kl, student, teacher, agrees)?;
    let loss = rows.iter().zip(&rows_of).map(|(row, found)| row.counts(found.kl)).sum();
    let gradient = (Tensor::cat(slopes, 0) / temperature).cast(precision);
    Ok(SpanKlRows { loss, rows: rows_of, gradient })
}

/// Neighbouring rows under one divergence.
struct Run<'a> {
    divergence: &'a dyn Divergence,
    rows: &'a [ActiveRow<'a>],
}

/// What a run gives.
struct Found {
    /// Unclipped divergences.
    kl: Vec<f32>,
    /// `[R, V]`, the loss's derivative with respect to the student's logits over the temperature.
    slope: Tensor<2>,
}

impl Run<'_> {
    /// # Shapes
    /// - `student`, `teacher`: `[R, V]` log-probabilities
    fn compute(&self, student: Tensor<2>, teacher: Tensor<2>) -> Result<Found, SpanKlError> {
        let leaf = Tensor::from_inner(student.clone()).require_grad();
        let rows = self.divergence.rows(leaf.clone(), Tensor::from_inner(teacher));
        if rows.dims() != [self.rows.len()] {
            let found = format!("{} values for {} rows", rows.dims()[0], self.rows.len());
            return Err(self.refused(found, "one for each row"));
        }
        let kl: Vec<f32> = read(rows.clone().inner())?;
        let weights: Vec<f32> = self.rows.iter().zip(&kl).map(|(row, kl)| weight(row, *kl)).collect();
        if weights.iter().all(|weight| *weight == 0.0) {
            return Ok(Found { kl, slope: student.zeros_like() });
        }
        let without =
            || self.refused("no derivative".to_owned(), "a value made from the student's probabilities");
        if !rows.is_tracked() {
            return Err(without());
        }
        let weighed = column(weights.clone(), &student.device());
        let upstream = Tensor::from_inner(weighed.clone().squeeze_dim(1));
        let slope = leaf.grad(&(rows * upstream).sum().backward()).ok_or_else(without)?;
        // Zero times what is no number would be none either.
        let slope = slope.mask_fill(weighed.equal_elem(0.0).expand(student.dims()), 0.0);
        // Through the softmax.
        let slope = slope.clone() - student.exp() * slope.sum_dim(1);
        let sizes: Vec<f32> = read(slope.clone().abs().sum_dim(1))?;
        if let Some(at) = sizes.iter().position(|size| !size.is_finite()) {
            let found = format!("a derivative that is no number at student row {}", self.rows[at].student);
            return Err(self.refused(found, "a finite one wherever the divergence is finite"));
        }
        Ok(Found { kl, slope })
    }

    fn refused(&self, found: String, wanted: &'static str) -> SpanKlError {
        SpanKlError::Divergence { name: self.divergence.name().to_owned(), found, wanted }
    }
}

/// What a row's gradient is multiplied with: zero where it is clipped or has none.
fn weight(row: &ActiveRow, kl: f32) -> f32 {
    let passes = kl.is_finite() && !row.clips(f64::from(kl));
    if passes { row.weight as f32 } else { 0.0 }
}
