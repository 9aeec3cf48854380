//! Loading checkpoints: every layout that the hub has gives the same model, every damage is refused by name.

use crate::common;

use burn::tensor::{DType, Device};
use common::folders::{
    Stored, Tensors, folder_with, folder_without_weights, load, read_tensors, tiny_tensors, values,
    write_tensors,
};
use common::{Case, FAMILIES, folder_of, tiny_folder, tiny_processor};
use safetensors::tensor::Dtype;
use serde_json::{Value, json};
use std::path::Path;
use vigos_models::ModelError;
use vigos_models::weights::Weights;
use vigos_qwen::Model;

const INDEX: &str = "model.safetensors.index.json";

/// The hidden states of one recorded prompt with its image.
fn hidden(model: &Model) -> Vec<f32> {
    let case = Case::load("row0", &tiny_processor());
    let features = model.encode_images(&case.image_refs(), None);
    values(&model.forward(&model.pack(&[&case.sequence]).unwrap(), &features, None, &mut ()))
}

fn load_error(folder: &Path) -> ModelError {
    load(folder).map(|_| ()).unwrap_err()
}

#[test]
fn every_missing_unexpected_and_misshapen_tensor_is_named_in_one_error() {
    let mut tensors = tiny_tensors();
    tensors.remove("model.layers.1.self_attn.q_proj.bias").unwrap();
    tensors.remove("visual.merger.ln_q.weight").unwrap();
    tensors.insert("model.layers.3.mlp.up_proj.weight".into(), Stored::floats(&[2, 2], &[0.0; 4]));
    // A transposed weight has the right number of values, and still is not the one wanted.
    tensors.get_mut("model.layers.0.mlp.down_proj.weight").unwrap().shape.reverse();
    let integers = Stored { dtype: Dtype::I64, shape: vec![64], bytes: vec![0; 512] };
    tensors.insert("model.norm.weight".into(), integers);
    let doubles = Stored { dtype: Dtype::F64, shape: vec![64], bytes: vec![0; 512] };
    tensors.insert("model.layers.0.input_layernorm.weight".into(), doubles);

    let folder = folder_with(&tensors);
    let error = load_error(folder.path());
    let text = error.to_string();
    let ModelError::Tensors { path, faults } = error else { panic!("{error}") };
    assert_eq!(path, folder.path());
    assert_eq!(faults.len(), 6, "{text}");
    for (what, name) in [
        ("missing", "model.layers.1.self_attn.q_proj.bias [64]"),
        ("missing", "visual.merger.ln_q.weight [32]"),
        ("unexpected", "model.layers.3.mlp.up_proj.weight"),
        ("wrong shape", "model.layers.0.mlp.down_proj.weight: found [160, 64], wanted [64, 160]"),
        ("wrong dtype", "model.norm.weight: found I64, wanted F32, F16 or BF16"),
        ("wrong dtype", "model.layers.0.input_layernorm.weight: found F64, wanted F32, F16 or BF16"),
    ] {
        let named = |f: &&String| f.starts_with(what) && f.contains(name);
        assert_eq!(faults.iter().filter(named).count(), 1, "{what} {name} in\n{text}");
    }
}

#[test]
fn a_tied_checkpoint_may_carry_its_head_all_the_same() {
    let mut tensors = tiny_tensors();
    let head = tensors["model.embed_tokens.weight"].clone();
    tensors.insert("lm_head.weight".into(), head);
    assert!(load(folder_with(&tensors).path()).is_ok());
    // The same numbers in another type.
    let halves =
        |values: &[f32]| values.iter().flat_map(|v| half::bf16::from_f32(*v).to_le_bytes()).collect();
    let own = tensors["model.embed_tokens.weight"].clone();
    let rounded: Vec<f32> = own.values().iter().map(|v| half::bf16::from_f32(*v).to_f32()).collect();
    let head = Stored { dtype: Dtype::BF16, shape: own.shape.clone(), bytes: halves(&rounded) };
    tensors.insert("lm_head.weight".into(), head);
    let error = load_error(folder_with(&tensors).path()).to_string();
    assert!(error.contains("lm_head.weight differs"), "{error}");
    tensors.insert("model.embed_tokens.weight".into(), Stored::floats(&own.shape, &rounded));
    assert!(load(folder_with(&tensors).path()).is_ok());
    tensors.get_mut("lm_head.weight").unwrap().shape.reverse();
    assert!(load(folder_with(&tensors).path()).is_err(), "another shape");
}

