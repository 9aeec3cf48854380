//! KL and its gradient for rows of logits, on plain Burn operators: any backend, and the oracle of the tests.

use crate::divergence::{Direction, relative_entropy};
use crate::rows::{RowLoss, RowStatistics, SpanKlRows};
use crate::tensors::column;
use burn::tensor::activation::log_softmax;
use burn::tensor::{DType, Tensor};
use vigos_devices::{DeviceError, read};

/// The divergence of each row, unclipped, and its gradient.
#[derive(Clone, Debug)]
pub struct RowKl {
    /// `[R, 1]`
    pub kl: Tensor<2>,
    /// `[R, V]`, ∂K/∂(student logits)
    pub gradient: Tensor<2>,
}

/// Computes the divergence of each row in f32.
///
/// A token with zero probability under the averaging distribution contributes nothing, also where its logit
/// is −∞ in both; a token that only the other one excludes gives infinity. The gradient of an infinite reverse
/// divergence is zero.
///
/// # Shapes
/// - `student`, `teacher`: `[R, V]` logits, without a gradient graph
pub fn row_kl(student: Tensor<2>, teacher: Tensor<2>, direction: Direction, temperature: f64) -> RowKl {
    let (log_p, log_q) = (log_probabilities(student, temperature), log_probabilities(teacher, temperature));
    divergence(log_p, log_q, direction, temperature)
}

/// Statistics and gradient of checked rows.
pub(crate) fn composed(
    student: Tensor<2>,
    teacher: Tensor<2>,
    rows: &[RowLoss],
    temperature: f64,
) -> Result<SpanKlRows, DeviceError> {
    let (device, precision) = (student.device(), student.dtype());
    let agrees = agreement(student.clone(), teacher.clone());
    let (log_p, log_q) = (log_probabilities(student, temperature), log_probabilities(teacher, temperature));
    let reverse = |row: &RowLoss| row.direction == Direction::Reverse;
    let of = |direction| divergence(log_p.clone(), log_q.clone(), direction, temperature);
    let RowKl { kl, gradient } = if rows.iter().all(reverse) {
        of(Direction::Reverse)
    } else if !rows.iter().any(reverse) {
        of(Direction::Forward)
    } else {
        let chosen = column(rows.iter().map(|row| f32::from(u8::from(reverse(row)))).collect(), &device);
        let chosen = chosen.greater_elem(0.0);
        let (forward, reverse) = (of(Direction::Forward), of(Direction::Reverse));
        let wide = chosen.clone().expand(forward.gradient.dims());
        RowKl {
            kl: forward.kl.mask_where(chosen, reverse.kl),
            gradient: forward.gradient.mask_where(wide, reverse.gradient),
        }
    };
    let statistics = statistics(&read::<f32, 2, _>(kl)?, log_p, log_q, agrees)?;
    let passes = |(row, found): (&RowLoss, &RowStatistics)| !row.clips(found.kl) && !found.kl.is_nan();
    let weights: Vec<f32> = rows
        .iter()
        .zip(&statistics)
        .map(|pair| if passes(pair) { pair.0.weight as f32 } else { 0.0 })
        .collect();
    let weights = column(weights, &device);
    // Zero times what is no number would be none either.
    let stopped = weights.clone().equal_elem(0.0).expand(gradient.dims());
    let gradient = (gradient * weights).mask_fill(stopped, 0.0).cast(precision);
    let loss = rows.iter().zip(&statistics).map(|(row, found)| row.counts(found.kl)).sum();
    Ok(SpanKlRows { loss, rows: statistics, gradient })
}

/// What is known of each row, given its divergence and whether both sides agree, `[R, 1]`.
pub(crate) fn statistics(
    kl: &[f32],
    student: Tensor<2>,
    teacher: Tensor<2>,
    agrees: Tensor<2>,
) -> Result<Vec<RowStatistics>, DeviceError> {
    let (student, teacher) = (read::<f32, 2, _>(entropy(student))?, read::<f32, 2, _>(entropy(teacher))?);
    let agrees = read::<f32, 2, _>(agrees)?;
    let rows = kl
        .iter()
        .zip(&student)
        .zip(teacher.iter().zip(&agrees))
        .map(|((kl, student), (teacher, agrees))| RowStatistics {
            kl: f64::from(*kl),
            student_entropy: f64::from(*student),
            teacher_entropy: f64::from(*teacher),
            agrees: *agrees != 0.0,
        })
        .collect();
    Ok(rows)
}

/// One where both have their largest logit at the same token, otherwise zero. `[R, 1]`
pub(crate) fn agreement(student: Tensor<2>, teacher: Tensor<2>) -> Tensor<2> {
    let zeros = column(vec![0.0; student.dims()[0]], &student.device());
    zeros.mask_fill(student.argmax(1).equal(teacher.argmax(1)), 1.0)
}

/// Log-probabilities at a temperature, in f32.
pub(crate) fn log_probabilities(logits: Tensor<2>, temperature: f64) -> Tensor<2> {
    log_softmax(logits.cast(DType::F32) / temperature, 1)
}

fn divergence(log_p: Tensor<2>, log_q: Tensor<2>, direction: Direction, temperature: f64) -> RowKl {
    match direction {
        Direction::Forward => {
            let kl = relative_entropy(log_q.clone(), log_p.clone());
            RowKl { kl, gradient: (log_p.exp() - log_q.exp()) / temperature }
        }
        Direction::Reverse => {
            let kl = relative_entropy(log_p.clone(), log_q.clone());
            let p = log_p.clone().exp();
            let excluded = p.clone().equal_elem(0.0);
            let excluded = excluded.bool_or(kl.clone().equal_elem(f32::INFINITY).expand(p.dims()));
            let gradient = (p * (log_p - log_q - kl.clone())).mask_fill(excluded, 0.0) / temperature;
            RowKl { kl, gradient }
        }
    }
}

/// Entropy of each row, `[R, 1]`.
fn entropy(log_probabilities: Tensor<2>) -> Tensor<2> {
    let probabilities = log_probabilities.clone().exp();
    let excluded = probabilities.clone().equal_elem(0.0);
    -(probabilities * log_probabilities).mask_fill(excluded, 0.0).sum_dim(1)
}
