//! Products against f64, on the vector units and on the matrix unit where the processor has one.
#![allow(clippy::unwrap_used, reason = "tests")]

use half::bf16;
use vigos_products::{Matrix, Threads, has_unit, product, product_with_halves};

/// Rounding of a sum in f32, relative to the sum of its absolute terms.
const ROUNDING: f64 = 1e-6;
/// What is left of a value after two parts in bf16.
const TWO_PARTS: f64 = 1.0 / (1 << 18) as f64;

/// Rows, inner side and columns: around the sizes from which the matrix unit is used, of its tiles, and of what is packed at
/// a time.
const SHAPES: [[usize; 3]; 12] = [
    [1, 1, 1],
    [3, 0, 4],
    [2, 600, 3],
    [33, 130, 47],
    [95, 128, 192],
    [96, 127, 192],
    [96, 128, 191],
    [96, 128, 192],
    [257, 161, 209],
    [130, 1057, 200],
    [97, 130, 4131],
    [4129, 129, 193],
];

/// Numbers between −2 and 2, of many sizes, the same in every run.
fn numbers(seed: u32, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9e37_79b9).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state >> 8) / f64::from(1u32 << 24)
    };
    (0..count).map(|_| ((next() - 0.5) * 4.0 * 2f64.powf(-8.0 * next())) as f32).collect()
}

/// A factor of these sides that lies row by row, or column by column, with some values between the lines.
struct Factor<T> {
    values: Vec<T>,
    shape: [usize; 2],
    is_turned: bool,
}

impl Factor<f32> {
    fn new(seed: u32, shape: [usize; 2], is_turned: bool) -> Self {
        let lines = if is_turned { shape[1] } else { shape[0] };
        let width = if is_turned { shape[0] } else { shape[1] };
        Self { values: numbers(seed, lines * (width + 3)), shape, is_turned }
    }

    fn halves(&self) -> Factor<bf16> {
        let values = self.values.iter().map(|value| bf16::from_f32(*value)).collect();
        Factor { values, shape: self.shape, is_turned: self.is_turned }
    }
}

impl<T: vigos_products::Value + Into<f64>> Factor<T> {
    fn matrix(&self) -> Matrix<'_, T> {
        let [rows, columns] = self.shape;
        match self.is_turned {
            true => Matrix::new(&self.values, [columns, rows], rows + 3).transposed(),
            false => Matrix::new(&self.values, [rows, columns], columns + 3),
        }
    }

    fn at(&self, row: usize, column: usize) -> f64 {
        let [rows, columns] = self.shape;
        let place = if self.is_turned { column * (rows + 3) + row } else { row * (columns + 3) + column };
        self.values[place].into()
    }
}

/// Some values of a product in f64 with the sums of their absolute terms: those of every row's first and last columns, and
/// some between.
fn exact<T: vigos_products::Value + Into<f64>>(
    a: &Factor<f32>,
    b: &Factor<T>,
) -> Vec<([usize; 2], f64, f64)> {
    let ([rows, inner], columns) = (a.shape, b.shape[1]);
    let mut found = Vec::new();
    for row in 0..rows {
        let mut seen: Vec<usize> = (row % 41..columns).step_by(41).collect();
        seen.extend([0, columns - 1]);
        for column in seen {
            let terms = || (0..inner).map(|i| a.at(row, i) * b.at(i, column));
            found.push(([row, column], terms().sum(), terms().map(f64::abs).sum()));
        }
    }
    found
}

#[track_caller]
fn near(
    found: &[f32],
    stride: usize,
    wanted: &[([usize; 2], f64, f64)],
    bound: f64,
    into: (f64, f64),
    what: &str,
) {
    let (before, factor) = into;
    for ([row, column], sum, terms) in wanted {
        let found = f64::from(found[row * stride + column]);
        let wanted = before + factor * sum;
        let bound = bound * (factor.abs() * terms + before.abs());
        assert!((found - wanted).abs() <= bound, "{what}, {row} {column}: found {found}, wanted {wanted}");
    }
}

