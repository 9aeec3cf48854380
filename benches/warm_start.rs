//! Samples a second of full training on a small model: forward, cross entropy and backward of every weight.
//!
//!     cargo bench -p vigos-qwen --bench warm_start -- [STEPS]

#![allow(clippy::print_stdout)] // What a benchmark is for.

use burn::tensor::{Device, Tensor};
use std::time::Instant;
use vigos_models::cross_entropy::cross_entropy_with_head;
use vigos_models::gradient::Keep;
use vigos_models::init::init;
use vigos_models::{ConfigFile, Parameters, Sequence, Target};
use vigos_processor::{Grid, ImagePatches, ImageSlot};

/// 1.2 million parameters.
const CONFIG: &str = r#"{
    "model_type": "qwen2_5_vl", "image_token_id": 499,
    "hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 4, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 500, "rms_norm_eps": 1e-6, "rope_theta": 1e6,
    "rope_scaling": {"type": "mrope", "mrope_section": [4, 6, 6]}, "tie_word_embeddings": true,
    "initializer_range": 0.02, "hidden_act": "silu",
    "vision_config": {"depth": 4, "hidden_size": 64, "intermediate_size": 128, "num_heads": 2, "in_channels": 3,
        "out_hidden_size": 128, "patch_size": 14, "spatial_merge_size": 2, "temporal_patch_size": 2,
        "window_size": 112, "fullatt_block_indexes": [1, 3], "hidden_act": "silu"}
}"#;
const BATCH: usize = 32;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let steps: usize = std::env::args().find_map(|a| a.parse().ok()).unwrap_or(10);
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("in.json");
    std::fs::write(&file, CONFIG)?;
    let out = folder.path().join("model");
    let file = ConfigFile::read(&file)?;
    let config = vigos_qwen::families().parse(&file)?;
    init(config.architecture(), &file, &out, 1)?;
    let device = Device::flex();
    let parameters = Parameters::load(config.architecture(), &out, &device)?;
    println!("{} parameters, {BATCH} samples a step, {steps} steps", parameters.count());

    let grid = Grid { t: 1, h: 6, w: 6 };
    let images: Vec<ImagePatches> =
        (0..BATCH).map(|i| ImagePatches { grid, values: vec![0.01 * i as f32; 36 * 1176] }).collect();
    let images: Vec<&ImagePatches> = images.iter().collect();
    let sequences: Vec<Sequence> = (0..BATCH)
        .map(|i| {
            let length = 60 + (i * 7) % 31;
            let mut ids: Vec<u32> = (0..length as u32).map(|t| (t * 13 + i as u32) % 499).collect();
            ids[4..13].fill(499);
            Sequence { ids, images: vec![ImageSlot { start: 4, grid }] }
        })
        .collect();
    let model = config.freeze(&parameters, &device);
    let packed = model.pack(&sequences.iter().collect::<Vec<_>>())?;
    let last = |i: usize| packed.targets(i, sequences[i].ids.len() - 40..sequences[i].ids.len());
    let targets: Vec<Target> = (0..BATCH).flat_map(last).collect();
    let weight = 1.0 / targets.len() as f64;
    let loss = |hidden: &Tensor<2>| cross_entropy_with_head(&*model, hidden, &targets, weight, 4096);
    for (what, keep) in [("blocks run again", Keep::Inputs), ("graphs kept", Keep::Graphs)] {
        time(what, steps, || {
            let (hidden, trace) = model.forward_traced_all(&parameters, &packed, &images, keep);
            model.backward_all(&parameters, trace, loss(&hidden)?.1, &packed);
            Ok(())
        })?;
    }
    Ok(())
}

/// Times `step` after a first run that warms up.
fn time(
    what: &str,
    steps: usize,
    mut step: impl FnMut() -> Result<(), Box<dyn std::error::Error>>,
) -> Result<(), Box<dyn std::error::Error>> {
    step()?;
    let begin = Instant::now();
    for _ in 0..steps {
        step()?;
    }
    let seconds = begin.elapsed().as_secs_f64() / steps as f64;
    println!("{what}: {:.1} ms, {:.1} samples a second", 1e3 * seconds, BATCH as f64 / seconds);
    Ok(())
}
