//! A merged folder is the base with its adapter, and otherwise the base.

use crate::common;

use burn::tensor::{DType, Device};
use common::{Case, architecture, assert_close, fixtures, tiny_folder, tiny_processor};
use std::collections::BTreeMap;
use std::path::Path;
use vigos_models::merge::merge;
use vigos_models::{ActiveAdapter, peft};
use vigos_qwen::Model;

/// Shape and bytes of each tensor.
type Shard = BTreeMap<String, (Vec<usize>, Vec<u8>)>;

fn adapter_folder() -> std::path::PathBuf {
    fixtures().join("method-qwen2_5-vl/adapter_init")
}

/// Every tensor of a folder's safetensors files: file, dtype and bytes by name.
fn tensors(folder: &Path) -> BTreeMap<String, (String, safetensors::Dtype, Vec<u8>)> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "safetensors") {
            let bytes = std::fs::read(&path).unwrap();
            let file = path.file_name().unwrap().to_str().unwrap().to_owned();
            for (name, view) in safetensors::SafeTensors::deserialize(&bytes).unwrap().tensors() {
                all.insert(name, (file.clone(), view.dtype(), view.data().to_vec()));
            }
        }
    }
    all
}

#[test]
fn a_merged_model_gives_the_numbers_of_base_and_adapter() {
    let out = tempfile::tempdir().unwrap();
    let device = Device::flex();
    let report =
        merge(&architecture(&tiny_folder()), &tiny_folder(), &adapter_folder(), out.path(), &device).unwrap();
    assert_eq!(report.updated, 3 * 7 + 3 * 3);
    let base = Model::load(&tiny_folder(), &device, DType::F32).unwrap();
    let merged = Model::load(out.path(), &device, DType::F32).unwrap();
    let adapter = peft::load(&adapter_folder(), &base.architecture, &device).unwrap();
    let active = ActiveAdapter { adapter: &adapter, dropout: None };
    let processor = tiny_processor();
    for name in ["row0", "two_images"] {
        let case = Case::load(name, &processor);
        let hidden = |model: &Model, adapter: Option<ActiveAdapter>| {
            let features = model.encode_images(&case.image_refs(), adapter);
            model.forward(&model.pack(&[&case.sequence]).unwrap(), &features, adapter, &mut ())
        };
        let wanted: Vec<f32> = hidden(&base, Some(active)).try_into_vec_as().unwrap();
        assert_close(&hidden(&merged, None), &wanted, 1e-4, name);
        let unmerged: Vec<f32> = hidden(&base, None).try_into_vec_as().unwrap();
        assert!(
            wanted.iter().zip(&unmerged).any(|(a, b)| (a - b).abs() > 1e-2),
            "the adapter does something"
        );
    }
}

#[test]
fn everything_that_is_not_adapted_stays_as_it_was() {
    let out = tempfile::tempdir().unwrap();
    merge(&architecture(&tiny_folder()), &tiny_folder(), &adapter_folder(), out.path(), &Device::flex())
        .unwrap();
    let (before, after) = (tensors(&tiny_folder()), tensors(out.path()));
    assert_eq!(before.keys().collect::<Vec<_>>(), after.keys().collect::<Vec<_>>());
    for (name, stored) in &before {
        let adapted = name.contains("_proj.weight");
        assert_eq!(stored == &after[name], !adapted, "{name}");
    }
    for entry in std::fs::read_dir(tiny_folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "safetensors") {
            let copy = out.path().join(path.file_name().unwrap());
            assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(copy).unwrap(), "{}", path.display());
        }
    }
}

#[test]
fn shards_and_their_half_precision_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let base = folder.path().join("base");
    std::fs::create_dir(&base).unwrap();
    for entry in std::fs::read_dir(tiny_folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|e| e != "safetensors") {
            std::fs::copy(&path, base.join(path.file_name().unwrap())).unwrap();
        }
    }
    // The tiny model in bf16, in two shards.
    let bytes = std::fs::read(tiny_folder().join("model.safetensors")).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let mut shards: [Shard; 2] = Default::default();
    let mut map = serde_json::Map::new();
    for (i, (name, view)) in file.tensors().into_iter().enumerate() {
        let values = view.data().chunks(4).map(|c| f32::from_le_bytes(c.try_into().unwrap()));
        let half = values.flat_map(|v| half::bf16::from_f32(v).to_le_bytes()).collect();
        map.insert(name.clone(), format!("part-{}.safetensors", i % 2).into());
        shards[i % 2].insert(name, (view.shape().to_vec(), half));
    }
    for (i, shard) in shards.iter().enumerate() {
        let views = shard.iter().map(|(name, (shape, bytes))| {
            let bf16 = safetensors::Dtype::BF16;
            (name.as_str(), safetensors::tensor::TensorView::new(bf16, shape.clone(), bytes).unwrap())
        });
        let path = base.join(format!("part-{i}.safetensors"));
        safetensors::serialize_to_file(views, None, &path).unwrap();
    }
    let index = serde_json::json!({ "metadata": {}, "weight_map": map });
    std::fs::write(base.join("model.safetensors.index.json"), index.to_string()).unwrap();

    let out = folder.path().join("out");
    merge(&architecture(&base), &base, &adapter_folder(), &out, &Device::flex()).unwrap();
    let (before, after) = (tensors(&base), tensors(&out));
    for (name, (file, dtype, _)) in &before {
        assert_eq!((file, dtype), (&after[name].0, &after[name].1), "{name}");
    }
    Model::load(&out, &Device::flex(), DType::F32).unwrap();
}

#[test]
fn a_merge_refuses_what_does_not_belong_together_and_overwrites_nothing() {
    let out = tempfile::tempdir().unwrap();
    let device = Device::flex();
    let taken =
        merge(&architecture(&tiny_folder()), &tiny_folder(), &adapter_folder(), &tiny_folder(), &device)
            .unwrap_err();
    assert!(taken.to_string().contains("already"), "{taken}");
    let absent =
        merge(&architecture(&tiny_folder()), &tiny_folder(), out.path(), &out.path().join("m"), &device)
            .unwrap_err();
    assert!(absent.to_string().contains("adapter_config.json"), "{absent}");
    assert!(!out.path().join("m").exists());
    // Whatever it holds would be taken for a part of the model.
    std::fs::write(out.path().join("notes.txt"), "mine").unwrap();
    let model = architecture(&tiny_folder());
    let full = merge(&model, &tiny_folder(), &adapter_folder(), out.path(), &device).unwrap_err();
    assert!(full.is_input() && full.to_string().contains("not empty"), "{full}");
    assert_eq!(std::fs::read_dir(out.path()).unwrap().count(), 1);
}
