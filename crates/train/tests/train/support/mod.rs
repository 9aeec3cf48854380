//! The recorded rollouts and numbers that the tests of the trainer share.
#![allow(clippy::unwrap_used)] // In helpers too.
#![allow(dead_code, unreachable_pub)] // Each test binary uses its own part.

use burn::tensor::{DType, Device};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use vigos_data::ImageSource;
use vigos_kernels::Divergences;
use vigos_models::weights::Weights;
use vigos_models::{Adapter, peft};
use vigos_processor::Processor;
use vigos_qwen::Model;
use vigos_recipe::prompts::Prompts;
use vigos_recipe::sample::SampleMaker;
use vigos_recipe::{Fidelity, Method, Optim, Recipe, Schedule};
use vigos_rollout::engine::Finish;
use vigos_rollout::spans::CompletionText;
use vigos_rollout::{Kit, RolledOut, RunError};
use vigos_train::distillation::Teaching;
use vigos_train::{Finished, Observer, TrainOptions, train};

pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The families that have recorded numbers.
pub const FAMILIES: [&str; 2] = ["qwen2_5-vl", "qwen3-vl"];

/// A recipe of `config`, of a family's model and so many questions of different lengths about one picture in `folder`.
pub fn questions(config: &str, family: &str, folder: &Path, rows: usize, overrides: &[&str]) -> Recipe {
    fs::copy(root().join("tests/fixtures/images/tiny.png"), folder.join("good.png")).unwrap();
    let line = |row: usize| {
        let problem = format!("What is {}?", "this ".repeat(row * row % 7));
        json!({"id": format!("r{row}"), "image": "good.png", "problem": problem, "answer": "one"}).to_string()
    };
    let data = folder.join("set.jsonl");
    fs::write(&data, (0..rows).map(line).collect::<Vec<_>>().join("\n")).unwrap();
    let text = config.replace("{model}", &folder_of(family).display().to_string());
    let text = text.replace("{data}", &data.display().to_string());
    let overrides: Vec<String> = overrides.iter().map(|o| (*o).to_owned()).collect();
    Recipe::parse(&text, "test", &overrides).unwrap()
}

pub fn method_folder() -> PathBuf {
    method_folder_of(FAMILIES[0])
}

pub fn method_folder_of(family: &str) -> PathBuf {
    root().join("tests/fixtures").join(format!("method-{family}"))
}

/// The folder of a family's tiny model.
pub fn folder_of(family: &str) -> PathBuf {
    match family {
        "qwen2_5-vl" => root().join("assets/tiny-qwen2_5-vl"),
        _ => root().join("tests/fixtures").join(format!("tiny-{family}")),
    }
}

/// Model, initial adapter and rollouts of the recording.
pub struct Recorded {
    pub family: &'static str,
    pub model: Model,
    pub adapter: Adapter,
    pub stops: Vec<u32>,
    processor: Processor,
    result: Value,
}

pub struct Step {
    pub method: Method,
    pub rollouts: Vec<RolledOut>,
}

impl Step {
    pub fn fidelity(&self) -> Fidelity {
        self.method.fidelity
    }
}

impl Recorded {
    pub fn load() -> Self {
        Self::of(FAMILIES[0])
    }

    /// The recording of every family.
    pub fn all() -> [Self; 2] {
        FAMILIES.map(Self::of)
    }

    fn of(family: &'static str) -> Self {
        let folder = folder_of(family);
        let model = Model::load(&folder, &Device::flex(), DType::F32).unwrap();
        let recording = method_folder_of(family);
        let adapter =
            peft::load(&recording.join("adapter_init"), &model.architecture, &model.device).unwrap();
        let result = serde_json::from_slice(&std::fs::read(recording.join("result.json")).unwrap()).unwrap();
        Self {
            family,
            model,
            adapter,
            // <|im_end|> and <|endoftext|> of the tiny tokenizer.
            stops: vec![1026, 1024],
            processor: Processor::from_dir(&folder).unwrap(),
            result,
        }
    }

    pub fn bytes(&self, id: u32) -> Vec<u8> {
        self.processor.tokenizer().token_bytes(id).unwrap_or_default().to_vec()
    }

    /// The method in one fidelity and configuration, with the recorded rollouts.
    pub fn step(&self, fidelity: &str, configuration: &str) -> Step {
        let expected = self.expected(fidelity, configuration);
        let recipe = Recipe::parse(
            "[model]\npath = \"m\"\n[data]\npath = \"d.jsonl\"\n[train]\nsteps = 1\n",
            "test",
            &[
                format!("method.fidelity={fidelity}"),
                format!("method.temperature={:?}", expected["temperature"].as_f64().unwrap()),
                format!("method.clip={:?}", expected["clip"].as_f64().unwrap_or(0.0)),
            ],
        )
        .unwrap();
        let method = recipe.method;
        let rollouts = self.rows(&method);
        Step { method, rollouts }
    }

