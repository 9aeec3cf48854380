//! The loss kernel alone: a divergence of two tensors of logits, clipped, and its gradient.
//!
//!     cargo run --release --example span_kl

#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use burn::tensor::{Device, Distribution, Tensor};
use std::error::Error;
use vigos::kernels::{Direction, RowLoss, span_kl, span_kl_reference};

fn main() -> Result<(), Box<dyn Error>> {
    let (rows, vocabulary) = (4, 1000);
    let device = Device::flex();
    device.seed(1);
    let logits = || Tensor::<2>::random([rows, vocabulary], Distribution::Normal(0.0, 0.5), &device);
    let (student, teacher) = (logits(), logits());

    // Two rows for each direction; the loss counts at most 0.255 nats of a row.
    let row = |direction| RowLoss { direction, weight: 1.0 / rows as f64, clip: Some(0.255) };
    let losses = [Direction::Forward, Direction::Forward, Direction::Reverse, Direction::Reverse].map(row);
    let fused = span_kl(student.clone(), teacher.clone(), &losses, 1.0)?;
    println!("loss {:.6}", fused.loss);
    for (number, (row, loss)) in fused.rows.iter().zip(&losses).enumerate() {
        let clipped = if loss.clips(row.kl) { ", clipped: no gradient" } else { "" };
        println!("row {number}: {:?} KL {:.6} nats{clipped}", loss.direction, row.kl);
    }

    // The same from separate operators, which need several tensors of that size.
    let plain = span_kl_reference(student, teacher, &losses, 1.0)?;
    let difference: f32 = (fused.gradient - plain.gradient).abs().max().into_scalar();
    println!("gradient {:?}, off the plain operators' by {difference:.1e} at most", [rows, vocabulary]);
    assert!(difference < 1e-6 && (fused.loss - plain.loss).abs() < 1e-6);
    Ok(())
}
