//! The dropout mask: a fair coin for every value, decided by its key alone.

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use vigos_models::Dropout;

const SEED: u64 = 42;

fn ones(rows: usize, columns: usize) -> Tensor<2> {
    Tensor::ones([rows, columns], (&Device::flex(), DType::F32))
}

/// Dropout at `step` for rows 0.. of one sample.
fn dropout(probability: f64, step: u64, rows: usize) -> Dropout {
    Dropout::new(probability, SEED, step, (0..rows as u64).map(|p| (3, p)), &Device::flex())
}

/// Which values are kept, row by row.
fn mask(dropout: &Dropout, rows: usize, columns: usize, site: u64) -> Vec<Vec<bool>> {
    let values: Vec<f32> = dropout.apply(ones(rows, columns), site).try_into_vec_as().unwrap();
    values.chunks(columns).map(|row| row.iter().map(|v| *v != 0.0).collect()).collect()
}

/// Standard errors by which the share of `true` differs from `probability`.
fn sigmas(kept: usize, of: usize, probability: f64) -> f64 {
    let n = of as f64;
    (kept as f64 - n * probability) / (n * probability * (1.0 - probability)).sqrt()
}

fn count(values: impl IntoIterator<Item = bool>) -> usize {
    values.into_iter().filter(|v| *v).count()
}

fn columns_of(mask: &[Vec<bool>]) -> Vec<Vec<bool>> {
    (0..mask[0].len()).map(|c| mask.iter().map(|row| row[c]).collect()).collect()
}

/// Correlation of two masks in standard errors.
fn correlation<'a>(
    a: impl IntoIterator<Item = &'a bool>,
    b: impl IntoIterator<Item = &'a bool>,
    keep: f64,
) -> f64 {
    let scaled = |v: &bool| (f64::from(u8::from(*v)) - keep) / (keep * (1.0 - keep)).sqrt();
    let (sum, n) =
        a.into_iter().zip(b).fold((0.0, 0.0), |(s, n), (a, b)| (s + scaled(a) * scaled(b), n + 1.0));
    sum / f64::sqrt(n)
}

#[test]
fn values_are_kept_at_the_rate_asked_for() {
    for p in [0.05, 0.5] {
        for (step, site) in [(0, 0), (1, 0), (0, 1), (7, 38), (3, (1 << 32) + 21)] {
            let mask = mask(&dropout(p, step, 512), 512, 300, site);
            let kept = count(mask.iter().flatten().copied());
            let off = sigmas(kept, 512 * 300, 1.0 - p);
            assert!(off.abs() < 5.0, "p {p}, step {step}, site {site}: {off:.1} standard errors");
        }
    }
}

#[test]
fn every_row_and_every_column_is_kept_at_that_rate() {
    for p in [0.05, 0.5] {
        let mask = mask(&dropout(p, 2, 512), 512, 512, 5);
        for (what, lines) in [("row", columns_of(&mask)), ("column", mask)] {
            let off: Vec<f64> =
                lines.iter().map(|line| sigmas(count(line.iter().copied()), line.len(), 1.0 - p)).collect();
            let worst = off.iter().fold(0.0f64, |w, o| w.max(o.abs()));
            assert!(worst < 5.0, "p {p}: a {what} is off by {worst:.1} standard errors");
            // The squares of 512 standard errors: mean 1, give or take five of √(2/512).
            let mean = off.iter().map(|o| o * o).sum::<f64>() / 512.0;
            assert!((mean - 1.0).abs() < 0.32, "p {p}: variance of the {what}s {mean:.2}");
        }
    }
}

#[test]
fn neighbouring_rows_columns_sites_steps_and_samples_are_uncorrelated() {
    let keep = |p: f64| 1.0 - p;
    for p in [0.05, 0.5] {
        let first = mask(&dropout(p, 2, 400), 400, 400, 5);
        let columns = columns_of(&first);
        for lines in [&first, &columns] {
            let (these, next) = (lines[..399].iter().flatten(), lines[1..].iter().flatten());
            let off = correlation(these, next, keep(p));
            assert!(off.abs() < 5.0, "p {p}: neighbours are correlated by {off:.1} standard errors");
        }
        let other_sample = Dropout::new(p, SEED, 2, (0..400).map(|r| (4, r)), &Device::flex());
        for (what, other) in [
            ("site", mask(&dropout(p, 2, 400), 400, 400, 6)),
            ("step", mask(&dropout(p, 3, 400), 400, 400, 5)),
            ("sample", mask(&other_sample, 400, 400, 5)),
        ] {
            let off = correlation(first.iter().flatten(), other.iter().flatten(), keep(p));
            assert!(off.abs() < 5.0, "p {p}: the next {what} is correlated by {off:.1} standard errors");
        }
    }
}

