//! A frozen weight on the CPU, in whatever it is kept, and the products with it.
//!
//! Few rows read the weight once as it is. Many go through a product of f32, a panel of the weight's rows at a time, which stays
//! in the cache between its making and its product; or of bf16 where the processor multiplies that.

use super::few_rows;
use super::packed::{self, Bytes, Halves, Nibbles, Packed};
use super::share::{dense, zeros};
use crate::weight::{BLOCK, Bits, GROUP, Layout};
use burn::backend::flex::FlexTensor;
use burn::tensor::DType;
use half::bf16;
use rayon::prelude::*;
use vigos_products::{Matrix, Threads, has_unit, product, product_with_halves};

/// Values of a panel: 1 MiB in f32, what a core's own cache holds.
const PANEL_VALUES: usize = 256 << 10;
/// Fewest rows of a panel: a product that is thinner spends its time on what it reads beside the panel.
const PANEL_ROWS: usize = 128;
/// Rows up to which a core by itself multiplies by a panel faster than all of them together, with what they wait for one another.
const TOO_FEW_TO_SHARE: usize = 512;

/// The tensors of a weight, their values in order.
pub(super) struct Frozen {
    /// Floats, or the scales of whole numbers.
    floats: FlexTensor,
    /// Nothing, or whole numbers.
    words: FlexTensor,
    layout: Option<Layout>,
}

fn lost<T>() -> T {
    unreachable!("a dense tensor")
}

