//! What decoding multiplies: a frozen layer of few rows with all that is added to it, and the head, on every backend that this
//! build can test, against f64 on the CPU.
#![cfg(feature = "flex")]

use crate::common::graded::{Input, flat, input, numbers, same};
use burn::tensor::{DType, Device, Tensor};
use vigos_kernels::{Bits, Quantised, Update, Weight, adapted, adapted_onto, on_cpu, project};

/// f32 sums of some hundred terms, relative to the largest value.
const TOLERANCE: f64 = 3e-6;

fn plain(input: &Input, device: &Device, dtype: DType) -> Tensor<2> {
    flat(input.leaf(device, dtype)).inner()
}

/// The inputs of a layer: x, weight, bias, A, B and a residual.
fn layer([rows, inputs, outputs, rank]: [usize; 4]) -> [Input; 6] {
    [
        input(31, [rows, 1, inputs], 1.0),
        input(32, [outputs, 1, inputs], 0.3),
        input(33, [1, 1, outputs], 1.0),
        input(34, [rank, 1, inputs], 0.3),
        input(35, [outputs, 1, rank], 0.3),
        input(36, [rows, 1, outputs], 1.0),
    ]
}

/// With all that can be added, and with nothing.
fn both(layer: &[Input; 6], device: &Device, dtype: DType, adapter: DType) -> [Vec<f64>; 2] {
    let [x, weight, bias, a, b, residual] = layer.each_ref();
    let of = |input: &Input| plain(input, device, dtype);
    let update =
        Update { dropped: None, a: plain(a, device, adapter), b: plain(b, device, adapter), scale: 0.7 };
    let whole = adapted_onto(of(residual), of(x), &of(weight).into(), Some(&of(bias)), Some(update));
    [numbers(whole), numbers(project(of(x), &of(weight)))]
}

fn layers_of_few_rows_are_those_of_f64(device: &Device) {
    for shape in [[1, 1, 1, 1], [2, 36, 70, 16], [3, 17, 9, 2], [5, 260, 33, 8], [16, 64, 130, 4]] {
        let layer = layer(shape);
        let found = both(&layer, device, DType::F32, DType::F32);
        let wanted = both(&layer, &Device::flex(), DType::F64, DType::F64);
        same(&found, &wanted, TOLERANCE, &format!("{shape:?}"));
    }
    for (dtype, rounding) in [(DType::F16, 1.0 / 2048.0), (DType::BF16, 1.0 / 256.0)] {
        if device.supports_dtype(dtype) {
            let layer = layer([3, 64, 40, 4]);
            let rounded = layer.each_ref().map(|input| input.rounded(dtype));
            // The adapter stays in f32.
            let inputs =
                std::array::from_fn(|i| if i == 3 || i == 4 { layer[i].clone() } else { rounded[i].clone() });
            let found = both(&inputs, device, dtype, DType::F32);
            let wanted = both(&inputs, &Device::flex(), DType::F64, DType::F64);
            // Separate operators round between them.
            let rounding = if on_cpu(device) { 4.0 * rounding } else { rounding };
            same(&found, &wanted, rounding, &format!("{dtype:?}"));
        }
    }
}

/// Against the product with the values that the weight stands for.
fn quantised_layers_of_few_rows_are_those_of_f64(device: &Device) {
    for bits in [Bits::Eight, Bits::Four] {
        for shape in [[1, 64, 5, 2], [2, 36, 70, 16], [3, 400, 33, 8], [16, 132, 20, 4]] {
            let layer = layer(shape);
            let [x, weight, bias, a, b, residual] = layer.each_ref();
            let of = |input: &Input, on: &Device, dtype| plain(input, on, dtype);
            let quantised = |on: &Device| -> Weight {
                Weight::Quantised(Quantised::new(&weight.values, [shape[2], shape[1]], bits, on))
            };
            let result = |on: &Device, dtype, weight: Weight| {
                let update = Update { dropped: None, a: of(a, on, dtype), b: of(b, on, dtype), scale: 0.7 };
                let residual = of(residual, on, dtype);
                numbers(adapted_onto(
                    residual,
                    of(x, on, dtype),
                    &weight,
                    Some(&of(bias, on, dtype)),
                    Some(update),
                ))
            };
            let host = Device::flex();
            let wanted = result(&host, DType::F64, quantised(&host).wide(DType::F64).into());
            let found = result(device, DType::F32, quantised(device));
            same(&[found], &[wanted], TOLERANCE, &format!("{bits:?} {shape:?}"));
        }
    }
}

fn a_row_has_the_same_bits_alone_and_among_others(device: &Device) {
    let all =
        [x_of(7), input(32, [50, 1, 100], 0.3), input(34, [4, 1, 100], 0.3), input(35, [50, 1, 4], 0.3)];
    let [x, weight, a, b] = all.each_ref().map(|input| plain(input, device, DType::F32));
    let of = |x: Tensor<2>| {
        let update = Update { dropped: None, a: a.clone(), b: b.clone(), scale: 0.7 };
        numbers(adapted(x, &weight.clone().into(), None, Some(update)))
    };
    let together = of(x.clone());
    for row in 0..7 {
        assert_eq!(of(x.clone().narrow(0, row, 1)), together[row * 50..(row + 1) * 50], "row {row}");
    }
}

fn x_of(rows: usize) -> Input {
    input(31, [rows, 1, 100], 1.0)
}

mod flex {
    use burn::tensor::Device;

    #[test]
    fn layers_of_few_rows() {
        super::layers_of_few_rows_are_those_of_f64(&Device::flex());
        super::quantised_layers_of_few_rows_are_those_of_f64(&Device::flex());
        super::a_row_has_the_same_bits_alone_and_among_others(&Device::flex());
    }
}

#[cfg(feature = "wgpu")]
mod wgpu {
    use burn::tensor::{Device, DeviceKind};

    #[test]
    fn layers_of_few_rows() {
        let device = Device::wgpu(DeviceKind::DefaultDevice);
        super::layers_of_few_rows_are_those_of_f64(&device);
        super::quantised_layers_of_few_rows_are_those_of_f64(&device);
        super::a_row_has_the_same_bits_alone_and_among_others(&device);
    }
}