#[test]
fn no_two_rows_and_no_two_columns_share_their_masks() {
    const N: usize = 256;
    for p in [0.05, 0.5] {
        let mask = mask(&dropout(p, 1, N), N, 2048, 3);
        let narrow: Vec<Vec<bool>> = columns_of(&self::mask(&dropout(p, 1, 2048), 2048, N, 3));
        for (what, lines) in [("rows", mask), ("columns", narrow)] {
            let (mut worst, mut squares, mut pairs) = (0.0f64, 0.0, 0.0);
            for i in 0..N {
                for j in 0..i {
                    let off = correlation(&lines[i], &lines[j], 1.0 - p);
                    worst = worst.max(off.abs());
                    squares += off * off;
                    pairs += 1.0;
                }
            }
            // Of 32,640 pairs none is far out, and together they scatter as independent coins do.
            assert!(worst < 6.0, "p {p}: two {what} are correlated by {worst:.1} standard errors");
            let mean: f64 = squares / pairs;
            assert!((mean - 1.0).abs() < 0.05, "p {p}: mean squared correlation of {what} {mean:.3}");
        }
    }
}

#[test]
fn the_mask_is_a_function_of_seed_step_sample_position_and_site() {
    let at = |seed, step, sample, position, site| {
        let dropout = Dropout::new(0.5, seed, step, [(sample, position)], &Device::flex());
        mask(&dropout, 1, 256, site)
    };
    let base = at(1, 2, 3, 4, 5);
    assert_eq!(at(1, 2, 3, 4, 5), base);
    for (what, other) in [
        ("seed", at(9, 2, 3, 4, 5)),
        ("step", at(1, 9, 3, 4, 5)),
        ("sample", at(1, 2, 9, 4, 5)),
        ("position", at(1, 2, 3, 9, 5)),
        ("site", at(1, 2, 3, 4, 9)),
    ] {
        assert_ne!(other, base, "another {what}");
    }
}

#[test]
fn the_mask_of_a_row_does_not_depend_on_the_rows_beside_it() {
    let rows = [(0, 0), (0, 1), (7, 0), (7, 1), (7, 2), (1, 900)];
    let whole = mask(&Dropout::new(0.3, SEED, 1, rows, &Device::flex()), 6, 100, 8);
    for (i, row) in rows.into_iter().enumerate() {
        let alone = mask(&Dropout::new(0.3, SEED, 1, [row], &Device::flex()), 1, 100, 8);
        assert_eq!(alone[0], whole[i], "row {i} alone");
    }
    let turned = mask(&Dropout::new(0.3, SEED, 1, rows.into_iter().rev(), &Device::flex()), 6, 100, 8);
    assert!(turned.iter().eq(whole.iter().rev()));
    let order =
        Tensor::<1, Int>::from_data(TensorData::from([5i32, 4, 3, 2, 1, 0]), (&Device::flex(), DType::I32));
    let permuted = Dropout::new(0.3, SEED, 1, rows, &Device::flex()).permuted(&order);
    assert_eq!(mask(&permuted, 6, 100, 8), turned);
}

#[test]
fn kept_values_are_scaled_so_that_the_mean_stays() {
    for p in [0.05, 0.5] {
        let n = 512 * 300;
        let values: Vec<f32> = dropout(p, 4, 512).apply(ones(512, 300) * 3.0, 9).try_into_vec_as().unwrap();
        assert!(values.iter().all(|v| *v == 0.0 || (f64::from(*v) - 3.0 / (1.0 - p)).abs() < 1e-5));
        let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / f64::from(n);
        let error = 3.0 * (p / (1.0 - p) / f64::from(n)).sqrt();
        assert!((mean - 3.0).abs() < 5.0 * error, "p {p}: mean {mean}");
    }
}

#[test]
fn without_probability_nothing_changes_and_half_precision_has_the_same_mask() {
    let values: Vec<f32> = (0..600).map(|i| (i as f32).sin()).collect();
    let x = Tensor::<2>::from_data(TensorData::new(values.clone(), [20, 30]), (&Device::flex(), DType::F32));
    let same: Vec<f32> = dropout(0.0, 1, 20).apply(x, 4).try_into_vec_as().unwrap();
    assert_eq!(same, values);

    let half = dropout(0.5, 1, 20).apply(ones(20, 30).cast(DType::BF16), 4);
    assert_eq!(half.dtype(), DType::BF16);
    let half: Vec<f32> = half.cast(DType::F32).try_into_vec_as().unwrap();
    let kept: Vec<bool> = half.iter().map(|v| *v != 0.0).collect();
    assert_eq!(kept, mask(&dropout(0.5, 1, 20), 20, 30, 4).concat());
}
