//! The loss: divergences of rows of logits by the device's own kernel, and from hidden states.

use super::bench::{Cases, PRODUCTS};
use crate::check::Bounds;
use crate::host::{self, Matrix};
use crate::numbers::{download, drawn, relative_error, upload};
use std::num::NonZeroUsize;
use vigos_kernels::{ActiveRow, Direction, RowLoss};

/// Sums over a vocabulary, of which a small divergence is the difference.
const LONG_SUMS: Bounds = Bounds { exact: 1e-4, reduced: 1e-4 };
const TEMPERATURE: f64 = 1.5;
/// A few rows of logits that a real head gives.
const LOGITS: [usize; 2] = [8, 32_003];
/// From hidden states: rows, width, vocabulary.
const ROWS: usize = 24;
const WIDTH: usize = 64;
const VOCABULARY: usize = 1_000;
/// Two chunks.
const CHUNK: NonZeroUsize = NonZeroUsize::new(ROWS / 2).unwrap();

pub(super) fn check(cases: &mut Cases) {
    let (own, device) = (cases.own, cases.device);
    let [rows, vocabulary] = LOGITS;
    let student = drawn(40, rows, vocabulary);
    let near = student.with(&drawn(41, rows, vocabulary), |s, d| f64::from((s + 0.3 * d) as f32));
    cases.check("loss of logits", LONG_SUMS, || {
        let losses: Vec<RowLoss> =
            (0..rows).map(|row| RowLoss { direction: direction(row), weight: 1.0, clip: None }).collect();
        let (student_there, teacher_there) = (upload(&student, device), upload(&near, device));
        let found = own
            .span_kl(student_there, teacher_there, &losses, TEMPERATURE)
            .map_err(|error| error.to_string())?;
        let kl: Vec<f64> = found.rows.iter().map(|row| row.kl).collect();
        let (wanted_kl, wanted) = divergences(&student, &near);
        let gradient = download(found.gradient)?;
        Ok(relative_error(&kl, &wanted_kl).max(relative_error(&gradient.values, &wanted.values)))
    });
    let (student, teacher) = (drawn(42, ROWS, WIDTH), drawn(43, ROWS, WIDTH));
    let head = drawn(44, VOCABULARY, WIDTH);
    let head = Matrix::of(VOCABULARY, WIDTH, head.values.iter().map(|value| value / 8.0));
    cases.check("loss of hidden states", PRODUCTS, || {
        let active: Vec<ActiveRow> = (0..ROWS)
            .map(|row| {
                let divergence = direction(row).divergence();
                ActiveRow { student: row, teacher: row, divergence, weight: 1.0, clip: None }
            })
            .collect();
        let [s, t, h] = [&student, &teacher, &head].map(|matrix| upload(matrix, device));
        let found = own.loss(&s, &t, &h, &active, TEMPERATURE, CHUNK).map_err(|error| error.to_string())?;
        let [s, t] = [&student, &teacher].map(|hidden| host::project(hidden, &head));
        let (wanted_kl, slopes) = divergences(&s, &t);
        let wanted = host::project_back(&slopes, &head);
        let gradient = download(found.gradient)?;
        Ok(relative_error(&found.kl, &wanted_kl).max(relative_error(&gradient.values, &wanted.values)))
    });
}

/// Both directions in turn.
fn direction(row: usize) -> Direction {
    if row.is_multiple_of(2) { Direction::Forward } else { Direction::Reverse }
}

/// Divergences of all rows, and their gradients.
fn divergences(student: &Matrix, teacher: &Matrix) -> (Vec<f64>, Matrix) {
    let rows = (0..student.rows)
        .map(|row| host::divergence(student.row(row), teacher.row(row), direction(row), TEMPERATURE));
    let (kl, slopes): (Vec<f64>, Vec<Vec<f64>>) = rows.unzip();
    (kl, Matrix::of(student.rows, student.columns, slopes.into_iter().flatten()))
}
