//! Fixtures that the tests of this crate share.
#![allow(clippy::unwrap_used, dead_code, unreachable_pub)] // Each test binary uses its own part.

pub mod folders;
pub mod lora;

use burn::tensor::{DType, Device, Tensor};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use vigos_models::weights::Weights;
use vigos_models::{Architecture, ConfigFile, ModelError, Packed, Sequence};
use vigos_processor::{DecodeLimits, Grid, ImagePatches, Message, Part, Processor};
use vigos_qwen::Model;

pub fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures")
}

pub fn tiny_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../assets/tiny-qwen2_5-vl")
}

pub fn tiny_model() -> Model {
    Model::load(&tiny_folder(), &Device::flex(), DType::F32).unwrap()
}

pub fn tiny_processor() -> Processor {
    Processor::from_dir(&tiny_folder()).unwrap()
}

/// What the configuration in `folder` describes.
pub fn architecture(folder: &Path) -> Arc<Architecture> {
    vigos_qwen::families().read(folder).unwrap().architecture().clone()
}

/// What the configuration file at `path` describes.
pub fn architecture_of(path: &Path) -> Arc<Architecture> {
    let file = ConfigFile::read(path).unwrap();
    vigos_qwen::families().parse(&file).unwrap().architecture().clone()
}

/// Writes a model folder with random weights for a configuration file.
pub fn init(config: &Path, out: &Path, seed: u64) -> Result<(), ModelError> {
    let file = ConfigFile::read(config)?;
    vigos_models::init::init(vigos_qwen::families().parse(&file)?.architecture(), &file, out, seed)
}

/// The sequences of these cases, packed.
pub fn pack_cases(model: &Model, cases: &[Case]) -> Packed {
    model.pack(&cases.iter().map(|c| &c.sequence).collect::<Vec<_>>()).unwrap()
}

/// The families that have recorded numbers.
pub const FAMILIES: [&str; 2] = ["qwen2_5-vl", "qwen3-vl"];

/// The folder of a family's tiny model.
pub fn folder_of(family: &str) -> PathBuf {
    match family {
        "qwen2_5-vl" => tiny_folder(),
        _ => fixtures().join(format!("tiny-{family}")),
    }
}

/// A family's tiny model with its processor.
pub fn tiny(family: &str) -> (Model, Processor) {
    let folder = folder_of(family);
    let model = Model::load(&folder, &Device::flex(), DType::F32).unwrap();
    (model, Processor::from_dir(&folder).unwrap())
}

/// One recorded prompt with the reference's numbers.
pub struct Case {
    file: PathBuf,
    weights: Weights,
    pub images: Vec<ImagePatches>,
    pub sequence: Sequence,
}

/// At which side of the final norm hidden states were recorded.
pub enum Recorded {
    BeforeNorm,
    AfterNorm,
}

impl Recorded {
    pub fn choose<'a>(&self, after: &'a Tensor<2>, before: &'a Tensor<2>) -> &'a Tensor<2> {
        match self {
            Self::BeforeNorm => before,
            Self::AfterNorm => after,
        }
    }
}

impl Case {
    pub fn load(name: &str, processor: &Processor) -> Self {
        Self::of("qwen2_5-vl", name, processor)
    }

    /// The case of that name as recorded with a family's tiny model.
    pub fn of(family: &str, name: &str, processor: &Processor) -> Self {
        let folder = fixtures().join(format!("forward-{family}"));
        let meta: serde_json::Value =
            serde_json::from_slice(&std::fs::read(folder.join("meta.json")).unwrap()).unwrap();
        let entry = match name.strip_prefix("row") {
            Some(index) => meta["rows"][index.parse::<usize>().unwrap()].clone(),
            None => meta[name].clone(),
        };
        let names = entry.get("images").cloned().unwrap_or_else(|| vec![entry["image"].clone()].into());
        let images: Vec<ImagePatches> = names
            .as_array()
            .unwrap()
            .iter()
            .map(|n| {
                let bytes = std::fs::read(fixtures().join("images").join(n.as_str().unwrap())).unwrap();
                processor
                    .patches(&vigos_processor::decode::decode(&bytes, &DecodeLimits::default()).unwrap())
                    .unwrap()
            })
            .collect();
        let grids: Vec<Grid> = images.iter().map(|i| i.grid).collect();
        let mut parts = vec![Part::Image; images.len()];
        parts.push(Part::Text(entry["text"].as_str().unwrap().to_owned()));
        let message = Message { role: "user".into(), parts };
        let prompt = processor.prompt(&[message], "", &grids).unwrap();
        let file = folder.join(format!("{name}.safetensors"));
        Self { weights: Weights::open_file(&file).unwrap(), file, images, sequence: prompt.sequence }
    }

    pub fn image_refs(&self) -> Vec<&ImagePatches> {
        self.images.iter().collect()
    }

    pub fn floats(&self, name: &str) -> Vec<f32> {
        let count = self.weights.shape(name).unwrap().iter().product();
        self.weights.tensor(name, [count], &Device::flex(), DType::F32).unwrap().try_into_vec_as().unwrap()
    }

    pub fn integers(&self, name: &str) -> Vec<i64> {
        let bytes = std::fs::read(&self.file).unwrap();
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        file.tensor(name)
            .unwrap()
            .data()
            .chunks(8)
            .map(|c| i64::from_le_bytes(c.try_into().unwrap()))
            .collect()
    }

    /// The hidden states behind the last decoder layer.
    pub fn last_hidden(&self) -> (Recorded, Vec<f32>) {
        match self.weights.shape("text.before_norm") {
            Some(_) => (Recorded::BeforeNorm, self.floats("text.before_norm")),
            None => (Recorded::AfterNorm, self.floats("text.hidden3")),
        }
    }

    /// The reference's 24 greedy tokens with their log-probabilities.
    pub fn greedy(&self) -> Vec<(u32, f64)> {
        let ids = self.integers("greedy_ids");
        let logprobs = self.floats("greedy_logprobs");
        ids.into_iter().map(|i| i as u32).zip(logprobs.into_iter().map(f64::from)).collect()
    }
}

#[track_caller]
pub fn assert_close(found: &Tensor<2>, wanted: &[f32], bound: f32, what: &str) {
    let found: Vec<f32> = found.clone().try_into_vec_as().unwrap();
    assert_eq!(found.len(), wanted.len(), "{what}: number of values");
    let worst = found.iter().zip(wanted).map(|(f, w)| (f - w).abs()).fold(0.0, f32::max);
    assert!(worst <= bound, "{what}: largest difference {worst:e}, bound {bound:e}");
}
