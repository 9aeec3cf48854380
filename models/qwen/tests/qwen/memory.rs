//! What the published shapes take, against numbers worked out by hand.

use crate::common::architecture_of;
use burn::tensor::DType;
use std::path::Path;
use std::sync::Arc;
use vigos_models::memory::{Footprint, adapter_values};
use vigos_models::{AdapterConfig, Architecture, LoraConfig, Projection};

fn published(name: &str) -> Arc<Architecture> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/configs/{name}.json"));
    architecture_of(&path)
}

/// Parameters; keys and values of a token in bf16: layers · 2 · key/value heads · 128 · 2; values of an adapter of
/// rank 64 on all seven layers; patches of an image token in f32: 4 · 3 · 2 · patch² · 4; the inputs of all layers and
/// of the last norm for a token in bf16: (layers + 1) · width · 2; the largest tensor of a layer: one of its MLP.
const SHAPES: [(&str, u64, u64, u64, u64, u64, u64); 5] = [
    ("qwen2_5-vl-3b", 3_754_622_976, 36_864, 148_611_072, 18_816, 151_552, 11_008 * 2048),
    ("qwen2_5-vl-7b", 8_292_166_656, 57_344, 190_357_504, 18_816, 207_872, 18_944 * 3584),
    ("qwen3-vl-2b", 2_127_532_032, 114_688, 69_730_304, 24_576, 118_784, 6144 * 2048),
    ("qwen3-vl-4b", 4_437_815_808, 147_456, 132_120_576, 24_576, 189_440, 9728 * 2560),
    ("qwen3-vl-8b", 8_767_123_696, 147_456, 174_587_904, 24_576, 303_104, 12_288 * 4096),
];

#[test]
fn published_shapes_take_what_a_hand_calculation_says() {
    for (name, parameters, cached, adapter, patches, kept, largest) in SHAPES {
        let config = published(name);
        let (half, whole) = (Footprint::new(&config, DType::BF16), Footprint::new(&config, DType::F32));
        assert_eq!(half.parameters(), parameters, "{name}");
        assert_eq!((half.weights(), whole.weights()), (2 * parameters, 4 * parameters), "{name}");
        assert_eq!((half.keys_and_values(1), whole.keys_and_values(10)), (cached, 20 * cached), "{name}");
        assert_eq!((half.patches(1), whole.patches(3)), (patches, 3 * patches), "{name}");
        assert_eq!((half.kept(1, 0), whole.kept(5, 0)), (kept, 10 * kept), "{name}");
        assert_eq!(half.loading(), 4 * largest, "{name}");
        let values: usize = config.sites(&Projection::ALL).iter().map(|s| 64 * (s.input + s.output)).sum();
        assert_eq!(values as u64, adapter, "{name}");
    }
}

#[test]
fn features_have_a_part_for_each_deepstack_merger() {
    let [plain, deep] = ["qwen2_5-vl-3b", "qwen3-vl-2b"].map(published);
    assert_eq!(Footprint::new(&plain, DType::BF16).features(7), 7 * 2048 * 2);
    assert_eq!(Footprint::new(&deep, DType::BF16).features(7), 7 * 2048 * 2 * 4);
}

#[test]
fn an_adapter_s_layers_count_with_ranks_of_their_own() {
    let model = published("qwen2_5-vl-3b");
    let plain =
        LoraConfig { rank: 8, alpha: 16.0, dropout: 0.0, targets: vec![Projection::Query, Projection::Key] };
    let mut config = AdapterConfig::from(&plain);
    let values = |config: &AdapterConfig| adapter_values(&config.placements(&model).unwrap());
    // Widths of queries and keys: 16 and 2 heads of 128.
    let (query, key) = (2048 + 2048, 2048 + 256);
    assert_eq!(values(&config), 36 * 8 * (query + key));
    config.rank_pattern = vec![("layers\\.0\\.self_attn\\.q_proj".into(), 64), ("k_proj".into(), 2)];
    assert_eq!(values(&config), 64 * query + 35 * 8 * query + 36 * 2 * key);
}

#[test]
fn no_number_of_tokens_overflows() {
    for (name, ..) in SHAPES {
        let config = published(name);
        let of = Footprint::new(&config, DType::F32);
        let most = u64::MAX / 2;
        let parts = [
            of.keys_and_values(most),
            of.patches(most),
            of.features(most),
            of.vision_forward(most, true),
            of.text_forward(most, true),
            of.kept(most, most),
            of.text_graph(most),
            of.vision_graph(most),
            of.logits(most),
            of.loss(most, most, most),
        ];
        assert!(parts.iter().all(|bytes| *bytes > most), "{name}: {parts:?}");
    }
}
