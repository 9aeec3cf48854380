//! An operator's output and gradients as numbers, to be compared with those of a formula in f64.

use super::normal;
use burn::tensor::{DType, Device, Tensor, TensorData};

/// Some values and the shape that they have.
#[derive(Clone)]
pub struct Input {
    pub values: Vec<f32>,
    pub shape: [usize; 3],
}

pub fn input(seed: u64, shape: [usize; 3], deviation: f64) -> Input {
    Input { values: normal(seed, shape.iter().product(), deviation), shape }
}

impl Input {
    /// The same values, as this precision has them.
    #[cfg(feature = "flex")]
    pub fn rounded(&self, dtype: DType) -> Self {
        let values =
            Tensor::<3>::from_data(TensorData::new(self.values.clone(), self.shape), &Device::flex());
        Self { values: values.cast(dtype).cast(DType::F32).try_into_vec_as().unwrap(), shape: self.shape }
    }

    pub fn leaf(&self, device: &Device, dtype: DType) -> Tensor<3> {
        let data = TensorData::new(self.values.clone(), self.shape);
        Tensor::from_inner(Tensor::<3>::from_data(data, (device, DType::F32)).cast(dtype)).require_grad()
    }
}

/// `[a, b, c]` as `[a·b, c]`.
pub fn flat(x: Tensor<3>) -> Tensor<2> {
    let [a, b, c] = x.dims();
    x.reshape([a * b, c])
}

pub fn numbers<const D: usize>(x: Tensor<D>) -> Vec<f64> {
    x.try_into_vec_as().unwrap()
}

/// Output, and the gradient of every input under an upstream gradient that is the same for all.
pub fn run_on(
    device: &Device,
    inputs: &[Input],
    dtype: DType,
    f: impl Fn(&[Tensor<3>]) -> Tensor<2>,
) -> Vec<Vec<f64>> {
    let leaves: Vec<Tensor<3>> = inputs.iter().map(|input| input.leaf(device, dtype)).collect();
    let output = f(&leaves);
    let shape = output.dims();
    let upstream = normal(99, shape[0] * shape[1], 1.0);
    let upstream = Tensor::<2>::from_data(TensorData::new(upstream, shape), (device, DType::F32));
    let found = (output.clone() * Tensor::from_inner(upstream.cast(dtype))).sum().backward();
    let gradients = leaves.iter().map(|leaf| numbers(leaf.grad(&found).unwrap()));
    std::iter::once(numbers(output.inner())).chain(gradients).collect()
}

/// [`run_on`] the CPU, where there is f64.
#[cfg(feature = "flex")]
pub fn run(inputs: &[Input], dtype: DType, f: impl Fn(&[Tensor<3>]) -> Tensor<2>) -> Vec<Vec<f64>> {
    run_on(&Device::flex(), inputs, dtype, f)
}

#[track_caller]
pub fn same(found: &[Vec<f64>], wanted: &[Vec<f64>], tolerance: f64, what: &str) {
    for (part, (found, wanted)) in found.iter().zip(wanted).enumerate() {
        assert_eq!(found.len(), wanted.len(), "{what}, part {part}");
        let largest = wanted.iter().fold(0.0f64, |most, value| most.max(value.abs()));
        for (found, wanted) in found.iter().zip(wanted) {
            // What cancels is as exact as what it is made of: values and upstream gradients of about one.
            let bound = tolerance * largest.max(1.0);
            assert!((found - wanted).abs() <= bound, "{what}, part {part}: found {found}, wanted {wanted}");
        }
    }
}
