//! The tiny models and the recorded prompts with the reference's greedy completions.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub)] // A module of a test binary has no other reader.

use burn::tensor::{DType, Device};
use std::path::PathBuf;
use vigos_processor::{DecodeLimits, Grid, ImagePatches, Message, Part, Processor, Sequence};
use vigos_qwen::Model;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn tiny_folder(family: &str) -> PathBuf {
    match family {
        "qwen2_5-vl" => root().join("assets/tiny-qwen2_5-vl"),
        _ => root().join("tests/fixtures").join(format!("tiny-{family}")),
    }
}

pub fn tiny_model() -> Model {
    tiny_model_of("qwen2_5-vl")
}

pub fn tiny_model_of(family: &str) -> Model {
    Model::load(&tiny_folder(family), &Device::flex(), DType::F32).unwrap()
}

/// A prompt with its images, and the 24 tokens that the reference's greedy decoding appends.
pub struct Recorded {
    pub prompt: Sequence,
    pub images: Vec<ImagePatches>,
    pub greedy: Vec<u32>,
    pub greedy_logprobs: Vec<f32>,
}

/// Three prompts with one image each and one with two.
pub fn recorded() -> Vec<Recorded> {
    recorded_of("qwen2_5-vl")
}

pub fn recorded_of(family: &str) -> Vec<Recorded> {
    let folder = root().join("tests/fixtures").join(format!("forward-{family}"));
    let meta: serde_json::Value =
        serde_json::from_slice(&std::fs::read(folder.join("meta.json")).unwrap()).unwrap();
    let processor = Processor::from_dir(&tiny_folder(family)).unwrap();
    let rows = meta["rows"].as_array().unwrap().iter().enumerate();
    let mut entries: Vec<_> = rows.map(|(i, row)| (format!("row{i}"), row)).collect();
    entries.push(("two_images".to_owned(), &meta["two_images"]));
    entries.into_iter().map(|(name, entry)| read(&processor, &folder, &name, entry)).collect()
}

fn read(processor: &Processor, folder: &std::path::Path, name: &str, entry: &serde_json::Value) -> Recorded {
    let names = match entry.get("images") {
        Some(images) => images.as_array().unwrap().clone(),
        None => vec![entry["image"].clone()],
    };
    let images: Vec<ImagePatches> = names
        .iter()
        .map(|name| {
            let file = root().join("tests/fixtures/images").join(name.as_str().unwrap());
            let image = vigos_processor::decode::open(&file, &DecodeLimits::default()).unwrap();
            processor.patches(&image).unwrap()
        })
        .collect();
    let grids: Vec<Grid> = images.iter().map(|i| i.grid).collect();
    let mut parts = vec![Part::Image; images.len()];
    parts.push(Part::Text(entry["text"].as_str().unwrap().to_owned()));
    let prompt = processor.prompt(&[Message::user(parts)], "", &grids).unwrap();

    let bytes = std::fs::read(folder.join(format!("{name}.safetensors"))).unwrap();
    let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let column = |name: &str| file.tensor(name).unwrap().data().to_vec();
    Recorded {
        prompt: prompt.sequence,
        images,
        greedy: column("greedy_ids")
            .chunks(8)
            .map(|c| i64::from_le_bytes(c.try_into().unwrap()) as u32)
            .collect(),
        greedy_logprobs: column("greedy_logprobs")
            .chunks(4)
            .map(|c| f32::from_le_bytes(c.try_into().unwrap()))
            .collect(),
    }
}