/// What a weight is kept as.
enum Kept<'a> {
    F32(&'a [f32]),
    Bf16(&'a [bf16]),
    Quantised { bits: Bits, words: &'a [i32], scales: &'a [f32] },
}

impl Frozen {
    pub(super) fn new(floats: FlexTensor, words: FlexTensor, layout: Option<Layout>) -> Self {
        let floats = match floats.dtype() {
            DType::F32 => dense(floats),
            _ if floats.as_slice::<bf16>().is_some() => floats,
            _ => floats.to_contiguous(),
        };
        let words = if words.is_contiguous() { words } else { words.to_contiguous() };
        Self { floats, words, layout }
    }

    pub(super) fn outputs(&self) -> usize {
        self.floats.layout().shape()[0]
    }

    pub(super) fn inputs(&self) -> usize {
        self.layout.map_or_else(|| self.floats.layout().shape()[1], |layout| layout.inputs)
    }

    fn kept(&self) -> Kept<'_> {
        match self.layout {
            Some(Layout { bits, .. }) => Kept::Quantised {
                bits,
                words: self.words.as_slice().unwrap_or_else(lost),
                scales: self.floats.as_slice().unwrap_or_else(lost),
            },
            None if self.floats.dtype() == DType::BF16 => {
                Kept::Bf16(self.floats.as_slice().unwrap_or_else(lost))
            }
            None => Kept::F32(self.floats.as_slice().unwrap_or_else(lost)),
        }
    }

    /// `x·Wᵀ` for few rows: `[T, O]`.
    pub(super) fn few_rows(&self, x: &[f32]) -> Vec<f32> {
        let (outputs, inputs) = (self.outputs(), self.inputs());
        let packed = |bytes: &[u8], scales: &[f32], product: fn(&[f32], Packed) -> Vec<f32>| {
            let stride = bytes.len() / outputs.max(1);
            product(x, Packed { bytes, stride, scales, outputs, inputs })
        };
        match self.kept() {
            Kept::F32(weight) => few_rows::few_rows(x, weight, inputs),
            Kept::Bf16(weight) => packed(bytemuck::cast_slice(weight), &[], packed::few_rows::<Halves>),
            Kept::Quantised { bits, words, scales } => {
                let product = match bits {
                    Bits::Eight => packed::few_rows::<Bytes>,
                    Bits::Four => packed::few_rows::<Nibbles>,
                };
                packed(bytemuck::cast_slice(words), scales, product)
            }
        }
    }

    /// `y ← kept·y + x·Wᵀ` for many rows.
    pub(super) fn product(&self, y: &mut [f32], kept: f32, x: Matrix) {
        let outputs = self.outputs();
        if let Some(weight) = self.halves() {
            return product_with_halves(y, outputs, kept, 1.0, x, weight.transposed(), Threads::All);
        }
        if !matches!(self.kept(), Kept::F32(_)) && x.rows() <= TOO_FEW_TO_SHARE {
            return self.product_each(y, kept, x);
        }
        self.panels(|first, panel| {
            product(&mut y[first..], outputs, kept, 1.0, [x, panel.transposed()], Threads::All);
        });
    }

    /// The same where the rows are too few for several cores to share the product with a panel: each core makes a panel and
    /// multiplies by it.
    fn product_each(&self, y: &mut [f32], kept: f32, x: Matrix) {
        let (outputs, inputs, weight) = (self.outputs(), self.inputs(), self.kept());
        let panels: Vec<usize> = (0..outputs).step_by(self.height()).collect();
        for firsts in panels.chunks(rayon::current_num_threads()) {
            let of_panel = |&first: &usize| {
                let count = self.height().min(outputs - first);
                let mut panel = vec![0.0f32; count * inputs];
                for (row, values) in panel.chunks_exact_mut(inputs.max(1)).enumerate() {
                    weight.widen(first + row, values);
                }
                let panel = Matrix::new(&panel, [count, inputs], inputs);
                let mut part = vec![0.0f32; x.rows() * count];
                product(&mut part, count, 0.0, 1.0, [x, panel.transposed()], Threads::One);
                (first, count, part)
            };
            let parts: Vec<(usize, usize, Vec<f32>)> = firsts.par_iter().map(of_panel).collect();
            for (row, y) in y.chunks_exact_mut(outputs).enumerate() {
                for (first, count, part) in &parts {
                    let part = &part[row * count..(row + 1) * count];
                    for (y, product) in y[*first..first + count].iter_mut().zip(part) {
                        *y = if kept == 0.0 { *product } else { kept * *y + product };
                    }
                }
            }
        }
    }

    /// The weight where it is multiplied as it is kept.
    fn halves(&self) -> Option<Matrix<'_, bf16>> {
        match self.kept() {
            Kept::Bf16(weight) if has_unit() => {
                Some(Matrix::new(weight, [self.outputs(), self.inputs()], self.inputs()))
            }
            _ => None,
        }
    }

    /// Rows of a panel.
    fn height(&self) -> usize {
        (PANEL_VALUES / self.inputs().max(1)).max(PANEL_ROWS).min(self.outputs().max(1))
    }

    /// `g·W` for `upstream`, `[T, O]`: `[T, I]`.
    pub(super) fn back(&self, upstream: &[f32]) -> Vec<f32> {
        let (outputs, inputs) = (self.outputs(), self.inputs());
        let rows = upstream.len() / outputs.max(1);
        let mut of_x = zeros(rows * inputs);
        if rows == 0 {
            return of_x;
        }
        if let Some(weight) = self.halves() {
            let upstream = Matrix::new(upstream, [rows, outputs], outputs);
            product_with_halves(&mut of_x, inputs, 0.0, 1.0, upstream, weight, Threads::All);
            return of_x;
        }
        self.panels(|first, panel| {
            let part = Matrix::new(&upstream[first..], [rows, panel.rows()], outputs);
            let kept = if first == 0 { 0.0 } else { 1.0 };
            product(&mut of_x, inputs, kept, 1.0, [part, panel], Threads::All);
        });
        of_x
    }

    /// Hands on the weight's rows in f32, with the first one's number: all at once where they are f32, otherwise a panel
    /// at a time, in order.
    fn panels(&self, mut take: impl FnMut(usize, Matrix)) {
        let (outputs, inputs) = (self.outputs(), self.inputs());
        let kept = self.kept();
        if let Kept::F32(weight) = kept {
            return take(0, Matrix::new(weight, [outputs, inputs], inputs));
        }
        let height = self.height();
        let mut panel = vec![0.0f32; height * inputs];
        for first in (0..outputs).step_by(height) {
            let count = height.min(outputs - first);
            let panel = &mut panel[..count * inputs];
            let rows = panel.par_chunks_mut(inputs.max(1)).enumerate();
            rows.for_each(|(row, values)| kept.widen(first + row, values));
            take(first, Matrix::new(panel, [count, inputs], inputs));
        }
    }
}

impl Kept<'_> {
    /// One row in f32.
    fn widen(&self, row: usize, out: &mut [f32]) {
        let inputs = out.len();
        match *self {
            Self::F32(weight) => out.copy_from_slice(&weight[row * inputs..(row + 1) * inputs]),
            Self::Bf16(weight) => {
                for (out, value) in out.iter_mut().zip(&weight[row * inputs..(row + 1) * inputs]) {
                    *out = f32::from_bits(u32::from(value.to_bits()) << 16);
                }
            }
            Self::Quantised { bits, words, scales } => {
                let (parts, width) = (bits.per_word(), 32 / bits.per_word() as u32);
                let blocks = inputs.div_ceil(BLOCK * parts);
                let groups = blocks * BLOCK * parts / GROUP;
                let words = words[row * blocks * BLOCK..].chunks_exact(BLOCK);
                let scales = &scales[row * groups..(row + 1) * groups];
                for (block, (out, words)) in out.chunks_mut(BLOCK * parts).zip(words).enumerate() {
                    for (part, out) in out.chunks_mut(BLOCK).enumerate() {
                        let scale = scales[(block * parts + part) * BLOCK / GROUP];
                        let up = 32 - width * (part as u32 + 1);
                        for (out, word) in out.iter_mut().zip(words) {
                            *out = ((word << up) >> (32 - width)) as f32 * scale;
                        }
                    }
                }
            }
        }
    }
}
