//! The operators by their formulas, in f64 on the host, written to be read. Nothing of the library's own is in them.

use vigos_kernels::{Direction, Segments};

/// Rows of numbers.
#[derive(Clone, Debug)]
pub(crate) struct Matrix {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) values: Vec<f64>,
}

impl Matrix {
    pub(crate) fn of(rows: usize, columns: usize, values: impl IntoIterator<Item = f64>) -> Self {
        Self { rows, columns, values: values.into_iter().collect() }
    }

    pub(crate) fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.columns..][..self.columns]
    }

    /// Each value and that of another matrix of the same shape.
    pub(crate) fn with(&self, other: &Self, mut both: impl FnMut(f64, f64) -> f64) -> Self {
        let values = self.values.iter().zip(&other.values).map(|(a, b)| both(*a, *b));
        Self::of(self.rows, self.columns, values)
    }

    /// Sum of products, value by value.
    pub(crate) fn dot(&self, other: &Self) -> f64 {
        dot(&self.values, &other.values)
    }
}

pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// `x·Wᵀ`
pub(crate) fn project(x: &Matrix, weight: &Matrix) -> Matrix {
    let rows = (0..x.rows).flat_map(|i| (0..weight.rows).map(move |o| dot(x.row(i), weight.row(o))));
    Matrix::of(x.rows, weight.rows, rows)
}

/// `y·W`
pub(crate) fn project_back(y: &Matrix, weight: &Matrix) -> Matrix {
    let mut values = vec![0.0; y.rows * weight.columns];
    for (i, sum) in values.chunks_mut(weight.columns).enumerate() {
        for (y, line) in y.row(i).iter().zip(weight.values.chunks(weight.columns)) {
            sum.iter_mut().zip(line).for_each(|(sum, w)| *sum += y * w);
        }
    }
    Matrix::of(y.rows, weight.columns, values)
}

/// `x·Wᵀ + scale · x·Aᵀ·Bᵀ`
pub(crate) fn adapted(x: &Matrix, weight: &Matrix, a: &Matrix, b: &Matrix, scale: f64) -> Matrix {
    project(x, weight).with(&project(&project(x, a), b), |y, update| y + scale * update)
}

/// `x / √(mean x² + ε) ⊙ γ`
pub(crate) fn norm(x: &Matrix, scale: &Matrix, epsilon: f64) -> Matrix {
    let rows = (0..x.rows).flat_map(|i| {
        let row = x.row(i);
        let root = (dot(row, row) / x.columns as f64 + epsilon).sqrt();
        row.iter().zip(&scale.values).map(move |(x, g)| x / root * g)
    });
    Matrix::of(x.rows, x.columns, rows)
}

/// `silu(gate) ⊙ up`
pub(crate) fn gated(gate: &Matrix, up: &Matrix) -> Matrix {
    gate.with(up, |gate, up| gate / (1.0 + (-gate).exp()) * up)
}

/// Each head of width `2·angles.columns` turned, a value of its first half with that of its second; row i by `angles[i]`.
pub(crate) fn rotate(x: &Matrix, angles: &Matrix) -> Matrix {
    let half = angles.columns;
    let mut values = x.values.clone();
    for (i, row) in values.chunks_mut(x.columns).enumerate() {
        for head in row.chunks_mut(2 * half) {
            let (left, right) = head.split_at_mut(half);
            for ((left, right), angle) in left.iter_mut().zip(right).zip(angles.row(i)) {
                let (sin, cos) = angle.sin_cos();
                (*left, *right) = (*left * cos - *right * sin, *right * cos + *left * sin);
            }
        }
    }
    Matrix::of(x.rows, x.columns, values)
}

/// `softmax(q·kᵀ / √C)·v` for heads of width `width`; `reads(row)` are the rows that a row reads.
pub(crate) fn attention(
    [query, key, value]: [&Matrix; 3],
    width: usize,
    reads: impl Fn(usize) -> Vec<usize>,
) -> Matrix {
    let (heads, kv_heads) = (query.columns / width, key.columns / width);
    let mut values = Vec::with_capacity(query.values.len());
    for row in 0..query.rows {
        let read = reads(row);
        for head in 0..heads {
            let kv = head / (heads / kv_heads);
            let of = |matrix: &'_ Matrix, row: usize| matrix.row(row)[kv * width..][..width].to_vec();
            let q = &query.row(row)[head * width..][..width];
            let scores: Vec<f64> =
                read.iter().map(|r| dot(q, &of(key, *r)) / (width as f64).sqrt()).collect();
            let weights = softmax(&scores);
            let mut sum = vec![0.0; width];
            for (weight, r) in weights.iter().zip(&read) {
                sum.iter_mut().zip(of(value, *r)).for_each(|(sum, v)| *sum += weight * v);
            }
            values.extend(sum);
        }
    }
    Matrix::of(query.rows, query.columns, values)
}

/// The rows that a row of a packed batch reads.
pub(crate) fn reads(segments: &Segments, row: usize, is_causal: bool) -> Vec<usize> {
    let Some(segment) = segments.iter().find(|segment| segment.rows.contains(&row)) else {
        return Vec::new();
    };
    let end = if is_causal { row + 1 } else { segment.rows.end };
    segment.before.clone().chain(segment.rows.start..end).collect()
}

pub(crate) fn softmax(scores: &[f64]) -> Vec<f64> {
    log_softmax(scores).into_iter().map(f64::exp).collect()
}

fn log_softmax(logits: &[f64]) -> Vec<f64> {
    let max = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let log_sum = max + logits.iter().map(|l| (l - max).exp()).sum::<f64>().ln();
    logits.iter().map(|l| l - log_sum).collect()
}

/// The divergence of a row of logits, and its gradient with respect to the student's.
pub(crate) fn divergence(
    student: &[f64],
    teacher: &[f64],
    direction: Direction,
    temperature: f64,
) -> (f64, Vec<f64>) {
    let cooled = |logits: &[f64]| log_softmax(&logits.iter().map(|l| l / temperature).collect::<Vec<_>>());
    let (log_p, log_q) = (cooled(student), cooled(teacher));
    let terms = || log_p.iter().zip(&log_q);
    let kl: f64 = match direction {
        Direction::Forward => terms().map(|(p, q)| q.exp() * (q - p)).sum(),
        Direction::Reverse => terms().map(|(p, q)| p.exp() * (p - q)).sum(),
    };
    let slope = |(p, q): (&f64, &f64)| match direction {
        Direction::Forward => (p.exp() - q.exp()) / temperature,
        Direction::Reverse => p.exp() * (p - q - kl) / temperature,
    };
    (kl, terms().map(slope).collect())
}
