//! The highest logits of a row, found by the device.
#![cfg(feature = "wgpu")]

use crate::common::normal;
use burn::tensor::{DType, Device, DeviceKind, Tensor, TensorData};
use vigos_kernels::{Likeliest, likeliest};

fn found(rows: &[Vec<f32>], k: usize) -> Option<Vec<Likeliest>> {
    let shape = [rows.len(), rows[0].len()];
    let device = Device::wgpu(DeviceKind::DefaultDevice);
    let logits = Tensor::<2>::from_data(TensorData::new(rows.concat(), shape), (&device, DType::F32));
    likeliest(&logits, k).unwrap()
}

/// By sorting.
fn wanted(row: &[f32], k: usize) -> Vec<(u32, f32)> {
    let mut sorted: Vec<f32> = row.iter().copied().filter(|x| *x > f32::NEG_INFINITY).collect();
    sorted.sort_by(|a, b| b.total_cmp(a));
    let least = sorted.get(k - 1).copied().unwrap_or(f32::NEG_INFINITY);
    let kept = row.iter().zip(0..).filter(|(x, _)| **x >= least && **x > f32::NEG_INFINITY);
    kept.map(|(x, token)| (token, *x)).collect()
}

#[test]
fn the_highest_logits_are_those_of_a_sorted_row_with_all_that_equal_the_last() {
    let spread = |seed, length, deviation| normal(seed, length, deviation);
    let mut tied = spread(3, 700, 1.0);
    (tied[20], tied[400], tied[699]) = (9.0, 9.0, 9.0);
    let mut masked = vec![f32::NEG_INFINITY; 700];
    (masked[3], masked[500], masked[501]) = (-0.0, 0.0, -7.0);
    let mut far = spread(4, 700, 1e30);
    far[0] = f32::NEG_INFINITY;
    let rows = [spread(1, 700, 3.0), tied, masked, far, vec![-5.0; 700]];
    for k in [1, 2, 20, 256] {
        let found = rows.iter().map(|row| found(std::slice::from_ref(row), k));
        for (number, (row, found)) in rows.iter().zip(found).enumerate() {
            let wanted = wanted(row, k);
            if wanted.len() > k + 12 {
                assert_eq!(found, None, "row {number}, k {k}: too many equal the last");
                continue;
            }
            let [found] = found.unwrap().try_into().unwrap();
            assert_eq!(found.tokens, wanted, "row {number}, k {k}");
            let most = row.iter().fold(f64::MIN, |most, x| most.max(f64::from(*x)));
            let sum: f64 = row.iter().map(|x| (f64::from(*x) - most).exp()).sum();
            let log_sum = most + sum.ln();
            assert!(
                (f64::from(found.log_sum) - log_sum).abs() <= 1e-6 * log_sum.abs().max(1.0),
                "row {number}"
            );
        }
    }
    // Together as alone.
    let both = found(&rows[..2], 20).unwrap();
    assert_eq!(both[1].tokens, wanted(&rows[1], 20));
}

#[test]
fn a_logit_that_is_no_number_is_left_to_the_host() {
    for wrong in [f32::NAN, -f32::NAN, f32::INFINITY] {
        let mut row = normal(5, 300, 1.0);
        row[299] = wrong;
        assert_eq!(found(&[normal(6, 300, 1.0), row], 5), None, "{wrong}");
    }
    assert_eq!(found(&[vec![f32::NEG_INFINITY; 300]], 5), None, "nothing finite");
}
