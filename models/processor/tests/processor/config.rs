//! `preprocessor_config.json` is read in all its forms and believed in none of its numbers.

use vigos_processor::ImageConfig;
use vigos_processor::config::ConfigError;

const CHANNELS: &str = r#""image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]"#;

fn read(keys: &str) -> Result<ImageConfig, ConfigError> {
    ImageConfig::from_json(format!("{{{keys}}}").as_bytes())
}

#[test]
fn pixel_bounds_come_from_either_form_and_the_plain_keys_win() {
    let size = r#""size": {"shortest_edge": 65536, "longest_edge": 16777216}"#;
    let config = read(&format!("{CHANNELS}, {size}")).unwrap();
    assert_eq!((config.min_pixels, config.max_pixels), (65_536, 16_777_216));
    let config = read(&format!(r#"{CHANNELS}, {size}, "min_pixels": 3136, "max_pixels": 12845056"#)).unwrap();
    assert_eq!((config.min_pixels, config.max_pixels), (3136, 12_845_056));
}

#[test]
fn the_published_form_of_qwen3_vl_is_read() {
    let config = ImageConfig::from_json(
        br#"{
            "size": {"longest_edge": 16777216, "shortest_edge": 65536},
            "patch_size": 16,
            "temporal_patch_size": 2,
            "merge_size": 2,
            "image_mean": [0.5, 0.5, 0.5],
            "image_std": [0.5, 0.5, 0.5],
            "processor_class": "Qwen3VLProcessor",
            "image_processor_type": "Qwen2VLImageProcessorFast"
        }"#,
    )
    .unwrap();
    assert_eq!((config.patch_size, config.merge_size, config.temporal_patch_size), (16, 2, 2));
    assert_eq!((config.min_pixels, config.max_pixels), (65_536, 16_777_216));
    assert_eq!((config.mean, config.std), ([0.5; 3], [0.5; 3]));
    assert_eq!(config.factor(), 32);
    // A side is a multiple of 32 pixels, where Qwen2.5-VL has 28.
    assert_eq!(config.resized(300, 500).unwrap(), (288, 512));
}

#[test]
fn steps_can_be_turned_off() {
    let off = r#""do_resize": false, "do_rescale": false, "do_normalize": false"#;
    let config = read(&format!("{CHANNELS}, {off}")).unwrap();
    assert!(!config.do_resize && !config.do_rescale && !config.do_normalize);
}

#[test]
fn bad_values_are_named() {
    for (keys, wanted_key) in [
        (r#""patch_size": 0"#, "patch_size"),
        (r#""patch_size": 1000, "merge_size": 16"#, "patch_size"),
        (r#""merge_size": 0"#, "merge_size"),
        (r#""temporal_patch_size": 99"#, "temporal_patch_size"),
        (r#""min_pixels": 0"#, "min_pixels"),
        (r#""min_pixels": 10, "max_pixels": 9"#, "min_pixels"),
        (r#""max_pixels": 99999999999"#, "max_pixels"),
        (r#""resample": 2"#, "resample"),
        (r#""rescale_factor": 0.0"#, "rescale_factor"),
        (r#""do_convert_rgb": false"#, "do_convert_rgb"),
    ] {
        match read(&format!("{CHANNELS}, {keys}")) {
            Err(ConfigError::Value { key, .. }) => assert_eq!(key, wanted_key, "{keys}"),
            other => panic!("{keys}: {other:?}"),
        }
    }
    for (keys, wanted_key) in [
        (r#""image_mean": [0.5], "image_std": [1, 1, 1]"#, "image_mean"),
        (r#""image_mean": [0.5, 1e300, 0], "image_std": [1, 1, 1]"#, "image_mean"),
        (r#""image_mean": [0.5, 0, 0], "image_std": [1, 0, 1]"#, "image_std"),
    ] {
        assert!(matches!(read(keys), Err(ConfigError::Value { key, .. }) if key == wanted_key), "{keys}");
    }
    assert!(matches!(read(""), Err(ConfigError::Missing { key: "image_mean" })));
    assert!(matches!(read("]"), Err(ConfigError::File(_))));
}
