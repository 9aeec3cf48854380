//! Samples a second of full training on a small model: forward, cross entropy and backward of every weight.
//!
//!     cargo bench -p vigos-models --bench warm_start -- [STEPS]

use burn::tensor::Device;
use std::time::Instant;
use vigos_models::cross_entropy::cross_entropy_with_head;
use vigos_models::init::init;
use vigos_models::scoring::Target;
use vigos_models::{Parameters, Sequence, Trained};
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
    init(&file, &out, 1)?;
    let device = Device::flex();
    let parameters = Parameters::load(&out, &device)?;
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
    let mut times = [0.0; 3];
    for step in 0..=steps {
        if step == 1 {
            // The first step warms up.
            times = [0.0; 3];
        }
        let mut begin = Instant::now();
        let mut lap = |i: usize| {
            times[i] += begin.elapsed().as_secs_f64();
            begin = Instant::now();
        };
        let model = parameters.freeze(&device);
        let packed = model.pack(&sequences)?;
        let (hidden, trace) = Parameters::forward_traced(&model, &packed, &images);
        lap(0);
        let mut first = 0;
        let mut targets = Vec::new();
        for sequence in &sequences {
            let ids = &sequence.ids;
            targets.extend((ids.len() - 40..ids.len()).map(|t| Target { row: first + t - 1, token: ids[t] }));
            first += ids.len();
        }
        let weight = 1.0 / targets.len() as f64;
        let (_, upstream) = cross_entropy_with_head(&model, &hidden, &targets, weight, 4096)?;
        lap(1);
        let gradient = parameters.backward(&model, trace, upstream, &packed);
        assert_eq!(gradient.tensors().len(), parameters.tensors().len());
        lap(2);
    }
    let [forward, loss, backward] = times.map(|t| 1e3 * t / steps as f64);
    let total = forward + loss + backward;
    println!("forward {forward:.1} ms, loss {loss:.1} ms, backward {backward:.1} ms");
    println!("{:.1} samples a second", 1e3 * BATCH as f64 / total);
    Ok(())
}
