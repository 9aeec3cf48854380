//! Checkpoints that start from nothing.

use crate::common;

use burn::tensor::{DType, Device};
use common::folders::{Tensors, read_tensors};
use common::{init, tiny_folder};
use safetensors::tensor::Dtype;
use std::path::Path;
use vigos_models::ModelError;
use vigos_models::VisionLanguageModel;
use vigos_processor::Processor;
use vigos_qwen::Model;

fn fresh(config: &Path, seed: u64) -> (tempfile::TempDir, Tensors) {
    let out = tempfile::tempdir().unwrap();
    init(config, &out.path().join("model"), seed).unwrap();
    let tensors = read_tensors(&out.path().join("model/model.safetensors"));
    (out, tensors)
}

/// The tiny configuration with its `dtype` replaced, in a folder of its own.
fn config_of(dtype: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = std::fs::read_to_string(tiny_folder().join("config.json")).unwrap();
    let changed = text.replace(r#""dtype": "float32""#, &format!(r#""dtype": "{dtype}""#));
    std::fs::write(folder.path().join("config.json"), changed).unwrap();
    folder
}

#[test]
fn the_weights_are_a_function_of_the_seed() {
    let config = tiny_folder().join("config.json");
    let ((_a, first), (_b, same), (_c, other)) = (fresh(&config, 7), fresh(&config, 7), fresh(&config, 8));
    assert!(first == same);
    for (name, tensor) in &first {
        // Norm scales and biases are constants.
        let constant = tensor.shape.len() == 1;
        assert_eq!(constant, tensor == &other[name], "{name}");
    }
    let files = [_a, _b].map(|folder| std::fs::read(folder.path().join("model/model.safetensors")).unwrap());
    assert!(files[0] == files[1], "the files are the same to the byte");
}

#[test]
fn weights_have_the_deviation_that_the_configuration_says_norms_are_one_and_biases_zero() {
    let (_folder, tensors) = fresh(&tiny_folder().join("config.json"), 1);
    for (name, tensor) in tensors {
        let values = tensor.values();
        if name.ends_with(".bias") {
            assert!(values.iter().all(|v| *v == 0.0), "{name}");
        } else if tensor.shape.len() == 1 {
            assert!(values.iter().all(|v| *v == 1.0), "{name}");
        } else {
            let n = values.len() as f64;
            let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
            let square = values.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>() / n;
            // Five standard errors of each.
            assert!(mean.abs() < 5.0 * 0.02 / n.sqrt(), "{name}: mean {mean}");
            assert!((square / 0.02f64.powi(2) - 1.0).abs() < 5.0 * (2.0 / n).sqrt(), "{name}: {square}");
        }
    }
}

#[test]
fn a_fresh_folder_is_a_whole_model() {
    let (out, _) = fresh(&tiny_folder().join("config.json"), 1);
    let folder = out.path().join("model");
    let model = Model::load(&folder, &Device::flex(), DType::F32).unwrap();
    let logits = model.logits_at(
        &model.forward(
            &model.pack(&[&vigos_models::Sequence { ids: vec![1, 2, 3], images: vec![] }]).unwrap(),
            &[],
            None,
            &mut (),
        ),
        &[2],
    );
    assert!(logits.abs().max().into_scalar::<f32>().is_finite());
    Processor::from_dir(&folder).unwrap();
}

#[test]
fn weights_are_stored_in_the_dtype_of_the_configuration() {
    let (_exact, exact) = fresh(&tiny_folder().join("config.json"), 3);
    for (name, dtype) in [("float16", Dtype::F16), ("bfloat16", Dtype::BF16)] {
        let config = config_of(name);
        let (folder, tensors) = fresh(&config.path().join("config.json"), 3);
        assert!(tensors.values().all(|t| t.dtype == dtype));
        let embeddings = &tensors["model.embed_tokens.weight"].bytes;
        let rounded = |v: f32| match dtype {
            Dtype::F16 => half::f16::from_f32(v).to_le_bytes(),
            _ => half::bf16::from_f32(v).to_le_bytes(),
        };
        let wanted: Vec<u8> =
            exact["model.embed_tokens.weight"].values().into_iter().flat_map(rounded).collect();
        assert!(*embeddings == wanted, "{name}: the same draws, rounded");
        Model::load(&folder.path().join("model"), &Device::flex(), DType::F32).unwrap();
    }
    let config = config_of("int8");
    let error = init(&config.path().join("config.json"), &config.path().join("out"), 0).unwrap_err();
    assert!(error.to_string().contains("torch_dtype") && error.to_string().contains("int8"), "{error}");
}

#[test]
fn a_folder_that_holds_anything_is_left_alone() {
    let config = tiny_folder().join("config.json");
    let model = "there is a model already";
    for (name, found) in [
        ("config.json", model),
        ("model.safetensors", model),
        ("model.safetensors.index.json", model),
        ("notes.txt", "the folder is not empty"),
    ] {
        let out = tempfile::tempdir().unwrap();
        std::fs::write(out.path().join(name), b"mine").unwrap();
        let error = init(&config, out.path(), 0).unwrap_err();
        assert!(matches!(error, ModelError::Taken { .. }) && error.is_input(), "{error}");
        assert!(error.to_string().contains(found), "{error}");
        let left: Vec<_> = std::fs::read_dir(out.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, [name]);
        assert_eq!(std::fs::read(out.path().join(name)).unwrap(), b"mine");
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = init(&config, file.path(), 0).unwrap_err();
    assert!(error.to_string().contains("no folder"), "{error}");
}
