//! Drawn numbers, to a device and back, and how far what comes back is from what it should be.

use crate::host::Matrix;
use burn::tensor::{DType, Device, Tensor, TensorData};
use vigos_core::random::{Draws, Key, Purpose, draws};

/// Standard normal numbers that f32 holds, the same on every machine.
pub(crate) fn drawn(stream: u64, rows: usize, columns: usize) -> Matrix {
    let mut draws = stream_of(stream);
    Matrix::of(rows, columns, (0..rows * columns).map(|_| f64::from(draws.normal() as f32)))
}

/// The same rounded to bf16, whose values are those of f32 with the last 16 bits zero.
pub(crate) fn halved(matrix: &Matrix) -> Matrix {
    let round = |value: &f64| {
        let bits = (*value as f32).to_bits();
        // To the nearest, and to even between two.
        let up = 0x7fff + (bits >> 16 & 1);
        f64::from(f32::from_bits(bits.wrapping_add(up) & 0xffff_0000))
    };
    Matrix::of(matrix.rows, matrix.columns, matrix.values.iter().map(round))
}

pub(crate) fn stream_of(stream: u64) -> Draws {
    draws(Purpose::Initialisation, Key { sample: stream, ..Key::default() })
}

/// On a device, in f32.
pub(crate) fn upload(matrix: &Matrix, device: &Device) -> Tensor<2> {
    upload_as(matrix, device, DType::F32)
}

pub(crate) fn upload_as(matrix: &Matrix, device: &Device, dtype: DType) -> Tensor<2> {
    let values: Vec<f32> = matrix.values.iter().map(|value| *value as f32).collect();
    let data = TensorData::new(values, [matrix.rows, matrix.columns]);
    Tensor::<2>::from_data(data, (device, DType::F32)).cast(dtype)
}

/// From a device.
///
/// # Errors
/// If the device fails.
pub(crate) fn download(tensor: Tensor<2>) -> Result<Matrix, String> {
    let [rows, columns] = tensor.dims();
    let values: Vec<f32> = tensor.cast(DType::F32).try_into_vec_as().map_err(|error| error.to_string())?;
    Ok(Matrix::of(rows, columns, values.into_iter().map(f64::from)))
}

/// Largest difference over largest value; not finite where a number is missing or not finite.
pub(crate) fn relative_error(found: &[f64], wanted: &[f64]) -> f64 {
    let scale = wanted.iter().fold(f64::MIN_POSITIVE, |max, value| max.max(value.abs()));
    if found.len() != wanted.len() || found.iter().any(|value| !value.is_finite()) {
        return f64::INFINITY;
    }
    found.iter().zip(wanted).map(|(f, w)| (f - w).abs()).fold(0.0, f64::max) / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_relative_to_the_largest_value_and_missing_numbers_are_no_error_at_all() {
        assert_eq!(relative_error(&[1.0, 9.0], &[1.0, 10.0]), 0.1);
        for found in [&[1.0][..], &[1.0, f64::NAN], &[f64::INFINITY, 1.0]] {
            assert_eq!(relative_error(found, &[1.0, 1.0]), f64::INFINITY);
        }
    }

    #[test]
    fn rounding_to_bf16_keeps_eight_bits_and_goes_to_the_nearest() {
        let rounded = halved(&Matrix::of(1, 4, [1.0, 1.0 + 1.0 / 256.0, 1.0 + 3.0 / 256.0, -0.3]));
        assert_eq!(rounded.values[..3], [1.0, 1.0, 1.015_625]);
        assert!((rounded.values[3] + 0.3).abs() < 0.3 / 256.0 && rounded.values[3] != -0.3);
    }
}
