//! Input without a span KL is a typed error that names what was found and wanted.

use burn::tensor::{DType, Device, Tensor};
use std::num::NonZeroUsize;
use vigos_kernels::{
    ActiveRow, Direction, Divergence, Divergences, ForwardKl, RowLoss, SpanKlError, divergence_linear,
    span_kl, span_kl_loss, span_kl_reference, span_kl_stacked,
};

const ROW: RowLoss = RowLoss { direction: Direction::Forward, weight: 1.0, clip: None };

fn zeros(shape: [usize; 2], dtype: DType) -> Tensor<2> {
    Tensor::zeros(shape, (&Device::flex(), dtype))
}

fn logits(rows: usize, columns: usize) -> Tensor<2> {
    zeros([rows, columns], DType::F32)
}

fn refused(student: Tensor<2>, teacher: Tensor<2>, rows: &[RowLoss], temperature: f64) -> SpanKlError {
    let error = span_kl(student.clone(), teacher.clone(), rows, temperature).unwrap_err();
    let reference = span_kl_reference(student.clone(), teacher.clone(), rows, temperature).unwrap_err();
    let tracked = Tensor::from_inner(student).require_grad();
    let loss = span_kl_loss(tracked, Tensor::from_inner(teacher), rows, temperature).unwrap_err();
    assert_eq!((&reference.to_string(), &loss.to_string()), (&error.to_string(), &error.to_string()));
    error
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let error = refused(logits(2, 5), logits(2, 6), &[ROW; 2], 1.0);
    assert_eq!(error.to_string(), "teacher logits: found shape [2, 6], wanted [2, 5] as the student's");
    let error = refused(logits(2, 5), logits(2, 5), &[ROW; 3], 1.0);
    assert_eq!(error, SpanKlError::RowCount { rows: 3, logits: 2 });
    let error = refused(logits(2, 0), logits(2, 0), &[ROW; 2], 1.0);
    assert!(matches!(error, SpanKlError::Shape { found: [2, 0], .. }), "{error}");
    for rows in [1, 3] {
        let error = span_kl_stacked(logits(rows, 5), &[ROW], 1.0).unwrap_err();
        assert!(matches!(error, SpanKlError::Shape { name: "stacked logits", .. }), "{error}");
    }
}

#[test]
fn precisions_that_differ_or_are_not_read_are_refused() {
    let error = refused(logits(1, 5), zeros([1, 5], DType::BF16), &[ROW], 1.0);
    assert_eq!(error.to_string(), "teacher logits: found precision BF16, wanted F32 as the student");
    let wide = || zeros([1, 5], DType::F64);
    let error = refused(wide(), wide(), &[ROW], 1.0);
    assert!(matches!(error, SpanKlError::Precision { found: DType::F64, .. }), "{error}");
}

#[test]
fn a_temperature_that_cannot_divide_is_refused() {
    for temperature in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-60, 1e60] {
        let error = refused(logits(1, 5), logits(1, 5), &[ROW], temperature);
        assert!(matches!(error, SpanKlError::Temperature { .. }), "{temperature}: {error}");
    }
}

#[test]
fn weights_and_clips_below_zero_and_no_numbers_are_refused() {
    for weight in [-1.0, f64::NAN, f64::INFINITY, 1e60] {
        let error = refused(logits(2, 5), logits(2, 5), &[ROW, RowLoss { weight, ..ROW }], 1.0);
        assert!(matches!(error, SpanKlError::Row { row: 1, field: "weight", .. }), "{weight}: {error}");
    }
    for clip in [-0.5, f64::NAN] {
        let rows = [RowLoss { clip: Some(clip), ..ROW }];
        let error = refused(logits(1, 5), logits(1, 5), &rows, 1.0);
        assert!(matches!(error, SpanKlError::Row { row: 0, field: "clip", .. }), "{clip}: {error}");
    }
}

fn active(student: usize, teacher: usize) -> ActiveRow<'static> {
    ActiveRow { student, teacher, divergence: &ForwardKl, weight: 1.0, clip: None }
}

#[test]
fn rows_that_are_not_there_are_refused_by_number() {
    let at = |rows: &[ActiveRow]| {
        divergence_linear(&logits(3, 4), &logits(2, 4), &logits(9, 4), rows, 1.0, NonZeroUsize::MIN)
            .unwrap_err()
    };
    let error = at(&[active(2, 1), active(3, 0)]);
    assert_eq!(error.to_string(), "active row 1: found student row 3, wanted one below 3");
    let error = at(&[active(0, 2)]);
    assert_eq!(error.to_string(), "active row 0: found teacher row 2, wanted one below 2");
}

