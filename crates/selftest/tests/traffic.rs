//! What goes between host and device for a token and for a micro-batch, counted on a CubeCL runtime: a change that launches
//! more, or waits where nothing waited, is told here. A process of its own: everything that it launches counts.
#![cfg(feature = "wgpu")]
#![allow(clippy::unwrap_used)] // In helpers too.

use burn::tensor::{DType, Device, DeviceKind, Tensor};
use std::ops::ControlFlow;
use vigos_kernels::{Traffic, counted};
use vigos_models::gradient::Keep;
use vigos_models::source::Kept;
use vigos_models::{
    ActiveAdapter, Adapter, Dropout, DropoutPair, LoraConfig, Projection, VisionLanguageModel,
};
use vigos_processor::{Grid, ImagePatches, ImageSlot, Sequence};
use vigos_rollout::engine::{Engine, Request};
use vigos_rollout::sampler::Sampling;

fn model(device: &Device) -> Box<dyn VisionLanguageModel> {
    let folder = "../../assets/tiny-qwen2_5-vl".as_ref();
    vigos_qwen::families().load(folder, device, Kept::from(DType::F32)).unwrap()
}

fn adapter(model: &dyn VisionLanguageModel) -> Adapter {
    let targets = Projection::ALL.to_vec();
    let config = LoraConfig { rank: 4, alpha: 8.0, dropout: 0.05, targets };
    Adapter::init(&config, model.architecture(), 1, model.device())
}

/// A prompt with an image of four tokens.
fn prompt(model: &dyn VisionLanguageModel, text: u32) -> (Sequence, ImagePatches) {
    let shape = model.architecture();
    let grid = Grid { t: 1, h: 4, w: 4 };
    let values = vec![0.5; grid.patches() * shape.vision.patch_values()];
    let image = vec![shape.image_token_id; grid.tokens(shape.vision.spatial_merge_size)];
    let ids = [vec![1, 2, 3], image, (0..text).collect()].concat();
    let images = vec![ImageSlot { start: 3, grid }];
    (Sequence { ids, images }, ImagePatches { grid, values })
}

/// What two rows cost that decode together, for one more token of both.
fn of_a_token(device: &Device) -> (Traffic, Traffic) {
    let model = model(device);
    let adapter = adapter(model.as_ref());
    let prompts = [prompt(model.as_ref(), 9), prompt(model.as_ref(), 4)];
    let images = prompts.each_ref().map(|(_, image)| [image.clone()]);
    let requests: Vec<Request> = prompts
        .iter()
        .zip(&images)
        .zip(0..)
        .map(|(((prompt, _), images), sample)| Request { prompt, images, sample })
        .collect();
    let complete = |tokens| {
        let engine = Engine {
            model: model.as_ref(),
            adapter: Some(ActiveAdapter { adapter: &adapter, dropout: None }),
            sampling: Sampling::default(),
            stops: &[],
            max_new_tokens: tokens,
            rows: 2,
            seed: 0,
            step: 0,
        };
        counted(|| engine.run(&requests, &mut |_| ControlFlow::Continue(())).unwrap()).1
    };
    // What is compiled or chosen by trial is so before anything counts.
    complete(8);
    (complete(8), complete(9))
}

/// A student's forward and backward of two sequences.
fn of_a_micro_batch(device: &Device) -> Traffic {
    let model = model(device);
    let adapter = adapter(model.as_ref());
    let prompts = [prompt(model.as_ref(), 40), prompt(model.as_ref(), 25)];
    let step = || {
        let sequences: Vec<&Sequence> = prompts.iter().map(|(sequence, _)| sequence).collect();
        let images: Vec<&ImagePatches> = prompts.iter().map(|(_, image)| image).collect();
        let packed = model.pack(&sequences).unwrap();
        let rows = |count: usize| (0..count as u64).map(|row| (1, row));
        let dropout = DropoutPair {
            vision: Dropout::new(0.05, 1, 1, rows(32), device),
            text: Dropout::new(0.05, 1, 1, rows(packed.rows()), device),
        };
        let active = ActiveAdapter { adapter: &adapter, dropout: Some(&dropout) };
        let (hidden, trace) = model.forward_traced(&packed, &images, active, Keep::Graphs);
        let upstream = Tensor::ones(hidden.dims(), device);
        let gradient = model.backward(trace, upstream, &packed, active);
        device.sync().unwrap();
        drop(gradient);
    };
    step();
    counted(step).1
}

/// Kernels for each layer: a norm, three products, one that turns, stores and attends, a product with the residual, a norm, two
/// products, the gate, and a product with the residual. Each product with its bias and its low-rank update.
const OF_A_LAYER: u64 = 11;
/// Besides: the embeddings, the last norm, the head, and its highest logits.
const OF_A_TOKEN: u64 = 4;
/// The newest tokens, and the cosines and sines of their positions.
const UPLOADS: u64 = 2;
/// Of a row: the twenty likeliest tokens, twelve more that may equal the last, and three numbers.
const READ: u64 = 4 * (2 * (20 + 12) + 3);
/// Forward and backward of three decoder layers and three vision blocks, all with an adapter.
const OF_A_MICRO_BATCH: u64 = 640;
/// Of a micro-batch, of which two for dropout: a pair of words for each row of both towers, whatever the number of layers.
const UPLOADS_OF_A_MICRO_BATCH: u64 = 14;

#[test]
fn a_token_and_a_micro_batch_cost_no_more_than_the_table_says() {
    let device = Device::wgpu(DeviceKind::DefaultDevice);
    let (fewer, more) = of_a_token(&device);
    let a_token = |count: fn(&Traffic) -> u64| count(&more) - count(&fewer);
    assert_eq!(a_token(|t| t.reads), 1);
    assert!(a_token(|t| t.uploads) <= UPLOADS, "{more:#?}");
    assert!(a_token(|t| t.read_bytes) <= 2 * READ, "{more:#?}");
    assert!(a_token(Traffic::launched) <= 3 * OF_A_LAYER + OF_A_TOKEN, "{fewer:#?} {more:#?}");

    let micro_batch = of_a_micro_batch(&device);
    assert_eq!(micro_batch.reads, 0);
    assert!(micro_batch.uploads <= UPLOADS_OF_A_MICRO_BATCH, "{micro_batch:#?}");
    assert!(micro_batch.launched() <= OF_A_MICRO_BATCH, "{micro_batch:#?}");
}
