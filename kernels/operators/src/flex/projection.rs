//! The products with a frozen weight on the CPU: few rows at once with every row of the weight, or bf16 a block of
//! its rows at a time.

use super::few_rows::{MOST_ROWS, few_rows};
use crate::placement::is_plain_flex;
use burn::backend::autodiff::checkpoint::{base::Checkpointer, strategy::CheckpointStrategy};
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{DType, Tensor, TensorData};
use half::bf16;
use rayon::prelude::*;

/// Values of a block of the weight: 1 MiB in f32, what a core's own cache holds.
const BLOCK_VALUES: usize = 256 << 10;
/// Most bytes of rows in f32, before and behind their product.
const ROW_BYTES: usize = 64 << 20;

/// Whether `x·Wᵀ` is one of those below: the weight is on the CPU and has no gradient, and either the rows are few or
/// it is bf16.
pub(crate) fn has_own_product(x: &Tensor<2>, weight: &Tensor<2>) -> bool {
    let few = x.dims()[0] <= MOST_ROWS && weight.dtype() == DType::F32;
    (few || weight.dtype() == DType::BF16) && is_plain_flex(weight)
}

/// Whether `y·W` is the one below: the weight is bf16 and on the CPU.
pub(crate) fn has_own_back(weight: &Tensor<2>) -> bool {
    weight.dtype() == DType::BF16 && is_plain_flex(weight)
}

/// `x·Wᵀ`
pub(crate) fn project_rows(x: Tensor<2>, weight: &Tensor<2>) -> Tensor<2> {
    let (x, weight) = (x.into_dispatch(), weight.clone().into_dispatch());
    Tensor::from_dispatch(<Dispatch as ProjectionBackend>::project_rows(x, weight))
}

/// `y·W`
pub(crate) fn project_back_rows(y: Tensor<2>, weight: &Tensor<2>) -> Tensor<2> {
    let (y, weight) = (y.into_dispatch(), weight.clone().into_dispatch());
    Tensor::from_dispatch(<Dispatch as ProjectionBackend>::project_rows_back(y, weight))
}