#[test]
fn a_message_of_many_tensors_is_one_short_line_with_both_ends_of_the_list() {
    let strange = |name: &str| format!("other.\n{name}{}", "x".repeat(1000));
    let tensors = tiny_tensors().into_iter().map(|(name, tensor)| (strange(&name), tensor)).collect();
    let message = load_error(folder_with(&tensors).path()).to_string();
    assert!(!message.contains('\n') && message.len() < 2500, "{} bytes: {message}", message.len());
    for part in ["missing model.embed_tokens.weight", "unexpected other.", "154 more;"] {
        assert!(message.contains(part), "{part} in {message}");
    }
}

#[test]
fn a_file_cut_anywhere_is_refused_by_path() {
    let whole = std::fs::read(tiny_folder().join("model.safetensors")).unwrap();
    let header = 8 + u64::from_le_bytes(whole[..8].try_into().unwrap()) as usize;
    let folder = folder_without_weights();
    let file = folder.path().join("model.safetensors");
    for length in [0, 1, 7, 8, header / 2, header - 1, header, header + 1, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&file, &whole[..length]).unwrap();
        let message = load_error(folder.path()).to_string();
        assert!(message.contains("model.safetensors"), "{message}");
        assert!(message.contains("truncated"), "{length} bytes: {message}");
    }
    std::fs::write(&file, [&whole[..], &[0]].concat()).unwrap();
    assert!(load(folder.path()).is_err(), "a byte too many");
    std::fs::remove_file(&file).unwrap();
    assert!(load_error(folder.path()).to_string().contains("model.safetensors"));
}

#[test]
fn a_header_that_claims_more_than_there_is_costs_nothing() {
    let folder = folder_without_weights();
    for claim in [u64::MAX, u64::MAX - 7, 1 << 62, (100 << 20) + 1, 100 << 20, 3] {
        let bytes = [&claim.to_le_bytes()[..], b"{}"].concat();
        std::fs::write(folder.path().join("model.safetensors"), bytes).unwrap();
        let message = load_error(folder.path()).to_string();
        assert!(message.contains(&claim.to_string()), "{message}");
    }
}

#[test]
fn offsets_that_overlap_or_leave_gaps_and_shapes_that_overflow_are_refused() {
    let entry =
        |shape: Value, offsets: [u64; 2]| json!({"dtype": "F32", "shape": shape, "data_offsets": offsets});
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.safetensors");
    let open = |header: &Value| {
        let header = header.to_string().into_bytes();
        let bytes = [&(header.len() as u64).to_le_bytes()[..], &header, &[0; 16]].concat();
        std::fs::write(&file, bytes).unwrap();
        Weights::open_file(&file)
    };
    let fine = json!({"a": entry(json!([2]), [0, 8]), "b": entry(json!([2]), [8, 16])});
    assert_eq!(open(&fine).unwrap().names().collect::<Vec<_>>(), ["a", "b"]);
    for (what, a, b) in [
        ("overlap", entry(json!([2]), [0, 8]), entry(json!([3]), [4, 16])),
        ("the same bytes twice", entry(json!([4]), [0, 16]), entry(json!([4]), [0, 16])),
        ("gap", entry(json!([1]), [0, 4]), entry(json!([2]), [8, 16])),
        ("backwards", entry(json!([2]), [8, 0]), entry(json!([2]), [8, 16])),
        ("behind the end", entry(json!([2]), [0, 8]), entry(json!([4]), [8, 24])),
        ("more values than bytes", entry(json!([3]), [0, 8]), entry(json!([2]), [8, 16])),
        ("overflow", entry(json!([1u64 << 33, 1u64 << 33]), [0, 8]), entry(json!([2]), [8, 16])),
        ("overflow to zero", entry(json!([1u64 << 32, 1u64 << 32]), [0, 0]), entry(json!([4]), [0, 16])),
        ("negative", entry(json!([-1]), [0, 8]), entry(json!([2]), [8, 16])),
        (
            "no such dtype",
            json!({"dtype": "F31", "shape": [2], "data_offsets": [0, 8]}),
            entry(json!([2]), [8, 16]),
        ),
    ] {
        let error = open(&json!({"a": a, "b": b})).unwrap_err();
        assert!(matches!(error, ModelError::Safetensors { .. }), "{what}: {error}");
        assert!(error.to_string().contains("x.safetensors"), "{what}: {error}");
    }
}

