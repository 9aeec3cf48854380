//! Products with frozen weights, plain, in bf16 and quantised, and the low-rank update beside them.

use super::bench::{Cases, PRODUCTS};
use crate::check::Bounds;
use crate::host::{self, Matrix};
use crate::numbers::{download, drawn, halved, relative_error, stream_of, upload, upload_as};
use burn::tensor::DType;
use vigos_kernels::{Bits, Quantised, Update, Weight};

/// Rows where there are many, and where a batch decodes.
const ROWS: [usize; 2] = [48, 3];
/// Inputs and outputs of a layer. No power of two, so that tiles have an edge.
const WIDTHS: [usize; 2] = [272, 208];
/// Rank of an update.
const RANK: usize = 8;
/// Scale of an update.
const SCALE: f64 = 0.5;
/// bf16 has 8 bits: a result is off by half of the last one at most, and by as much again where a sum lies on an edge.
const HALF: Bounds = Bounds { exact: 1.0 / 256.0, reduced: 1.0 / 256.0 };

pub(super) fn check(cases: &mut Cases) {
    let (own, device) = (cases.own, cases.device);
    let [inputs, outputs] = WIDTHS;
    let weight = drawn(1, outputs, inputs);
    for rows in ROWS {
        let x = drawn(2, rows, inputs);
        cases.check(&format!("product, {rows} rows"), PRODUCTS, || {
            let found = download(own.project(upload(&x, device), &upload(&weight, device)))?;
            Ok(relative_error(&found.values, &host::project(&x, &weight).values))
        });
    }
    let y = drawn(3, ROWS[0], outputs);
    cases.check("product, back", PRODUCTS, || {
        let found = download(own.project_back(upload(&y, device), &upload(&weight, device)))?;
        Ok(relative_error(&found.values, &host::project_back(&y, &weight).values))
    });
    if device.supports_dtype(DType::BF16) {
        let (x, weight) = (halved(&drawn(2, ROWS[0], inputs)), halved(&weight));
        cases.check("product, bf16", HALF, || {
            let [x_there, weight_there] = [&x, &weight].map(|matrix| upload_as(matrix, device, DType::BF16));
            let found = download(own.project(x_there, &weight_there))?;
            Ok(relative_error(&found.values, &host::project(&x, &weight).values))
        });
    }
    for (name, bits) in [("int8", Bits::Eight), ("int4", Bits::Four)] {
        let (x, weight) = (drawn(4, ROWS[0], inputs), on_the_grid(bits, outputs, inputs));
        cases.check(&format!("product, {name}"), PRODUCTS, || {
            let values: Vec<f32> = weight.values.iter().map(|value| *value as f32).collect();
            let there = Weight::Quantised(Quantised::new(&values, [outputs, inputs], bits, device));
            let found = download(own.adapted(upload(&x, device), &there, None))?;
            Ok(relative_error(&found.values, &host::project(&x, &weight).values))
        });
    }
    let plain = drawn(1, outputs, inputs);
    cases.both_ways(
        "lora",
        PRODUCTS,
        &[drawn(5, ROWS[0], inputs), drawn(6, RANK, inputs), drawn(7, outputs, RANK)],
        &|x| {
            let weight = Weight::from(upload(&plain, device));
            let update = Update { dropped: None, a: x[1].clone(), b: x[2].clone(), scale: SCALE };
            own.adapted(x[0].clone(), &weight, Some(update))
        },
        &|x| host::adapted(x[0], &plain, x[1], x[2], SCALE),
    );
}

/// Weights that quantising does not change: whole numbers of one power of two, and in every eight of them the largest.
fn on_the_grid(bits: Bits, outputs: usize, inputs: usize) -> Matrix {
    let (mut draws, largest) = (stream_of(8), i64::from(bits.largest()));
    let values = (0..outputs * inputs).map(|place| {
        let whole = match place % inputs % 8 {
            0 => largest,
            _ => draws.below(2 * largest as u64 + 1) as i64 - largest,
        };
        whole as f64 / 64.0
    });
    Matrix::of(outputs, inputs, values)
}