#[test]
fn a_product_is_that_of_f64_up_to_the_rounding_of_a_sum() {
    for (number, [rows, inner, columns]) in SHAPES.into_iter().enumerate() {
        for turned in [[false, false], [false, true], [true, false], [true, true]] {
            let what = format!("{rows} {inner} {columns} {turned:?}");
            let a = Factor::new(number as u32, [rows, inner], turned[0]);
            let b = Factor::new(100 + number as u32, [inner, columns], turned[1]);
            let wanted = exact(&a, &b);
            for (kept, factor, threads) in [(0.0, 1.0, Threads::All), (0.5, -3.0, Threads::One)] {
                let stride = columns + 2;
                let before = if kept == 0.0 { f32::NAN } else { 7.0 };
                let mut out = vec![before; rows * stride];
                product(&mut out, stride, kept, factor, [a.matrix(), b.matrix()], threads);
                let start = if kept == 0.0 { 0.0 } else { f64::from(kept * before) };
                near(&out, stride, &wanted, ROUNDING, (start, f64::from(factor)), &what);
                let between = out.chunks(stride).flat_map(|row| &row[columns..]);
                assert!(between.into_iter().all(|value| value.to_bits() == before.to_bits()), "{what}");
            }
        }
    }
}

#[test]
fn a_product_with_halves_is_that_of_the_values_that_they_have() {
    for (number, [rows, inner, columns]) in SHAPES.into_iter().enumerate() {
        for turned in [false, true] {
            let what = format!("{rows} {inner} {columns} {turned}");
            let a = Factor::new(number as u32, [rows, inner], false);
            let b = Factor::new(100 + number as u32, [inner, columns], turned).halves();
            let mut out = vec![1.0; rows * columns];
            product_with_halves(&mut out, columns, 1.0, 0.5, a.matrix(), b.matrix(), Threads::All);
            near(&out, columns, &exact(&a, &b), ROUNDING + TWO_PARTS, (1.0, 0.5), &what);
        }
    }
}

#[test]
fn a_row_has_the_same_bits_whatever_the_others_and_the_threads_are() {
    let (rows, inner, columns) = (300, 600, 200);
    let (a, b) = (Factor::new(1, [rows, inner], false), Factor::new(2, [inner, columns], true));
    let of = |first: usize, count: usize, threads| {
        let mut out = vec![0.0; count * columns];
        let a = Matrix::new(&a.values[first * (inner + 3)..], [count, inner], inner + 3);
        product(&mut out, columns, 0.0, 1.0, [a, b.matrix()], threads);
        out
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    let all = pool.install(|| of(0, rows, Threads::All));
    assert_eq!(all, of(0, rows, Threads::One));
    // The vector units' product may add in another order for another height.
    if has_unit() {
        assert_eq!(all[150 * columns..250 * columns], of(150, 100, Threads::One));
    }
}

#[test]
fn values_at_the_ends_of_the_range_are_not_lost_and_what_is_none_stays_none() {
    let (rows, inner, columns) = (100, 130, 200);
    let ones = vec![1.0f32; inner * columns];
    let halves = vec![bf16::ONE; inner * columns];
    let of = |special: f32| {
        let mut a = vec![0.0f32; rows * inner];
        a[7 * inner + 9] = special;
        a[8 * inner] = 1.0;
        let a = Matrix::new(&a, [rows, inner], inner);
        let (mut out, mut of_halves) = (vec![0.0; rows * columns], vec![0.0; rows * columns]);
        product(
            &mut out,
            columns,
            0.0,
            1.0,
            [a, Matrix::new(&ones, [inner, columns], columns)],
            Threads::One,
        );
        let halves = Matrix::new(&halves, [inner, columns], columns);
        product_with_halves(&mut of_halves, columns, 0.0, 1.0, a, halves, Threads::One);
        [out, of_halves]
    };
    for value in [f32::MAX, f32::MIN, f32::MIN_POSITIVE * 65_536.0, -1e-30, 3.4e38] {
        let [out, of_halves] = of(value);
        assert_eq!(out[7 * columns + 5], value);
        if value.abs() == f32::MAX {
            // Two parts of it are rounded up, out of the range.
            continue;
        }
        let off = (f64::from(of_halves[7 * columns + 5]) / f64::from(value) - 1.0).abs();
        assert!(off <= 4.0 * TWO_PARTS, "{value:e}: off by {off:e}");
        assert_eq!((out[8 * columns], of_halves[8 * columns]), (1.0, 1.0), "{value:e}");
    }
    // A NaN whose mark is in the lower half of its bits, too.
    for value in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN, f32::from_bits(0x7f80_0001)] {
        for out in of(value) {
            assert!(!out[7 * columns + 5].is_finite(), "{value}");
            assert_eq!(out[8 * columns], 1.0, "{value}");
        }
    }
}