#[test]
fn a_tensor_where_it_lies_has_the_values_of_one_that_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x.safetensors");
    let (wide, half): (Vec<f32>, Vec<u8>) = ((0..6).map(|i| i as f32 / 3.0).collect(), (0..12).collect());
    let bytes: Vec<u8> = wide.iter().flat_map(|value| value.to_le_bytes()).chain(half).collect();
    let header = json!({
        "wide": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "half": {"dtype": "BF16", "shape": [6], "data_offsets": [24, 36]},
    });
    // Spaces behind a header put the values on no even place as well.
    for space in 0..4 {
        let header = format!("{header}{}", " ".repeat(space)).into_bytes();
        let whole = [&(header.len() as u64).to_le_bytes()[..], &header, &bytes].concat();
        std::fs::write(&file, &whole).unwrap();
        let (weights, device) = (Weights::open_file(&file).unwrap(), Device::flex());
        let mapped = ["wide", "half"].map(|name| {
            [DType::F32, DType::BF16].map(|dtype| {
                let found = weights.mapped(name, [3, 2], &device, dtype).unwrap();
                let wanted = weights.tensor(name, [3, 2], &device, dtype).unwrap();
                assert_eq!((found.dtype(), found.dims()), (dtype, [3, 2]));
                assert_eq!(found.to_data(), wanted.to_data(), "{name} {dtype:?}, {space} behind the header");
                (found, wanted)
            })
        });
        // Written anew as files of weights are, under another name, the old one is what it was.
        let other = folder.path().join("other");
        std::fs::write(&other, vec![1; whole.len()]).unwrap();
        std::fs::rename(&other, &file).unwrap();
        for (found, wanted) in mapped.iter().flatten() {
            assert_eq!(found.to_data(), wanted.to_data(), "{space} behind the header, replaced");
        }
        let missing = weights.mapped("none", [1], &device, DType::F32).unwrap_err();
        assert!(missing.to_string().contains("missing none"), "{missing}");
    }
}

/// The tiny model in two shards, and what their index says.
fn sharded(folder: &Path) -> Value {
    let (mut shards, mut map) = ([Tensors::new(), Tensors::new()], serde_json::Map::new());
    for (i, (name, tensor)) in tiny_tensors().into_iter().enumerate() {
        map.insert(name.clone(), json!(format!("model-0000{}-of-00002.safetensors", i % 2 + 1)));
        shards[i % 2].insert(name, tensor);
    }
    for (i, shard) in shards.iter().enumerate() {
        write_tensors(shard, &folder.join(format!("model-0000{}-of-00002.safetensors", i + 1)));
    }
    json!({"metadata": {"total_size": 1}, "weight_map": map})
}

#[test]
fn shards_give_the_same_model_as_one_file() {
    let folder = folder_without_weights();
    let index = sharded(folder.path());
    std::fs::write(folder.path().join(INDEX), index.to_string()).unwrap();
    assert_eq!(hidden(&load(folder.path()).unwrap()), hidden(&load(&tiny_folder()).unwrap()));
}

#[test]
fn shards_that_are_missing_or_share_a_tensor_are_refused_by_name() {
    let folder = folder_without_weights();
    let index = sharded(folder.path());
    std::fs::write(folder.path().join(INDEX), index.to_string()).unwrap();
    let second = folder.path().join("model-00002-of-00002.safetensors");
    write_tensors(&tiny_tensors(), &second);
    assert!(load_error(folder.path()).to_string().contains("stands in two files"));
    std::fs::remove_file(&second).unwrap();
    assert!(load_error(folder.path()).to_string().contains("model-00002-of-00002"));
}

#[test]
fn shards_that_do_not_hold_what_the_index_says_are_refused_tensor_by_tensor() {
    let folder = folder_without_weights();
    let index = sharded(folder.path());
    let write = |index: &Value| std::fs::write(folder.path().join(INDEX), index.to_string()).unwrap();
    let (first, second) = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors");
    let moved = "model.norm.weight";
    let (home, other) = match index["weight_map"][moved] == first {
        true => (first, second),
        false => (second, first),
    };

    // The index puts a tensor into the other file, leaves one out and names one that nobody has.
    let mut wrong = index.clone();
    let map = wrong["weight_map"].as_object_mut().unwrap();
    map[moved] = json!(other);
    map.remove("model.layers.0.input_layernorm.weight").unwrap();
    map.insert("model.layers.9.stray".into(), json!(first));
    write(&wrong);
    let error = load_error(folder.path());
    let ModelError::Tensors { faults, .. } = &error else { panic!("{error}") };
    assert_eq!(faults.len(), 3, "{error}");
    for part in [
        &format!("misplaced {moved}: found in {home}, the index says {other}"),
        "unlisted model.layers.0.input_layernorm.weight",
        &format!("missing model.layers.9.stray: the index says {first}"),
        INDEX,
    ] {
        assert!(error.to_string().contains(part), "{part} in {error}");
    }

    // A tensor cut in two, one half in each file.
    write(&index);
    let name = "model.embed_tokens.weight";
    let home = folder.path().join(index["weight_map"][name].as_str().unwrap());
    let mut tensors = read_tensors(&home);
    let whole = tensors.get_mut(name).unwrap();
    whole.shape[0] /= 2;
    whole.bytes.truncate(whole.bytes.len() / 2);
    write_tensors(&tensors, &home);
    let message = load_error(folder.path()).to_string();
    assert!(
        message.contains(&format!("wrong shape {name}: found [528, 64], wanted [1056, 64]")),
        "{message}"
    );
}

