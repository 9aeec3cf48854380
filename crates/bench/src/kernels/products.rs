//! Products with a frozen weight, from one row to many, in every form that a weight is kept in.

use super::machine::read;
use super::{Bench, Case, Pass, Work};
use crate::measure::Meter;
use burn::tensor::{DType, Tensor};
use vigos_kernels::{EXACT_ROWS, project, project_back};

/// Rows of decoding.
const FEW: [usize; 5] = [1, 2, 4, 8, 16];

pub(super) fn measure(bench: &mut Bench) {
    let many = bench.sizes.rows.get().max(EXACT_ROWS + 1);
    for (dtype, kept) in [(DType::F32, "f32"), (DType::BF16, "bf16")] {
        let weight = bench.random(bench.sizes.inner.get(), bench.sizes.width.get()).cast(dtype);
        for rows in FEW {
            few(bench, rows, &weight, kept);
        }
        several(bench, many, &weight, kept);
    }
}

/// Few rows: measured against a read of as many bytes as the weight has, in the same run.
fn few(bench: &mut Bench, rows: usize, weight: &Tensor<2>, dtype: &'static str) {
    let [outputs, inputs] = weight.dims();
    let x = bench.random(rows, inputs).cast(weight.dtype());
    let bytes = outputs * inputs * weight.dtype().size();
    let memory = bench.machine.memory(bytes);
    let [mut fused, mut composed, mut reading] = [(); 3].map(|()| Meter::new(bench.device, false));
    for repeat in 0..=bench.sizes.repeats.get() {
        if repeat == 1 {
            [fused, composed, reading] = [(); 3].map(|()| Meter::new(bench.device, false));
        }
        fused.run(|| project(x.clone(), weight));
        composed.run(|| x.clone().matmul(weight.clone().transpose()));
        if let Some(memory) = &memory {
            reading.run(|| read(memory));
        }
    }
    let (seconds, reference, least) = (fused.cost().seconds, composed.cost().seconds, reading.cost().seconds);
    // As many bytes at the general rate where the memory is not the process's own.
    let bytes = if memory.is_some() { least * bench.machine.bytes } else { bytes as f64 };
    let work = Work { operations: 0.0, bytes };
    let case = Case { name: "product", pass: Pass::Forward, shape: vec![rows, inputs, outputs], dtype, work };
    bench.add(case, seconds, reference);
}

/// Many rows: measured against the rate of a large product, both ways.
fn several(bench: &mut Bench, rows: usize, weight: &Tensor<2>, dtype: &'static str) {
    let [outputs, inputs] = weight.dims();
    let work = Work { operations: 2.0 * (rows * inputs * outputs) as f64, bytes: 0.0 };
    let case = |pass| Case { name: "product", pass, shape: vec![rows, inputs, outputs], dtype, work };
    let x = bench.random(rows, inputs).cast(weight.dtype());
    bench.compare(
        case(Pass::Forward),
        || project(x.clone(), weight),
        || x.clone().matmul(weight.clone().transpose()),
    );
    let y = bench.random(rows, outputs).cast(weight.dtype());
    bench.compare(
        case(Pass::Backward),
        || project_back(y.clone(), weight),
        || y.clone().matmul(weight.clone()),
    );
}
