//! An update of AdamW: a unit for some neighbouring values, one launch for a tensor.

use crate::launch::{dense, each, like, owned, vector_size};
use burn_cubecl::tensor::CubeTensor;
use cubecl::prelude::*;

/// The numbers of an update in f32.
#[derive(Clone, Copy, Debug)]
pub struct Update {
    /// How much of both moments is kept.
    pub betas: [f32; 2],
    /// How much of the gradient, and of its square, is added to them.
    pub rests: [f32; 2],
    /// What both moments are divided by.
    pub corrections: [f32; 2],
    /// Is added to the root of the second one.
    pub epsilon: f32,
    /// The learning rate.
    pub lr: f32,
    /// What is left of the weight; exactly 1 where it does not decay.
    pub kept: f32,
}

/// Weight and moments after an update, all f32 and of one shape. The moments are changed where they lie, unless somebody
/// else holds them.
pub fn adamw(
    weight: CubeTensor,
    gradient: CubeTensor,
    [mean, square]: [CubeTensor; 2],
    update: Update,
) -> [CubeTensor; 3] {
    let [weight, gradient] = dense([weight, gradient]);
    let [mean, square] = [mean, square].map(owned);
    let out = like(&weight);
    let (client, count) = (weight.client.clone(), weight.meta.num_elements());
    if count == 0 {
        return [out, mean, square];
    }
    let vector = vector_size(&weight, count);
    let (cubes, units) = each(&client, count / vector);
    let Update { betas, rests, corrections, epsilon, lr, kept } = update;
    step::launch(
        &client,
        cubes,
        units,
        weight.required_address_type(),
        vector,
        weight.into_tensor_arg(),
        gradient.into_tensor_arg(),
        mean.clone().into_tensor_arg(),
        square.clone().into_tensor_arg(),
        out.clone().into_tensor_arg(),
        betas[0],
        betas[1],
        rests[0],
        rests[1],
        corrections[0],
        corrections[1],
        epsilon,
        lr,
        kept,
    );
    [out, mean, square]
}

/// `m ← β₁m + (1 − β₁)g`, `s ← β₂s + (1 − β₂)g²`, `w·kept − lr·(m/c₁)/(√(s/c₂) + ε)`.
#[cube(launch, address_type = "dynamic")]
pub(crate) fn step<N: Size>(
    weight: &Tensor<Vector<f32, N>>,
    gradient: &Tensor<Vector<f32, N>>,
    mean: &mut Tensor<Vector<f32, N>>,
    square: &mut Tensor<Vector<f32, N>>,
    out: &mut Tensor<Vector<f32, N>>,
    beta_mean: f32,
    beta_square: f32,
    rest_mean: f32,
    rest_square: f32,
    correction_mean: f32,
    correction_square: f32,
    epsilon: f32,
    lr: f32,
    kept: f32,
) {
    let i = ABSOLUTE_POS;
    if i >= out.len() {
        terminate!();
    }
    let (weights, gradients, means, squares) = (weight[i], gradient[i], mean[i], square[i]);
    let mut new_mean = Vector::<f32, N>::zeroed();
    let mut new_square = Vector::<f32, N>::zeroed();
    let mut made = Vector::<f32, N>::zeroed();
    #[unroll]
    for lane in 0..N::value() {
        let g = gradients.extract(lane);
        let m = means.extract(lane) * beta_mean + g * rest_mean;
        let s = squares.extract(lane) * beta_square + g * g * rest_square;
        let change = m / correction_mean / ((s / correction_square).sqrt() + epsilon) * lr;
        new_mean.insert(lane, m);
        new_square.insert(lane, s);
        made.insert(lane, weights.extract(lane) * kept - change);
    }
    mean[i] = new_mean;
    square[i] = new_square;
    out[i] = made;
}
