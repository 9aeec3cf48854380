//! What stands between a model's products, on every backend that this build can test: values and gradients against the same
//! formulas in f64 on the CPU, whose gradients are Burn's autodiff.
#![cfg(feature = "flex")]

use crate::common::graded::{flat, input, run, run_on, same};
use burn::tensor::{DType, Device, Tensor, TensorData};
use vigos_kernels::{DropMask, dropped, dropped_reference, gated, rms_norm, rotate};

/// f32 sums of some hundred terms, relative to the largest value.
const TOLERANCE: f64 = 3e-6;

fn the_norm_and_its_gradients_are_those_of_f64(device: &Device) {
    for (rows, width, deviation) in [(1, 1, 1.0), (3, 7, 1.0), (5, 64, 1e-4), (70, 513, 30.0)] {
        let inputs = [input(1, [rows, 1, width], deviation), input(2, [1, 1, width], 1.0)];
        let found =
            run_on(device, &inputs, DType::F32, |x| rms_norm(flat(x[0].clone()), &flat(x[1].clone()), 1e-6));
        let wanted = run(&inputs, DType::F64, |x| {
            let (x, scale) = (flat(x[0].clone()), flat(x[1].clone()));
            x.clone() / (x.square().mean_dim(1) + 1e-6).sqrt() * scale
        });
        same(&found, &wanted, TOLERANCE, &format!("{rows} {width}"));
    }
}

fn the_gate_and_its_gradients_are_those_of_f64(device: &Device) {
    for (rows, width, deviation) in [(1, 1, 1.0), (3, 7, 4.0), (40, 1000, 1.0), (2, 50, 60.0)] {
        let inputs = [input(3, [rows, 1, width], deviation), input(4, [rows, 1, width], 1.0)];
        let found = run_on(device, &inputs, DType::F32, |x| gated(flat(x[0].clone()), flat(x[1].clone())));
        let wanted = run(&inputs, DType::F64, |x| {
            let (gate, up) = (flat(x[0].clone()), flat(x[1].clone()));
            gate.clone() / (gate.neg().exp() + 1.0) * up
        });
        same(&found, &wanted, TOLERANCE, &format!("{rows} {width}"));
    }
}

fn the_rotation_and_its_gradient_are_those_of_f64(device: &Device) {
    for (rows, heads, width) in [(1, 1, 2), (3, 5, 10), (300, 4, 64)] {
        let table = |on: &Device, f: fn(f64) -> f64| {
            let values: Vec<f32> = (0..rows * width / 2).map(|i| f(i as f64 * 0.37) as f32).collect();
            let data = TensorData::new(values, [rows, 1, width / 2]);
            Tensor::<3>::from_data(data, (on, DType::F32))
        };
        let (cos, sin) = (table(device, f64::cos), table(device, f64::sin));
        let inputs = [input(5, [rows, heads, width], 1.0)];
        let found = run_on(device, &inputs, DType::F32, |x| flat(rotate(x[0].clone(), &cos, &sin)));
        let wanted = run(&inputs, DType::F64, |x| {
            let half = width / 2;
            let (left, right) = (x[0].clone().narrow(2, 0, half), x[0].clone().narrow(2, half, half));
            let on = Device::flex();
            let [cos, sin] = [table(&on, f64::cos), table(&on, f64::sin)];
            let [cos, sin] = [cos, sin].map(|t| Tensor::from_inner(t.cast(DType::F64)));
            let turned =
                vec![left.clone() * cos.clone() - right.clone() * sin.clone(), right * cos + left * sin];
            flat(Tensor::cat(turned, 2))
        });
        same(&found, &wanted, TOLERANCE, &format!("{rows} {heads} {width}"));
    }
}

/// The same values are dropped, forward and back, whatever a device makes of integers.
fn dropout_is_that_of_separate_operators_on_the_cpu(device: &Device) {
    for (rows, width, probability) in [(1, 1, 0.5), (3, 7, 0.05), (70, 513, 0.05), (40, 1000, 0.9)] {
        let inputs = [input(12, [rows, 1, width], 1.0)];
        let mask = |on: &Device| {
            let words: Vec<i32> = (0..2 * rows as i32).map(|i| i * 40_503 % 65_536).collect();
            let rows = Tensor::from_data(TensorData::new(words, [rows, 2]), (on, DType::I32));
            DropMask { rows, site: 0x9ABC_DEF0_1234_5678, probability }
        };
        let found = run_on(device, &inputs, DType::F32, |x| dropped(flat(x[0].clone()), &mask(device)));
        let host = Device::flex();
        let wanted = run(&inputs, DType::F32, |x| dropped_reference(flat(x[0].clone()), &mask(&host)));
        let dropped = wanted[0].iter().filter(|x| **x == 0.0).count() as f64 / (rows * width) as f64;
        assert!(rows * width < 1000 || (dropped - probability).abs() < 0.02, "{dropped}");
        same(&found, &wanted, 2e-7, &format!("{rows} {width}"));
        let zero = |x: &[f64]| x.iter().map(|x| *x == 0.0).collect::<Vec<_>>();
        assert_eq!(zero(&found[0]), zero(&wanted[0]));
    }
}

mod flex {
    use burn::tensor::Device;

    #[test]
    fn what_stands_between_is_that_of_f64() {
        super::all(&Device::flex());
    }
}

#[cfg(feature = "wgpu")]
mod wgpu {
    use burn::tensor::{Device, DeviceKind};

    #[test]
    fn what_stands_between_is_that_of_f64() {
        super::all(&Device::wgpu(DeviceKind::DefaultDevice));
    }
}

fn all(device: &Device) {
    the_norm_and_its_gradients_are_those_of_f64(device);
    the_gate_and_its_gradients_are_those_of_f64(device);
    the_rotation_and_its_gradient_are_those_of_f64(device);
    dropout_is_that_of_separate_operators_on_the_cpu(device);
}