/// A backend with products of its own for frozen weights.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait ProjectionBackend: Backend {
    /// `x·Wᵀ`
    fn project_rows(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self>;

    /// `y·W`
    fn project_rows_back(y: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self>;
}

impl<B: ProjectionBackend, C: CheckpointStrategy> ProjectionBackend for Autodiff<B, C> {
    fn project_rows(x: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        #[derive(Debug)]
        struct ProjectionBackward;

        impl<B: ProjectionBackend> Backward<B, 1> for ProjectionBackward {
            /// The weight: another handle to it, not a copy.
            type State = FloatTensor<B>;

            fn backward(self, ops: Ops<Self::State, 1>, gradients: &mut Gradients, _: &mut Checkpointer) {
                let [x] = ops.parents;
                let upstream = gradients.consume::<B>(&ops.node);
                if let Some(x) = x {
                    gradients.register::<B>(x.id, B::project_rows_back(upstream, ops.state));
                }
            }
        }

        let weight = weight.into_primitive();
        match ProjectionBackward.prepare::<C>([x.node()]).compute_bound().stateful() {
            OpsKind::Tracked(step) => {
                let output = B::project_rows(x.into_primitive(), weight.clone());
                step.finish(weight, output)
            }
            OpsKind::UnTracked(step) => step.finish(B::project_rows(x.into_primitive(), weight)),
        }
    }

    fn project_rows_back(y: FloatTensor<Self>, weight: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::from_inner(B::project_rows_back(y.into_primitive(), weight.into_primitive()))
    }
}

impl ProjectionBackend for Flex {
    fn project_rows(x: FlexTensor, weight: FlexTensor) -> FlexTensor {
        let (x, weight) = (x.to_contiguous(), weight.to_contiguous());
        let ([rows, inputs], outputs) = (dims(&x), dims(&weight)[0]);
        if weight.dtype() == DType::F32 {
            let products = few_rows(x.storage::<f32>(), weight.storage::<f32>(), inputs);
            return FlexTensor::from_data(TensorData::new(products, [rows, outputs]));
        }
        if rows <= MOST_ROWS {
            let x: Vec<f32> = x.storage::<bf16>().iter().map(|v| v.to_f32()).collect();
            let products = few_rows(&x, weight.storage::<bf16>(), inputs);
            let mut output = vec![bf16::ZERO; products.len()];
            round(&products, &mut output);
            return FlexTensor::from_data(TensorData::new(output, [rows, outputs]));
        }
        let (x, weight) = (x.storage::<bf16>(), weight.storage::<bf16>());
        let block = (BLOCK_VALUES / inputs.max(1)).clamp(1, outputs.max(1));
        let height = height(inputs + outputs);
        let mut output = vec![bf16::ZERO; rows * outputs];
        for (x, output) in
            x.chunks((height * inputs).max(1)).zip(output.chunks_mut((height * outputs).max(1)))
        {
            let x = wide(x, inputs);
            let products: Vec<FlexTensor> = weight
                .par_chunks((block * inputs).max(1))
                .map(|weight| product::<Flex>(x.clone(), transposed::<Flex>(wide(weight, inputs))))
                .collect();
            output.par_chunks_mut(outputs.max(1)).enumerate().for_each(|(row, output)| {
                for (product, output) in products.iter().zip(output.chunks_mut(block)) {
                    let width = output.len();
                    round(&product.storage::<f32>()[row * width..(row + 1) * width], output);
                }
            });
        }
        FlexTensor::from_data(TensorData::new(output, [rows, outputs]))
    }

    fn project_rows_back(y: FlexTensor, weight: FlexTensor) -> FlexTensor {
        if weight.dtype() == DType::F32 {
            return product::<Flex>(y, weight);
        }
        let (y, weight) = (y.to_contiguous(), weight.to_contiguous());
        let ([rows, outputs], inputs) = (dims(&y), dims(&weight)[1]);
        let (y, weight) = (y.storage::<bf16>(), weight.storage::<bf16>());
        // The blocks are summed one after another, in their order: the same numbers on every machine's threads.
        let block = (16 * BLOCK_VALUES / inputs.max(1)).clamp(1, outputs.max(1));
        let height = height(inputs);
        let mut output = vec![bf16::ZERO; rows * inputs];
        for (y, output) in
            y.chunks((height * outputs).max(1)).zip(output.chunks_mut((height * inputs).max(1)))
        {
            let count = y.len() / outputs;
            let mut sum: Option<FlexTensor> = None;
            for (number, weight) in weight.chunks(block * inputs).enumerate() {
                let width = weight.len() / inputs;
                let part: Vec<bf16> = y
                    .chunks_exact(outputs)
                    .flat_map(|row| &row[number * block..number * block + width])
                    .copied()
                    .collect();
                let product = product::<Flex>(wide(&part, width), wide(weight, inputs));
                sum = Some(match sum {
                    None => product,
                    Some(sum) => added::<Flex>(sum, product),
                });
            }
            if let Some(sum) = sum {
                round(&sum.storage::<f32>()[..count * inputs], output);
            }
        }
        FlexTensor::from_data(TensorData::new(output, [rows, inputs]))
    }
}

/// Rows of `width` values whose f32 form takes no more than it may.
fn height(width: usize) -> usize {
    (ROW_BYTES / (size_of::<f32>() * width.max(1))).max(1)
}

/// Rows of `width` values in f32.
fn wide(values: &[bf16], width: usize) -> FlexTensor {
    let wide: Vec<f32> = values.iter().map(|v| f32::from_bits(u32::from(v.to_bits()) << 16)).collect();
    let rows = values.len() / width.max(1);
    FlexTensor::from_data(TensorData::new(wide, [rows, width]))
}

fn round(values: &[f32], rounded: &mut [bf16]) {
    for (rounded, value) in rounded.iter_mut().zip(values) {
        *rounded = bf16::from_f32(*value);
    }
}

fn dims(tensor: &FlexTensor) -> [usize; 2] {
    let shape = tensor.layout().shape();
    [shape[0], shape[1]]
}

fn product<B: Backend>(left: FloatTensor<B>, right: FloatTensor<B>) -> FloatTensor<B> {
    B::float_matmul(left, right)
}

fn transposed<B: Backend>(tensor: FloatTensor<B>) -> FloatTensor<B> {
    B::float_transpose(tensor)
}

fn added<B: Backend>(left: FloatTensor<B>, right: FloatTensor<B>) -> FloatTensor<B> {
    B::float_add(left, right)
}
