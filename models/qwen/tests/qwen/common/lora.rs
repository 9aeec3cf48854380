//! Adapters that tests share.

use burn::tensor::{DType, Tensor, TensorData};
use vigos_core::random::{Key, Purpose, draws};
use vigos_models::{Adapter, LoraConfig, Projection};
use vigos_qwen::Model;

pub fn lora_config(targets: &[Projection]) -> LoraConfig {
    LoraConfig { rank: 4, alpha: 8.0, dropout: 0.05, targets: targets.to_vec() }
}

/// Standard normal values.
pub fn normal(shape: [usize; 2], number: u64, model: &Model) -> Tensor<2> {
    let mut stream = draws(Purpose::Initialisation, Key { seed: 99, sample: number, ..Default::default() });
    let drawn: Vec<f32> = (0..shape[0] * shape[1]).map(|_| stream.normal() as f32).collect();
    Tensor::from_data(TensorData::new(drawn, shape), (&model.device, DType::F32))
}

/// An adapter of which no tensor is zero.
pub fn random_adapter(config: &LoraConfig, model: &Model) -> Adapter {
    let mut number = 0;
    Adapter::init(config, &model.architecture, 5, &model.device).map(|_, tensor| {
        number += 1;
        normal(tensor.dims(), number, model) * 0.05
    })
}
