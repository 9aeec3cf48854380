//! What is measured, and the least that it takes.

/// What is measured.
pub(super) struct Case {
    pub(super) name: &'static str,
    pub(super) pass: Pass,
    pub(super) shape: Vec<usize>,
    pub(super) dtype: &'static str,
    pub(super) work: Work,
}

/// The least that any implementation does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work {
    /// Multiplications and additions.
    pub(super) operations: f64,
    /// Bytes read and written.
    pub(super) bytes: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    Forward,
    Backward,
}

/// What moves this many values of f32 and does nothing worth counting.
pub(super) fn moving(values: usize) -> Work {
    Work { operations: 0.0, bytes: 4.0 * values as f64 }
}
