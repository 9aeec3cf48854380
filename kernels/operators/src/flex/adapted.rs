//! A frozen linear layer with its bias and its update on the CPU: every product adds to what is there.

use super::few_rows::{MOST_ROWS, few_rows};
use super::frozen::Frozen;
use super::share::{dense, tensor, values, write_rows, zeros};
use crate::frozen::AdaptedBackend;
use crate::weight::Layout;
use burn::backend::Flex;
use burn::backend::flex::FlexTensor;
use vigos_products::{Matrix, Threads, product};

impl AdaptedBackend for Flex {
    fn frozen(
        x: FlexTensor,
        floats: FlexTensor,
        words: FlexTensor,
        bias: FlexTensor,
        layout: Option<Layout>,
    ) -> FlexTensor {
        let (x, weight, bias) = (dense(x), Frozen::new(floats, words, layout), dense(bias));
        tensor(with_bias(&x, &weight, values(&bias)), [side(&x, 0), weight.outputs()])
    }

    fn adapted(
        x: FlexTensor,
        floats: FlexTensor,
        words: FlexTensor,
        bias: FlexTensor,
        dropped: FlexTensor,
        a: FlexTensor,
        b: FlexTensor,
        layout: Option<Layout>,
        _: bool,
        scale: f32,
    ) -> FlexTensor {
        let weight = Frozen::new(floats, words, layout);
        let [x, bias, dropped, a, b] = [x, bias, dropped, a, b].map(dense);
        let (rows, outputs, rank) = (side(&x, 0), weight.outputs(), side(&a, 0));
        let mut y = with_bias(&x, &weight, values(&bias));
        if rows <= MOST_ROWS {
            let narrow = few_rows(values(&dropped), values(&a), side(&a, 1));
            let update = few_rows(&narrow, values(&b), rank);
            y.iter_mut().zip(update).for_each(|(y, update)| *y += scale * update);
        } else {
            let narrow = narrowed(&dropped, &a);
            let narrow = Matrix::new(&narrow, [rows, rank], rank);
            product(&mut y, outputs, 1.0, scale, [narrow, matrix(&b).transposed()], Threads::All);
        }
        tensor(y, [rows, outputs])
    }

    fn frozen_back(
        upstream: FlexTensor,
        floats: FlexTensor,
        words: FlexTensor,
        layout: Option<Layout>,
    ) -> FlexTensor {
        let (upstream, weight) = (dense(upstream), Frozen::new(floats, words, layout));
        tensor(weight.back(values(&upstream)), [side(&upstream, 0), weight.inputs()])
    }

    fn adapted_back(
        floats: FlexTensor,
        words: FlexTensor,
        dropped: FlexTensor,
        a: FlexTensor,
        b: FlexTensor,
        upstream: FlexTensor,
        layout: Option<Layout>,
        drops: bool,
        scale: f32,
    ) -> (FlexTensor, FlexTensor, FlexTensor, FlexTensor) {
        let weight = Frozen::new(floats, words, layout);
        let [dropped, a, b, upstream] = [dropped, a, b, upstream].map(dense);
        let (rows, inputs, outputs, rank) = (side(&dropped, 0), side(&a, 1), side(&b, 0), side(&a, 0));
        let of_y = values(&upstream);
        let upstream = matrix(&upstream);
        let narrow = narrowed(&dropped, &a);
        let narrow = Matrix::new(&narrow, [rows, rank], rank);
        let mut of_b = vec![0.0f32; outputs * rank];
        product(&mut of_b, rank, 0.0, scale, [upstream.transposed(), narrow], Threads::All);

        let mut of_narrow = vec![0.0f32; rows * rank];
        product(&mut of_narrow, rank, 0.0, scale, [upstream, matrix(&b)], Threads::All);
        let of_narrow = Matrix::new(&of_narrow, [rows, rank], rank);
        let mut of_a = vec![0.0f32; rank * inputs];
        product(&mut of_a, inputs, 0.0, 1.0, [of_narrow.transposed(), matrix(&dropped)], Threads::All);

        let mut of_x = weight.back(of_y);
        let mut of_dropped = zeros(if drops { rows * inputs } else { 0 });
        let (sum, kept) = if drops { (&mut of_dropped, 0.0) } else { (&mut of_x, 1.0) };
        product(sum, inputs, kept, 1.0, [of_narrow, matrix(&a)], Threads::All);
        let dropped_rows = if drops { rows } else { 0 };
        (
            tensor(of_x, [rows, inputs]),
            tensor(of_dropped, [dropped_rows, inputs]),
            tensor(of_a, [rank, inputs]),
            tensor(of_b, [outputs, rank]),
        )
    }
}

/// `x·Wᵀ + b`; a bias without values is none.
fn with_bias(x: &FlexTensor, weight: &Frozen, bias: &[f32]) -> Vec<f32> {
    let (rows, outputs) = (side(x, 0), weight.outputs());
    if rows <= MOST_ROWS {
        let mut y = weight.few_rows(values(x));
        if !bias.is_empty() {
            y.chunks_exact_mut(outputs).for_each(|y| y.iter_mut().zip(bias).for_each(|(y, bias)| *y += bias));
        }
        return y;
    }
    let mut y = zeros(rows * outputs);
    if !bias.is_empty() {
        write_rows(&mut y, outputs, |_, y| {
            y.chunks_exact_mut(outputs).for_each(|y| y.copy_from_slice(bias));
        });
    }
    let kept = if bias.is_empty() { 0.0 } else { 1.0 };
    weight.product(&mut y, kept, matrix(x));
    y
}

/// `d·Aᵀ`
fn narrowed(dropped: &FlexTensor, a: &FlexTensor) -> Vec<f32> {
    let (rows, rank) = (side(dropped, 0), side(a, 0));
    let mut narrow = vec![0.0f32; rows * rank];
    product(&mut narrow, rank, 0.0, 1.0, [matrix(dropped), matrix(a).transposed()], Threads::All);
    narrow
}

fn matrix(tensor: &FlexTensor) -> Matrix<'_> {
    let columns = side(tensor, 1);
    Matrix::new(values(tensor), [side(tensor, 0), columns], columns)
}

fn side(tensor: &FlexTensor, axis: usize) -> usize {
    tensor.layout().shape()[axis]
}
