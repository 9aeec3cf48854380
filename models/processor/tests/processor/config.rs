//! `preprocessor_config.json` is read in all its forms and believed in none of its numbers.

use vigos_processor::config::ConfigError;
use vigos_processor::{FileError, ImageConfig};

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
        refused(&format!("{CHANNELS}, {keys}"), wanted_key);
    }
    for (keys, wanted_key) in [
        (r#""image_mean": [0.5], "image_std": [1, 1, 1]"#, "image_mean"),
        (r#""image_mean": [0.5, 1e300, 0], "image_std": [1, 1, 1]"#, "image_mean"),
        (r#""image_mean": [0.5, 0, 0], "image_std": [1, 0, 1]"#, "image_std"),
        (r#""patch_size": "14""#, "patch_size"),
        (r#""patch_size": 14.5"#, "patch_size"),
        (r#""do_resize": 1"#, "do_resize"),
        (r#""size": {"height": 224, "width": 224}"#, "size"),
        (r#""size": 224"#, "size"),
        (r#""image_processor_type": "CLIPImageProcessor""#, "image_processor_type"),
    ] {
        refused(keys, wanted_key);
    }
    assert!(matches!(read("]"), Err(ConfigError::File(_))));
}

#[track_caller]
fn refused(keys: &str, wanted_key: &str) {
    match read(keys) {
        Err(ConfigError::File(FileError::Value { key, .. })) => assert_eq!(key, wanted_key, "{keys}"),
        other => panic!("{keys}: {other:?}"),
    }
}

#[test]
fn what_is_absent_or_null_has_the_default_of_its_class() {
    // Those of Transformers' Qwen2VLImageProcessor: OpenAI's CLIP, and 56 x 56 to 28 x 28 x 1280 pixels.
    for keys in ["", r#""image_mean": null, "size": null, "patch_size": null, "do_resize": null"#] {
        let config = read(keys).unwrap();
        assert_eq!((config.mean[0], config.std[0]), (0.481_454_66, 0.268_629_54));
        assert_eq!((config.min_pixels, config.max_pixels), (3136, 1_003_520));
        assert_eq!((config.patch_size, config.merge_size, config.temporal_patch_size), (14, 2, 2));
        assert!(config.do_resize && config.do_rescale && config.do_normalize);
    }
    // A number that stands for three, and whole numbers with a point.
    let config = read(r#""image_mean": 0.5, "image_std": [0.5, 0.5, 0.5], "patch_size": 16.0"#).unwrap();
    assert_eq!((config.mean, config.patch_size), ([0.5; 3], 16));
}

#[test]
fn settings_are_found_in_the_file_of_old_and_of_new_savers_and_the_new_one_counts() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    assert!(matches!(ImageConfig::from_dir(dir.path()), Err(ConfigError::Missing { .. })));
    write("preprocessor_config.json", r#"{"patch_size": 16}"#);
    assert_eq!(ImageConfig::from_dir(dir.path()).unwrap().patch_size, 16);
    write("processor_config.json", r#"{"processor_class": "Qwen2_5_VLProcessor"}"#);
    assert_eq!(ImageConfig::from_dir(dir.path()).unwrap().patch_size, 16);
    write("processor_config.json", r#"{"image_processor": {"patch_size": 12}}"#);
    assert_eq!(ImageConfig::from_dir(dir.path()).unwrap().patch_size, 12);
    write("processor_config.json", r#"{"image_processor": {"patch_size": 0}}"#);
    let refused = ImageConfig::from_dir(dir.path()).unwrap_err().to_string();
    assert!(refused.contains("processor_config.json:image_processor.patch_size"), "{refused}");
    write("processor_config.json", "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n");
    let refused = ImageConfig::from_dir(dir.path()).unwrap_err().to_string();
    assert!(refused.contains("Git LFS pointer") && refused.contains("git lfs pull"), "{refused}");
}
