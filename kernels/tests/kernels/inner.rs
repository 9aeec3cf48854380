//! The model's inner operators on the CPU: values and gradients against the same formulas in f64, whose gradients are
//! Burn's autodiff in f64.
#![cfg(feature = "flex")]

use crate::common::graded::{Input, flat, input, numbers, run, same};
use burn::tensor::{DType, Device, Tensor};
use vigos_kernels::{Segments, Update, adapted, attention, project, rms_norm};

/// f32 sums of some hundred terms, relative to the largest value.
const TOLERANCE: f64 = 3e-6;

/// x, A, B and, where something is dropped, d.
fn layer(rows: usize, inputs: usize, outputs: usize, rank: usize) -> ([Input; 4], Input, Input) {
    let trained = [
        input(9, [rows, 1, inputs], 1.0),
        input(10, [rank, 1, inputs], 0.3),
        input(11, [outputs, 1, rank], 0.3),
        input(12, [rows, 1, inputs], 1.0),
    ];
    (trained, input(13, [outputs, 1, inputs], 0.2), input(14, [1, 1, outputs], 1.0))
}

#[test]
fn an_adapted_layer_and_its_gradients_are_those_of_f64() {
    for [rows, inputs, outputs, rank] in
        [[1, 1, 1, 1], [3, 17, 9, 2], [32, 70, 33, 16], [33, 70, 50, 4], [200, 96, 130, 8]]
    {
        let (trained, weight, bias) = layer(rows, inputs, outputs, rank);
        for (drops, biased) in [(false, true), (true, false)] {
            let trained = if drops { &trained[..] } else { &trained[..3] };
            let frozen = |x: &Input, dtype| flat(x.leaf(&Device::flex(), dtype)).inner();
            let found = run(trained, DType::F32, |x| {
                let x: Vec<Tensor<2>> = x.iter().cloned().map(flat).collect();
                let dropped = x.get(3).cloned();
                let update = Update { dropped, a: x[1].clone(), b: x[2].clone(), scale: 0.7 };
                let bias = biased.then(|| frozen(&bias, DType::F32));
                adapted(x[0].clone(), &frozen(&weight, DType::F32).into(), bias.as_ref(), Some(update))
            });
            let wanted = run(trained, DType::F64, |x| {
                let x: Vec<Tensor<2>> = x.iter().cloned().map(flat).collect();
                let dropped = x.get(3).unwrap_or(&x[0]).clone();
                let weight = Tensor::from_inner(frozen(&weight, DType::F64).transpose());
                let update = dropped.matmul(x[1].clone().transpose()).matmul(x[2].clone().transpose());
                let y = x[0].clone().matmul(weight) + update * 0.7;
                if biased { y + Tensor::from_inner(frozen(&bias, DType::F64)) } else { y }
            });
            same(&found, &wanted, TOLERANCE, &format!("{rows} {inputs} {outputs} {rank} {drops}"));
        }
    }
}

#[test]
fn a_layer_without_an_update_passes_the_gradient_back() {
    for rows in [4, 60] {
        let (trained, weight, bias) = layer(rows, 40, 30, 1);
        let frozen = |x: &Input, dtype| flat(x.leaf(&Device::flex(), dtype)).inner();
        let found = run(&trained[..1], DType::F32, |x| {
            let (weight, bias) = (frozen(&weight, DType::F32), frozen(&bias, DType::F32));
            adapted(flat(x[0].clone()), &weight.clone().into(), Some(&bias), None)
        });
        let wanted = run(&trained[..1], DType::F64, |x| {
            let (weight, bias) = (frozen(&weight, DType::F64), frozen(&bias, DType::F64));
            flat(x[0].clone()).matmul(Tensor::from_inner(weight.transpose())) + Tensor::from_inner(bias)
        });
        same(&found, &wanted, TOLERANCE, &format!("{rows}"));
    }
}

#[test]
fn a_row_has_the_same_bits_alone_and_among_others() {
    let (inputs, outputs) = (133, 210);
    let x = flat(input(15, [40, 1, inputs], 1.0).leaf(&Device::flex(), DType::F32)).inner();
    let weight = flat(input(16, [outputs, 1, inputs], 1.0).leaf(&Device::flex(), DType::F32)).inner();
    for dtype in [DType::F32, DType::BF16] {
        let (x, weight) = (x.clone().cast(dtype), weight.clone().cast(dtype));
        let alone: Vec<Vec<f64>> =
            (0..32).map(|row| numbers(project(x.clone().narrow(0, row, 1), &weight))).collect();
        for rows in [2, 3, 5, 8, 16, 31, 32] {
            let together = numbers(project(x.clone().narrow(0, 0, rows), &weight));
            assert!(together.chunks(outputs).zip(&alone).all(|(a, b)| a == b), "{rows} rows, {dtype:?}");
        }
    }
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let all = || {
        let inputs =
            [input(17, [700, 4, 16], 1.0), input(18, [700, 2, 16], 1.0), input(19, [700, 2, 16], 1.0)];
        let segments = Segments::new([400, 300]);
        let mut found = run(&inputs, DType::F32, |x| {
            attention(x[0].clone(), x[1].clone(), x[2].clone(), &segments, true)
        });
        let (trained, weight, _) = layer(300, 300, 300, 16);
        found.extend(run(&trained[..3], DType::F32, |x| {
            let x: Vec<Tensor<2>> = x.iter().cloned().map(flat).collect();
            let update = Update { dropped: None, a: x[1].clone(), b: x[2].clone(), scale: 0.7 };
            adapted(
                x[0].clone(),
                &flat(weight.leaf(&Device::flex(), DType::F32)).inner().into(),
                None,
                Some(update),
            )
        }));
        let inputs = [input(20, [700, 1, 300], 1.0), input(21, [1, 1, 300], 1.0)];
        found.extend(run(&inputs, DType::F32, |x| rms_norm(flat(x[0].clone()), &flat(x[1].clone()), 1e-6)));
        found
    };
    let with = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(all);
    let wanted = with(1);
    assert!(with(2) == wanted && with(5) == wanted);
}
