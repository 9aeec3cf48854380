//! Weights and adapters in safetensors.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use burn::tensor::Device;
use safetensors::SafeTensors;
use vigos_models::weights::Weights;
use vigos_models::{Adapter, Architecture, ModelError, peft};

use crate::parts::measured;
use crate::scratch;

const SINGLE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const SHARDS: [&str; 2] = ["a.safetensors", "b.safetensors"];

/// Tensors lie in their files, one beside the other, with the bytes that the format's own library finds. A first byte
/// `i` is an index with two shards, `i LENGTH INDEX LENGTH SHARD SHARD`; any other is a single file.
pub fn weights(data: &[u8]) {
    match data.split_first() {
        Some((b'i', rest)) => {
            let (index, rest) = measured(rest);
            let (first, second) = measured(rest);
            scratch::write(&format!("split/{INDEX}"), index);
            for (name, shard) in SHARDS.into_iter().zip([first, second]) {
                scratch::write(&format!("split/{name}"), shard);
            }
            if let Ok(weights) = Weights::open(&scratch::folder().join("split")) {
                look(&weights);
            }
        }
        Some((_, file)) => {
            let path = scratch::write(&format!("single/{SINGLE}"), file);
            let opened = Weights::open(&scratch::folder().join("single"));
            assert_eq!(opened.is_ok(), Weights::open_file(&path).is_ok());
            match (opened, SafeTensors::deserialize(file)) {
                (Ok(weights), Ok(other)) => {
                    look(&weights);
                    assert_eq!(weights.names().count(), other.len());
                    for stored in weights.by_file().values().flatten() {
                        let tensor = other.tensor(&stored.name).expect("a tensor of this name");
                        assert_eq!((tensor.shape(), tensor.dtype()), (&stored.shape[..], stored.dtype));
                        assert_eq!(stored.read().ok().as_deref(), Some(tensor.data()));
                    }
                }
                (Ok(_), Err(error)) => panic!("the format's library refuses it: {error}"),
                (Err(_), _) => {}
            }
        }
        None => {}
    }
}

/// Every tensor is as long as its shape says, behind the one before it and before the end of its file.
fn look(weights: &Weights) {
    let mut values = 0;
    for (file, tensors) in weights.by_file() {
        let size = fs::metadata(file).map_or(0, |file| file.len());
        let bytes: usize = tensors.iter().map(|stored| stored.bytes).sum();
        assert!(8 + bytes as u64 <= size, "{bytes} bytes in a file of {size}");
        for stored in tensors {
            let count: usize = stored.shape.iter().product();
            assert_eq!(count * stored.dtype.bitsize(), stored.bytes * 8, "{stored:?}");
            assert_eq!(stored.read().map(|bytes| bytes.len()).ok(), Some(stored.bytes));
            values += stored.bytes / stored.bytes_per_value().max(1);
        }
    }
    assert_eq!(weights.values(), values as u64);
}

thread_local! {
    static TINY: Arc<Architecture> = {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let config = vigos_qwen::families().read(&root.join("assets/tiny-qwen2_5-vl"));
        config.expect("the tiny model's configuration is sound").architecture().clone()
    };
}

/// An adapter that loads is one that can be saved, and is the same when it is loaded from that.
/// `LENGTH CONFIGURATION TENSORS`
pub fn adapter(data: &[u8]) {
    let (config, tensors) = measured(data);
    scratch::write("adapter/adapter_config.json", config);
    scratch::write("adapter/adapter_model.safetensors", tensors);
    let Ok(adapter) = load("adapter") else { return };
    let again = scratch::folder().join("saved");
    peft::save(&adapter, "base", &again).expect("what was loaded can be saved");
    let saved = load("saved").expect("what was saved can be loaded");
    assert_eq!(saved.config, adapter.config);
    let values = |adapter: &Adapter| -> Vec<(String, Vec<u32>)> {
        let bits = |value: f32| value.to_bits();
        let tensors = adapter.tensors().into_iter();
        let all = tensors.map(|(name, tensor)| (name, tensor.try_into_vec_as::<f32>().expect("values")));
        all.map(|(name, values)| (name, values.into_iter().map(bits).collect())).collect()
    };
    assert!(values(&saved) == values(&adapter), "saved and loaded, another");
}

fn load(name: &str) -> Result<Adapter, ModelError> {
    TINY.with(|model| peft::load(&scratch::folder().join(name), model, &Device::flex()))
}