#[test]
fn hidden_states_and_a_head_that_do_not_fit_are_refused() {
    let with = |teacher: Tensor<2>, head: Tensor<2>| {
        divergence_linear(&logits(3, 4), &teacher, &head, &[active(0, 0)], 1.0, NonZeroUsize::MIN)
            .unwrap_err()
    };
    let error = with(logits(3, 5), logits(9, 4));
    assert!(matches!(error, SpanKlError::Shape { name: "teacher", found: [3, 5], .. }), "{error}");
    let error = with(logits(3, 4), logits(9, 5));
    assert!(matches!(error, SpanKlError::Shape { name: "head", found: [9, 5], .. }), "{error}");
    let error = with(zeros([3, 4], DType::F16), logits(9, 4));
    assert!(matches!(error, SpanKlError::Precision { name: "teacher", .. }), "{error}");
}

#[test]
fn terms_of_any_active_row_are_refused_by_its_number() {
    let at = |row: ActiveRow, temperature| {
        let rows = [active(0, 0), active(1, 1), row];
        let hidden = logits(3, 4);
        divergence_linear(&hidden, &hidden, &logits(9, 4), &rows, temperature, NonZeroUsize::MIN).unwrap_err()
    };
    let error = at(ActiveRow { weight: -1.0, ..active(2, 2) }, 1.0);
    assert!(matches!(error, SpanKlError::Row { row: 2, field: "weight", .. }), "{error}");
    let error = at(ActiveRow { clip: Some(f64::NAN), ..active(2, 2) }, 1.0);
    assert!(matches!(error, SpanKlError::Row { row: 2, field: "clip", .. }), "{error}");
    assert!(matches!(at(active(2, 2), 0.0), SpanKlError::Temperature { .. }));
}

/// A divergence that is whatever a function of the log-probabilities gives.
struct Any(fn(Tensor<2>, Tensor<2>) -> Tensor<1>);

impl std::fmt::Debug for Any {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("Any")
    }
}

impl Divergence for Any {
    fn name(&self) -> &str {
        "any"
    }

    fn rows(&self, student: Tensor<2>, teacher: Tensor<2>) -> Tensor<1> {
        (self.0)(student, teacher)
    }
}

#[test]
fn a_divergence_that_gives_what_is_none_is_refused_by_name() {
    let at = |rows: fn(Tensor<2>, Tensor<2>) -> Tensor<1>| {
        let divergence = Any(rows);
        let row = |i| ActiveRow { divergence: &divergence, ..active(i, i) };
        let (hidden, head) = (logits(2, 4), logits(9, 4));
        divergence_linear(&hidden, &hidden, &head, &[row(0), row(1)], 1.0, NonZeroUsize::MAX).unwrap_err()
    };
    let error = at(|student, _| student.sum_dim(0).squeeze_dim(0));
    let wanted = "divergence \"any\": found 9 values for 2 rows, wanted one for each row";
    assert_eq!(error.to_string(), wanted);
    for constant in [
        (|_, teacher| teacher.sum_dim(1).squeeze_dim(1)) as fn(Tensor<2>, Tensor<2>) -> Tensor<1>,
        |student, _| student.detach().sum_dim(1).squeeze_dim(1),
        |student, _| student.inner().sum_dim(1).squeeze_dim(1),
    ] {
        let error = at(constant).to_string();
        assert!(error.starts_with("divergence \"any\": found no derivative"), "{error}");
    }
    // A root has no derivative at zero, where both models are the same.
    let error = at(|student, teacher| (student - teacher).powi_scalar(2).sum_dim(1).sqrt().squeeze_dim(1));
    assert!(error.to_string().contains("found a derivative that is no number at student row 0"), "{error}");
}

#[test]
fn an_unknown_divergence_is_refused_with_the_names_that_there_are() {
    let divergences = Divergences::default().with(Any(|student, _| student.sum_dim(1).squeeze_dim(1)));
    assert_eq!(divergences.get("any").unwrap().fused(), None);
    assert_eq!(divergences.get("forward").unwrap().fused(), Some(Direction::Forward));
    assert_eq!(divergences.get("reverse").unwrap().fused(), Some(Direction::Reverse));
    let error = divergences.get("jeffreys").unwrap_err();
    assert_eq!(error.to_string(), "found no divergence \"jeffreys\", wanted one of any, forward, reverse");
}

#[cfg(feature = "wgpu")]
#[test]
fn tensors_on_two_devices_are_refused() {
    let elsewhere = Device::wgpu(burn::tensor::DeviceKind::DefaultDevice);
    let teacher = Tensor::zeros([1, 5], (&elsewhere, DType::F32));
    let error = span_kl(logits(1, 5), teacher, &[ROW], 1.0).unwrap_err();
    assert!(matches!(error, SpanKlError::Device { name: "teacher logits", .. }), "{error}");
}
