//! Files from anywhere: whatever they hold, reading them ends in a value or in an error, never in a panic.

use crate::common;

use burn::tensor::{DType, Device};
use common::tiny_folder;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::{Arc, LazyLock};
use vigos_models::weights::Weights;
use vigos_models::{Architecture, ConfigFile};

/// A small valid file of three tensors.
static SMALL: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let header = json!({
        "__metadata__": {"format": "pt"},
        "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "b": {"dtype": "BF16", "shape": [4], "data_offsets": [24, 32]},
        "c": {"dtype": "I64", "shape": [], "data_offsets": [32, 40]},
    });
    let header = header.to_string().into_bytes();
    [&(header.len() as u64).to_le_bytes()[..], &header, &[1; 40]].concat()
});

static CONFIG: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_slice(&std::fs::read(tiny_folder().join("config.json")).unwrap()).unwrap()
});

/// Opens `bytes` as a file and reads whatever it claims to hold.
fn read_everything(bytes: &[u8]) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.safetensors");
    std::fs::write(&file, bytes).unwrap();
    let Ok(weights) = Weights::open_file(&file) else { return };
    for name in weights.names() {
        let count = weights.shape(name).unwrap().iter().product();
        let _ = weights.tensor(name, [count], &Device::flex(), DType::F32);
        let _ = weights.tensor(name, [3, 7], &Device::flex(), DType::F32);
    }
    let _ = weights.check(&[], &["a"]);
}

/// Parses a configuration; what it accepts must have a layout that can be computed with.
fn parse(config: &Value) -> bool {
    let Some(model) = parse_text(&config.to_string()) else { return false };
    let total: u128 = model
        .parameters
        .iter()
        .map(|p| p.shape.iter().map(|n| *n as u128).product::<u128>())
        .inspect(|n| assert!(*n < 1 << 60, "{model:?}"))
        .sum();
    total > 0
}

/// What the text describes, if it is a configuration.
fn parse_text(text: &str) -> Option<Arc<Architecture>> {
    let file = ConfigFile::parse(text, Path::new("config.json")).ok()?;
    Some(vigos_qwen::families().parse(&file).ok()?.architecture().clone())
}

/// The paths of all values of a document.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(map) => map.iter().for_each(|(k, v)| pointers(v, &format!("{at}/{k}"), found)),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(i, v)| pointers(v, &format!("{at}/{i}"), found));
        }
        _ => {}
    }
}

fn odd_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        (0u64..70).prop_map(|n| json!(n)),
        (0u32..64).prop_map(|bits| json!(1u64 << bits)),
        any::<u64>().prop_map(|n| json!(n)),
        any::<i64>().prop_map(|n| json!(n)),
        any::<f64>().prop_map(|n| json!(n)),
        prop::collection::vec(any::<u32>(), 0..5).prop_map(|n| json!(n)),
        Just(json!([u64::MAX, u64::MAX, 2])),
        Just(Value::Null),
        Just(json!(true)),
        Just(json!({})),
        "[a-z0-9_]{0,8}".prop_map(|s| json!(s)),
    ]
}

#[test]
fn the_untouched_files_are_read() {
    assert!(parse(&CONFIG));
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x"), &*SMALL).unwrap();
    assert_eq!(Weights::open_file(&folder.path().join("x")).unwrap().names().count(), 3);
}

#[test]
fn no_single_number_of_a_configuration_can_be_too_large_to_compute_with() {
    let mut all = Vec::new();
    pointers(&CONFIG, "", &mut all);
    for at in all {
        for n in [0, 1, 3, 1 << 16, 1 << 20, 1 << 24, (1 << 24) + 1, 1 << 32, 1 << 63, u64::MAX] {
            let mut config = CONFIG.clone();
            *config.pointer_mut(&at).unwrap() = json!(n);
            parse(&config);
        }
    }
}

#[test]
fn the_largest_shapes_together_are_refused_rather_than_overflow() {
    let mut config = CONFIG.clone();
    let vision = config["vision_config"].as_object_mut().unwrap();
    for key in ["patch_size", "temporal_patch_size", "spatial_merge_size", "in_channels", "hidden_size"] {
        vision.insert(key.into(), json!(1 << 24));
    }
    vision.insert("window_size".into(), json!(1 << 24));
    assert!(!parse(&config));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn arbitrary_bytes_are_not_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        read_everything(&bytes);
    }

    #[test]
    fn an_arbitrary_header_is_not_a_panic(header in "[\\PC]{0,120}", data in prop::collection::vec(any::<u8>(), 0..20)) {
        let header = header.into_bytes();
        read_everything(&[&(header.len() as u64).to_le_bytes()[..], &header, &data].concat());
    }

    #[test]
    fn a_damaged_file_is_not_a_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
        whole in any::<bool>(),
    ) {
        let mut bytes = SMALL.clone();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if !whole {
            bytes.truncate(cut.index(bytes.len()));
        }
        read_everything(&bytes);
    }

    #[test]
    fn odd_numbers_in_a_header_are_not_a_panic(
        shape in prop::collection::vec(prop_oneof![0u64..9, any::<u64>()], 0..4),
        offsets in [prop_oneof![0u64..50, any::<u64>()], prop_oneof![0u64..50, any::<u64>()]],
        dtype in prop::sample::select(vec!["F32", "F16", "BF16", "F64", "I64", "BOOL", "F4", "F8_E4M3"]),
    ) {
        let header = json!({"a": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}).to_string().into_bytes();
        read_everything(&[&(header.len() as u64).to_le_bytes()[..], &header, &[0; 40]].concat());
    }

    #[test]
    fn an_odd_configuration_is_not_a_panic(changes in prop::collection::vec((any::<prop::sample::Index>(), odd_value()), 1..8)) {
        let mut config = CONFIG.clone();
        for (at, value) in changes {
            let mut all = Vec::new();
            pointers(&config, "", &mut all);
            // The whole document is a place as well, and then there is nothing left to change.
            let at = &all[at.index(all.len())];
            *config.pointer_mut(at).unwrap() = value;
        }
        parse(&config);
    }

    #[test]
    fn an_arbitrary_text_is_not_a_panic(text in "[\\PC]{0,80}") {
        let _ = parse_text(&text);
    }
}
