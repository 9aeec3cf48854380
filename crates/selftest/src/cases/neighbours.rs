//! Operators that stand side by side, which a backend with fusion makes one kernel of: once as they come, and once with
//! a stop behind each, where nothing can be joined. That one is right and the other wrong says who is at fault.

use super::bench::{Cases, PRODUCTS};
use crate::host::{self, Matrix};
use crate::numbers::{download, drawn, relative_error, upload};
use burn::tensor::Tensor;
use burn::tensor::activation::{silu, softmax};

const ROWS: usize = 33;
const WIDTH: usize = 144;

pub(super) fn check(cases: &mut Cases) {
    let device = cases.device;
    let [x, weight] = [(50, ROWS), (51, WIDTH)].map(|(stream, rows)| drawn(stream, rows, WIDTH));
    let [bias, other] = [(52, 1), (53, ROWS)].map(|(stream, rows)| drawn(stream, rows, WIDTH));
    let wanted = formula(&x, &weight, &bias, &other);
    let stop = || {
        // A device that is lost shows in what is read.
        let _ = device.sync();
    };
    let go_on = || {};
    let both: [(&str, &dyn Fn()); 2] = [("neighbours, one by one", &stop), ("neighbours, together", &go_on)];
    for (name, between) in both {
        cases.check(name, PRODUCTS, || {
            let [x, weight, bias, other] = [&x, &weight, &bias, &other].map(|m| upload(m, device));
            let found = download(chain(x, weight, bias, other, between))?;
            Ok(relative_error(&found.values, &wanted.values))
        });
    }
    // Products of one column and of one row have kernels of their own, which fusion has taken for one another
    // (tracel-ai/burn, issue 5122).
    for (name, [rows, columns]) in
        [("neighbours of one column", [ROWS, 1]), ("neighbours of one row", [1, ROWS])]
    {
        let (x, weight) = (drawn(54, rows, WIDTH), drawn(55, columns, WIDTH));
        cases.check(name, PRODUCTS, || {
            let product = upload(&x, device).matmul(upload(&weight, device).transpose());
            let found = download(product.clone() + product * 0.5)?;
            let wanted = host::project(&x, &weight);
            let wanted: Vec<f64> = wanted.values.iter().map(|value| 1.5 * value).collect();
            Ok(relative_error(&found.values, &wanted))
        });
    }
}

/// A product with what is usually behind one, a sum over rows, and a softmax.
fn chain(
    x: Tensor<2>,
    weight: Tensor<2>,
    bias: Tensor<2>,
    other: Tensor<2>,
    between: &dyn Fn(),
) -> Tensor<2> {
    let behind = |tensor: Tensor<2>| {
        between();
        tensor
    };
    let product = behind(x.clone().matmul(weight.transpose()));
    let sum = behind(product + bias) * 0.1;
    let gate = behind(silu(behind(sum)));
    let residual = behind(behind(gate * other) + x);
    let mean = behind(behind(residual.clone().square()).mean_dim(1));
    let normed = behind(residual / behind((mean + 1e-6).sqrt()));
    softmax(normed, 1)
}

fn formula(x: &Matrix, weight: &Matrix, bias: &Matrix, other: &Matrix) -> Matrix {
    let product = host::project(x, weight);
    let biased = (0..ROWS).flat_map(|row| {
        product.row(row).iter().zip(&bias.values).map(|(p, b)| 0.1 * (p + b)).collect::<Vec<_>>()
    });
    let residual = host::gated(&Matrix::of(ROWS, WIDTH, biased), other).with(x, |a, b| a + b);
    let normed = host::norm(&residual, &Matrix::of(1, WIDTH, [1.0; WIDTH]), 1e-6);
    Matrix::of(ROWS, WIDTH, (0..ROWS).flat_map(|row| host::softmax(normed.row(row))))
}
