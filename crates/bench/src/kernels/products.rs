//! Products with a frozen weight, from one row to many, in every form that a weight is kept in.

use super::bench::Bench;
use super::case::{Case, Pass, Work};
use super::machine::read;
use crate::measure::Meter;
use burn::tensor::{DType, Tensor};
use vigos_kernels::{Bits, EXACT_ROWS, Quantised, Weight, adapted};

/// Rows of decoding.
const FEW: [usize; 5] = [1, 2, 4, 8, 16];

/// A weight, what it is kept as, and its bytes.
struct Kept {
    dtype: &'static str,
    weight: Weight,
    bytes: usize,
    shape: [usize; 2],
}

pub(super) fn measure(bench: &mut Bench) {
    let many = bench.sizes.rows.get().max(EXACT_ROWS + 1);
    let shape = [bench.sizes.inner.get(), bench.sizes.width.get()];
    let floats = bench.random(shape[0], shape[1]);
    let forms = [("f32", DType::F32), ("bf16", DType::BF16)];
    // A kernel in a format that the device has not is not run, and backends may do no more than log that.
    for (dtype, form) in forms.into_iter().filter(|(_, form)| bench.device.supports_dtype(*form)) {
        let weight = Weight::from(floats.clone().cast(form));
        let bytes = shape[0] * shape[1] * form.size();
        each(bench, many, &Kept { dtype, weight, bytes, shape });
    }
    // A device that fails shows in the measurements of others.
    let values: Vec<f32> = floats.try_into_vec_as().unwrap_or_else(|_| vec![0.0; shape[0] * shape[1]]);
    for (dtype, bits) in [("int8", Bits::Eight), ("int4", Bits::Four)] {
        let weight = Weight::Quantised(Quantised::new(&values, shape, bits, bench.device));
        each(bench, many, &Kept { dtype, weight, bytes: bits.bytes(shape) as usize, shape });
    }
}

fn each(bench: &mut Bench, many: usize, kept: &Kept) {
    for rows in FEW {
        few(bench, rows, kept);
    }
    let Kept { dtype, weight, shape: [outputs, inputs], .. } = kept;
    // Measured against the rate of a large product, both ways.
    let work = Work { operations: 2.0 * (many * inputs * outputs) as f64, bytes: 0.0 };
    let inputs_of = [bench.random(many, *inputs)];
    bench.both_ways(
        "product",
        dtype,
        &[many, *inputs, *outputs],
        [work; 2],
        &inputs_of,
        [&|x| adapted(x[0].clone(), weight, None, None), &|x| separate(&x[0], weight)],
    );
}

/// The product by separate operators: the weight in f32, and the backend's own.
fn separate(x: &Tensor<2>, weight: &Weight) -> Tensor<2> {
    x.clone().matmul(weight.wide(DType::F32).transpose())
}

/// Few rows: measured against a read of as many bytes as the weight has, in the same run.
fn few(bench: &mut Bench, rows: usize, kept: &Kept) {
    let Kept { dtype, weight, bytes, shape: [outputs, inputs] } = kept;
    let x = bench.random(rows, *inputs);
    let memory = bench.machine.memory(*bytes);
    let meters = || [(); 3].map(|()| Meter::new(bench.device, false));
    let [mut fused, mut composed, mut reading] = meters();
    for repeat in 0..=bench.sizes.repeats.get() {
        if repeat == 1 {
            [fused, composed, reading] = meters();
        }
        fused.run(|| adapted(x.clone(), weight, None, None));
        composed.run(|| separate(&x, weight));
        if let Some(memory) = &memory {
            reading.run(|| read(memory));
        }
    }
    let (seconds, reference, least) = (fused.cost().seconds, composed.cost().seconds, reading.cost().seconds);
    // As many bytes at the general rate where the memory is not the process's own.
    let bytes = if memory.is_some() { least * bench.machine.bytes } else { *bytes as f64 };
    let work = Work { operations: 0.0, bytes };
    let shape = vec![rows, *inputs, *outputs];
    bench.add(Case { name: "product", pass: Pass::Forward, shape, dtype, work }, seconds, reference);
}
