//! The losses of rows of logits, against separate operators under autodiff: value and gradient together.

use super::bench::Bench;
use super::case::{Case, Pass, moving};
use burn::tensor::Tensor;
use burn::tensor::activation::log_softmax;
use vigos_kernels::{Direction, Divergence, RowLoss, SpanKlError, span_kl};

pub(super) fn measure(bench: &mut Bench) -> Result<(), SpanKlError> {
    // As many logits as half of the rows have: those of a completion.
    let (rows, vocabulary) = (bench.sizes.rows.get().div_ceil(2), bench.sizes.vocabulary.get());
    let student = bench.random(rows, vocabulary);
    let teacher = student.clone() + bench.random(rows, vocabulary) * 0.3;
    for (name, direction) in [("loss_forward", Direction::Forward), ("loss_reverse", Direction::Reverse)] {
        let losses = vec![RowLoss { direction, weight: 1.0, clip: None }; rows];
        // Both are read twice, and the gradient is written.
        let case = Case {
            name,
            pass: Pass::Backward,
            shape: vec![rows, vocabulary],
            dtype: "f32",
            work: moving(3 * rows * vocabulary),
        };
        let mut failure = None;
        bench.compare(
            case,
            || {
                let found = span_kl(student.clone(), teacher.clone(), &losses, 1.0);
                found.map_err(|error| failure = Some(error)).ok()
            },
            || composed(&student, &teacher, direction.divergence()),
        );
        failure.map_or(Ok(()), Err)?;
    }
    Ok(())
}

/// The gradient by autodiff.
fn composed(student: &Tensor<2>, teacher: &Tensor<2>, divergence: &dyn Divergence) -> Option<Tensor<2>> {
    let leaf = Tensor::from_inner(student.clone()).require_grad();
    let teacher = Tensor::from_inner(log_softmax(teacher.clone(), 1));
    let loss = divergence.rows(log_softmax(leaf.clone(), 1), teacher).sum();
    leaf.grad(&loss.backward())
}
