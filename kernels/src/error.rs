//! What the operator refuses, and where the device fails it.

use burn::tensor::DType;
use vigos_devices::DeviceError;

/// Input that has no span KL, or a device that did not compute it.
///
/// Values are not looked at: a row of logits that is no distribution is reported in its [`crate::RowStatistics`].
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum SpanKlError {
    /// Two tensors do not fit together.
    #[error("{name}: found shape {found:?}, wanted {wanted}")]
    Shape {
        /// Which tensor.
        name: &'static str,
        /// Its shape.
        found: [usize; 2],
        /// What it has to be.
        wanted: String,
    },
    /// There is not one description for each row of logits.
    #[error("found {rows} rows of the loss for {logits} rows of logits, wanted one each")]
    RowCount {
        /// Descriptions.
        rows: usize,
        /// Rows of logits.
        logits: usize,
    },
    /// The precision is not one of those that logits can have.
    #[error("{name}: found precision {found:?}, wanted {wanted}")]
    Precision {
        /// Which tensor.
        name: &'static str,
        /// Its precision.
        found: DType,
        /// What it has to be.
        wanted: String,
    },
    /// Two tensors are on different devices.
    #[error("{name}: found on {found}, wanted on {wanted} as the student")]
    Device {
        /// Which tensor.
        name: &'static str,
        /// Its device.
        found: String,
        /// The student's device.
        wanted: String,
    },
    /// The temperature divides the logits.
    #[error("temperature: found {found}, wanted a finite number above zero")]
    Temperature {
        /// The value.
        found: f64,
    },
    /// A weight or a clip is no number, or below zero.
    #[error("row {row}, {field}: found {found}, wanted a number of at least zero")]
    Row {
        /// Which row, counted from 0.
        row: usize,
        /// `weight` or `clip`.
        field: &'static str,
        /// The value.
        found: f64,
    },
    /// An active row names a row of hidden states that is not there.
    #[error("active row {row}: found {side} row {found}, wanted one below {count}")]
    OutOfRange {
        /// Which active row, counted from 0.
        row: usize,
        /// `student` or `teacher`.
        side: &'static str,
        /// The row named.
        found: usize,
        /// How many there are.
        count: usize,
    },
    /// A divergence that is not fused gives what is none.
    #[error("divergence {name:?}: found {found}, wanted {wanted}")]
    Divergence {
        /// Its name.
        name: String,
        /// What it gave.
        found: String,
        /// What it has to give.
        wanted: &'static str,
    },
    /// The device failed.
    #[error(transparent)]
    Failed(#[from] DeviceError),
}

impl SpanKlError {
    /// Whether the device was out of memory.
    pub fn is_out_of_memory(&self) -> bool {
        matches!(self, Self::Failed(error) if error.is_out_of_memory())
    }
}

/// A name that no divergence has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("found no divergence {found:?}, wanted one of {}", known.join(", "))]
pub struct UnknownDivergence {
    /// The name.
    pub found: String,
    /// The names that there are.
    pub known: Vec<String>,
}