    /// The recorded rollouts with their prompts under a method.
    pub fn rows(&self, method: &Method) -> Vec<RolledOut> {
        let prompts = Prompts::for_method(method).unwrap();
        let maker = SampleMaker {
            processor: &self.processor,
            prompts: &prompts,
            method,
            max_prompt_tokens: 4096,
            min_image_side: 0,
            max_image_pixels: u64::MAX,
        };
        self.result["rows"]
            .as_array()
            .unwrap()
            .iter()
            .zip(0..)
            .map(|(row, number)| {
                let text = |key: &str| row[key].as_str().unwrap().to_owned();
                let source = vigos_data::Row {
                    id: text("name"),
                    origin: "result.json".into(),
                    problem: text("problem"),
                    answer: text("answer"),
                    before: Vec::new(),
                    images: vec![ImageSource::File(root().join("tests/fixtures/images").join(text("image")))],
                    labels: vigos_data::Labels::default(),
                    demonstration: None,
                };
                let texts = serde_json::from_value(row["prompts"].clone()).unwrap();
                let tokens: Vec<u32> = serde_json::from_value(row["completion_ids"].clone()).unwrap();
                let sample = Arc::new(maker.make(number, &source, &texts).unwrap().unwrap());
                let text = CompletionText::new(&tokens, |id| self.bytes(id), &self.stops);
                let verdict = text.verdict(method.fidelity);
                RolledOut { sample, tokens, finish: Finish::Stop, text, verdict, foreign: None }
            })
            .collect()
    }

    pub fn expected(&self, fidelity: &str, configuration: &str) -> &Value {
        &self.result["fidelity"][fidelity]["configs"][configuration]
    }

    pub fn spans(&self, fidelity: &str) -> Vec<Option<(Vec<usize>, Vec<usize>)>> {
        let positions = |v: &Value| serde_json::from_value::<Vec<usize>>(v.clone()).unwrap();
        let rows = self.result["fidelity"][fidelity]["spans"].as_array().unwrap();
        rows.iter()
            .map(|s| s.is_object().then(|| (positions(&s["description"]), positions(&s["reasoning_answer"]))))
            .collect()
    }

    /// A recorded file of adapter tensors.
    pub fn tensors(&self, file: &str) -> BTreeMap<String, Vec<f64>> {
        let weights = Weights::open_file(&method_folder_of(self.family).join(file)).unwrap();
        let names: Vec<String> = weights.names().map(str::to_owned).collect();
        names
            .into_iter()
            .map(|name| {
                let count = weights.shape(&name).unwrap().iter().product();
                let values = weights.tensor(&name, [count], &self.model.device, DType::F32).unwrap();
                let values: Vec<f32> = values.try_into_vec_as().unwrap();
                (name, values.into_iter().map(f64::from).collect())
            })
            .collect()
    }
}

/// A method with the divergences that there are.
pub fn teaching(method: &Method) -> Teaching<'_> {
    Teaching::new(method, &Divergences::default()).unwrap()
}

/// The families that tests have models of, and data sets that are files.
pub fn kit() -> Kit {
    Kit { families: vigos_qwen::families(), ..Kit::default() }
}

/// Sees a run and says nothing.
pub struct Silent;
impl Observer for Silent {}

/// Trains on the CPU until the recipe's last step.
pub fn run(recipe: &Recipe, run_dir: &Path, resume: bool) -> Result<Finished, RunError> {
    let (kit, device) = (kit(), Device::flex());
    let options = TrainOptions::new(recipe, run_dir, &kit, &device).resumed(resume);
    train(&options, &mut Silent, &AtomicBool::new(false))
}

/// All tensors of an adapter on the host.
pub fn host(adapter: &Adapter) -> BTreeMap<String, Vec<f64>> {
    adapter
        .tensors()
        .into_iter()
        .map(|(name, t)| {
            let values: Vec<f32> = t.try_into_vec_as().unwrap();
            (name, values.into_iter().map(f64::from).collect())
        })
        .collect()
}

/// The optimiser of the recording.
pub fn optim() -> Optim {
    Optim {
        lr: 1e-3,
        betas: (0.9, 0.999),
        eps: 1e-8,
        weight_decay: 0.0,
        schedule: Schedule::Constant,
        warmup_steps: 0,
        max_grad_norm: 0.1,
    }
}

pub fn relative(found: f64, wanted: f64) -> f64 {
    (found - wanted).abs() / wanted.abs().max(1e-12)
}