#[test]
fn an_index_that_names_a_file_elsewhere_is_refused() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("model");
    std::fs::create_dir(&folder).unwrap();
    std::fs::copy(tiny_folder().join("config.json"), folder.join("config.json")).unwrap();
    // Each of these exists, so that only the rule refuses it.
    write_tensors(&tiny_tensors(), &parent.path().join("x.safetensors"));
    std::fs::create_dir(folder.join("sub")).unwrap();
    write_tensors(&tiny_tensors(), &folder.join("sub/x.safetensors"));
    let absolute = parent.path().join("x.safetensors").to_str().unwrap().to_owned();
    for name in
        ["../x.safetensors", "sub/../../x.safetensors", "sub/x.safetensors", absolute.as_str(), "", ".", ".."]
    {
        let index = json!({"weight_map": {"model.norm.weight": name}});
        std::fs::write(folder.join(INDEX), index.to_string()).unwrap();
        let message = load_error(&folder).to_string();
        assert!(message.contains("weight_map") && message.contains(&format!("`{name}`")), "{message}");
    }
    for text in ["", "[]", "{}", r#"{"weight_map": {"a": 1}}"#] {
        std::fs::write(folder.join(INDEX), text).unwrap();
        assert!(load_error(&folder).to_string().contains("weight_map"), "{text}");
    }
}

#[test]
fn half_precision_files_load_as_their_rounded_values() {
    let exact = tiny_tensors();
    let as_halves = |dtype, round: fn(f32) -> ([u8; 2], f32)| {
        let stored = exact.iter().map(|(name, tensor)| {
            let bytes = tensor.values().into_iter().flat_map(|v| round(v).0).collect();
            (name.clone(), Stored { dtype, shape: tensor.shape.clone(), bytes })
        });
        let rounded = exact.iter().map(|(name, tensor)| {
            let values: Vec<f32> = tensor.values().into_iter().map(|v| round(v).1).collect();
            (name.clone(), Stored::floats(&tensor.shape, &values))
        });
        (folder_with(&stored.collect()), folder_with(&rounded.collect()))
    };
    let f16 = |v| (half::f16::from_f32(v).to_le_bytes(), half::f16::from_f32(v).to_f32());
    let bf16 = |v| (half::bf16::from_f32(v).to_le_bytes(), half::bf16::from_f32(v).to_f32());
    let exact_hidden = hidden(&load(&tiny_folder()).unwrap());
    for (stored, rounded) in [as_halves(Dtype::F16, f16), as_halves(Dtype::BF16, bf16)] {
        let found = hidden(&load(stored.path()).unwrap());
        assert_eq!(found, hidden(&load(rounded.path()).unwrap()));
        assert_ne!(found, exact_hidden);
    }
}

#[test]
fn the_names_of_every_saver_load_the_same_model() {
    for family in FAMILIES {
        let folder = folder_of(family);
        let tensors = read_tensors(&folder.join("model.safetensors"));
        let part = |name: &str| {
            let name = name.replace("model.language_model.", "model.").replace("model.visual.", "visual.");
            let (part, rest) = name.split_once('.').unwrap();
            (part.to_owned(), rest.to_owned())
        };
        let wanted = Model::load(&folder, &Device::flex(), DType::F32).unwrap();
        // Old files of both parts, those of a whole model, and those of a model without its head.
        for [text, vision] in [
            ["model.", "visual."],
            ["model.language_model.", "model.visual."],
            ["language_model.", "visual."],
            ["model.", "model.visual."],
        ] {
            let respelt = tensors.iter().map(|(name, tensor)| match part(name) {
                (part, rest) if part == "model" => (format!("{text}{rest}"), tensor.clone()),
                (part, rest) if part == "visual" => (format!("{vision}{rest}"), tensor.clone()),
                _ => (name.clone(), tensor.clone()),
            });
            let out = tempfile::tempdir().unwrap();
            std::fs::copy(folder.join("config.json"), out.path().join("config.json")).unwrap();
            write_tensors(&respelt.collect(), &out.path().join("model.safetensors"));
            let found = load(out.path()).unwrap();
            assert_eq!(values(&found.text.head), values(&wanted.text.head), "{family} {text} {vision}");
        }
    }
}
