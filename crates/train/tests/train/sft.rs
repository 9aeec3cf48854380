//! Whole supervised runs through the public interface: reproducible, resumable, and what they leave can be used.

use crate::support;

use burn::tensor::{DType, Device};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use support::{Silent, host, kit, root};
use vigos_models::weights::Weights;
use vigos_models::{Adapter, LoraConfig, Projection, Target, Trained, peft};
use vigos_qwen::Model;
use vigos_recipe::sft::SftRecipe;
use vigos_recipe::{RecipeError, RunRecipe};
use vigos_rollout::RunError;
use vigos_train::Observer;
use vigos_train::metrics::Metrics;
use vigos_train::{Finished, SftOptions, sft};

const CONFIG: &str = r#"
[model]
path = "{root}/assets/tiny-qwen2_5-vl"
[data]
path = "{root}/data/easy-vqa/train.jsonl"
limit = 24
[data.fields]
prompt = "problem"
completion = "answer"
[optim]
lr = 3e-3
weight_decay = 0.1
[lora]
rank = 2
alpha = 4
dropout = 0.2
[train]
steps = 4
batch = 3
accumulate = 2
seed = 7
[checkpoint]
every = 2
keep = 2
[log]
tensorboard = false
"#;

fn parse(overrides: &[&str]) -> Result<SftRecipe, Box<RecipeError>> {
    let text = CONFIG.replace("{root}", &root().display().to_string());
    let overrides: Vec<String> = overrides.iter().map(|o| (*o).to_owned()).collect();
    SftRecipe::parse(&text, "test", &overrides).map_err(Box::new)
}

fn recipe(overrides: &[&str]) -> SftRecipe {
    parse(overrides).unwrap()
}

fn run(recipe: &SftRecipe, run_dir: &Path, resume: bool) -> Result<Finished, RunError> {
    let (kit, device) = (kit(), Device::flex());
    let options = SftOptions::new(recipe, run_dir, &kit, &device).resumed(resume);
    sft(&options, &mut Silent, &AtomicBool::new(false))
}

/// `metrics.jsonl` without its times.
fn metrics(run_dir: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(run_dir.join("metrics.jsonl")).unwrap();
    let lines = text.lines().map(|line| {
        let mut value: Value = serde_json::from_str(line).unwrap();
        let fields = value.as_object_mut().unwrap();
        fields.remove("seconds").unwrap();
        fields.remove("samples_per_second").unwrap();
        value
    });
    lines.collect()
}

fn weights(folder: &Path) -> Vec<u8> {
    let model = folder.join("model.safetensors");
    let file = if model.exists() { model } else { folder.join("adapter_model.safetensors") };
    std::fs::read(file).unwrap()
}

/// Stops a run once so many steps are done.
struct StopAfter<'a> {
    step: usize,
    flag: &'a AtomicBool,
}
impl Observer for StopAfter<'_> {
    fn step(&mut self, metrics: &Metrics) {
        if metrics.step == self.step {
            self.flag.store(true, Ordering::SeqCst);
        }
    }
}

#[test]
fn runs_of_one_seed_write_the_same_bytes_and_another_seed_does_not() {
    let folder = tempfile::tempdir().unwrap();
    for what in ["all", "adapter"] {
        let [a, b, c] = ["a", "b", "c"].map(|n| folder.path().join(format!("{what}-{n}")));
        let set = format!("train.weights={what}");
        let first = run(&recipe(&[&set]), &a, false).unwrap();
        let second = run(&recipe(&[&set]), &b, false).unwrap();
        let other = run(&recipe(&[&set, "train.seed=8"]), &c, false).unwrap();
        assert_eq!((first.steps, first.interrupted), (4, false));
        assert_eq!(metrics(&a), metrics(&b));
        assert_eq!(metrics(&a).len(), 4);
        assert!(weights(&first.output) == weights(&second.output), "{what}");
        assert!(weights(&first.output) != weights(&other.output), "{what}");
    }
}

#[test]
fn a_run_that_was_stopped_and_resumed_equals_one_that_was_not() {
    let folder = tempfile::tempdir().unwrap();
    // In bf16 the model that is stored is not the one that is trained.
    for (name, overrides) in [
        ("all", vec![]),
        ("kept", vec!["train.recompute=none"]),
        ("bf16", vec!["output.dtype=bf16"]),
        ("adapter", vec!["train.weights=adapter", "train.batch=9"]),
    ] {
        let recipe = recipe(&overrides);
        let [whole_dir, parts_dir] = ["whole", "parts"].map(|n| folder.path().join(format!("{name}-{n}")));
        let whole = run(&recipe, &whole_dir, false).unwrap();
        let flag = AtomicBool::new(false);
        let (kit, device) = (kit(), Device::flex());
        let options = SftOptions::new(&recipe, &parts_dir, &kit, &device);
        let stopped = sft(&options, &mut StopAfter { step: 3, flag: &flag }, &flag).unwrap();
        assert_eq!((stopped.steps, stopped.interrupted), (3, true));
        assert_eq!(stopped.output, parts_dir.join("checkpoints/step-000003"));
        assert!(!parts_dir.join("model").exists() && !parts_dir.join("adapter").exists());
        let resumed = run(&recipe, &parts_dir, true).unwrap();
        assert_eq!(metrics(&whole_dir), metrics(&parts_dir), "{name}");
        assert!(weights(&whole.output) == weights(&resumed.output), "{name}");
        let optimiser = |dir: &Path| std::fs::read(dir.join("checkpoints/step-000004/optimizer.safetensors"));
        assert!(optimiser(&whole_dir).unwrap() == optimiser(&parts_dir).unwrap(), "{name}");
    }
}

#[test]
fn a_warm_start_learns_and_leaves_a_model_that_loads_and_knows_it() {
    let folder = tempfile::tempdir().unwrap();
    let run_dir = folder.path().join("run");
    let recipe = recipe(&["train.steps=30", "train.batch=8", "train.accumulate=1", "checkpoint.every=0"]);
    let finished = run(&recipe, &run_dir, false).unwrap();
    assert_eq!(finished.output, run_dir.join("model"));
    let lines = metrics(&run_dir);
    let loss = |line: &Value| line["loss"].as_f64().unwrap();
    assert!(loss(&lines[29]) < 0.3 * loss(&lines[0]), "{} to {}", loss(&lines[0]), loss(&lines[29]));
    assert!(lines[29]["token_accuracy"].as_f64().unwrap() > 0.6, "{}", lines[29]);
    for name in ["config.json", "tokenizer.json", "chat_template.jinja", "preprocessor_config.json"] {
        assert!(finished.output.join(name).is_file(), "{name}");
    }
    Model::load(&finished.output, &Device::flex(), DType::F32).unwrap();
    // The folder can be where another run starts.
    let again = recipe_from(&finished.output);
    run(&again, &folder.path().join("again"), false).unwrap();
}

fn recipe_from(model: &Path) -> SftRecipe {
    recipe(&[&format!("model.path={}", model.display()), "train.steps=1"])
}

#[test]
fn a_model_stored_in_bf16_says_so_and_is_the_trained_one_rounded() {
    let folder = tempfile::tempdir().unwrap();
    let [exact, rounded] = ["exact", "rounded"].map(|n| folder.path().join(n));
    let exact = run(&recipe(&[]), &exact, false).unwrap().output;
    let rounded = run(&recipe(&["output.dtype=bf16"]), &rounded, false).unwrap().output;
    let config: Value = serde_json::from_slice(&std::fs::read(rounded.join("config.json")).unwrap()).unwrap();
    assert_eq!(config["dtype"], "bfloat16");
    let [exact, rounded] = [exact, rounded].map(|path| Weights::open(&path).unwrap());
    for name in exact.names() {
        let count = exact.shape(name).unwrap().iter().product();
        let read = |weights: &Weights, dtype| -> Vec<f32> {
            let tensor = weights.tensor(name, [count], &Device::flex(), dtype).unwrap();
            tensor.cast(DType::F32).try_into_vec_as().unwrap()
        };
        assert_eq!(read(&exact, DType::BF16), read(&rounded, DType::F32), "{name}");
    }
}

#[test]
fn micro_batches_of_equal_token_counts_average_to_the_whole_batch() {
    let folder = tempfile::tempdir().unwrap();
    // Every answer is one word of the same number of tokens, so each part has as many.
    let data = folder.path().join("data.jsonl");
    let image = root().join("tests/fixtures/images/tiny.png");
    std::fs::copy(image, folder.path().join("a.png")).unwrap();
    let rows: Vec<String> = ["a", "b", "c", "d"]
        .iter()
        .map(|w| json!({"image": "a.png", "prompt": format!("say {w}"), "completion": w}).to_string())
        .collect();
    std::fs::write(&data, rows.join("\n")).unwrap();
    let with = |batch: usize, accumulate: usize| {
        let (data, run_dir) =
            (format!("data.path={}", data.display()), folder.path().join(batch.to_string()));
        let (batch, accumulate) = (format!("train.batch={batch}"), format!("train.accumulate={accumulate}"));
        let overrides = [
            data.as_str(),
            "data.fields.prompt=prompt",
            "data.fields.completion=completion",
            "train.steps=1",
            "optim.max_grad_norm=0",
            batch.as_str(),
            accumulate.as_str(),
        ];
        run(&recipe(&overrides), &run_dir, false).unwrap();
        metrics(&run_dir).remove(0)
    };
    let (whole, parts) = (with(4, 1), with(1, 4));
    assert_eq!(whole["tokens"], parts["tokens"]);
    for key in ["loss", "grad_norm"] {
        let (whole, parts) = (whole[key].as_f64().unwrap(), parts[key].as_f64().unwrap());
        assert!((whole - parts).abs() < 1e-5 * whole, "{key}: {whole} {parts}");
    }
}

#[test]
fn an_adapter_run_leaves_an_adapter_and_can_go_on_from_one() {
    let folder = tempfile::tempdir().unwrap();
    let first = recipe(&["train.weights=adapter"]);
    let finished = run(&first, &folder.path().join("a"), false).unwrap();
    assert_eq!(finished.output, folder.path().join("a/adapter"));
    let config = vigos_qwen::families().read(&root().join("assets/tiny-qwen2_5-vl")).unwrap();
    let adapter = peft::load(&finished.output, config.architecture(), &Device::flex()).unwrap();
    let fresh = LoraConfig { rank: 2, alpha: 4.0, dropout: 0.2, targets: Projection::ALL.to_vec() };
    let fresh = Adapter::init(&fresh, config.architecture(), 7, &Device::flex());
    assert_ne!(host(&adapter), host(&fresh));
    let from = format!("model.adapter={}", finished.output.display());
    let second = recipe(&["train.weights=adapter", &from, "train.steps=1"]);
    run(&second, &folder.path().join("b"), false).unwrap();
    let other = recipe(&["train.weights=adapter", &from, "lora.rank=4"]);
    let error = run(&other, &folder.path().join("c"), false).unwrap_err();
    assert!(error.to_string().contains("rank 2"), "{error}");
}

#[test]
fn both_families_are_trained_whole() {
    let folder = tempfile::tempdir().unwrap();
    let model = root().join("tests/fixtures/tiny-qwen3-vl");
    let recipe = recipe(&[&format!("model.path={}", model.display()), "train.steps=2"]);
    let finished = run(&recipe, &folder.path().join("run"), false).unwrap();
    let [before, after] = [model.clone(), finished.output].map(|path| Weights::open(&path).unwrap());
    assert!(before.names().eq(after.names()));
    let trained = Model::load(&folder.path().join("run/model"), &Device::flex(), DType::F32).unwrap();
    let base = Model::load(&model, &Device::flex(), DType::F32).unwrap();
    let hidden = |model: &Model| {
        let sequence = vigos_models::Sequence { ids: vec![1, 2, 3], images: vec![] };
        let packed = model.pack(&[&sequence]).unwrap();
        let hidden = model.forward(&packed, &[], None, &mut ());
        let target = Target { row: 0, token: 2 };
        vigos_models::scoring::score_tokens(model, &hidden, &[target], 8).unwrap()[0].logprob
    };
    assert_ne!(hidden(&base), hidden(&trained));
}

#[test]
fn unusable_rows_are_left_out_counted_and_written_down() {
    let folder = tempfile::tempdir().unwrap();
    let image = root().join("tests/fixtures/images/tiny.png");
    std::fs::copy(image, folder.path().join("a.png")).unwrap();
    std::fs::write(folder.path().join("broken.png"), b"no picture").unwrap();
    let row = |id: &str, image: &str, completion: &str| {
        json!({"id": id, "image": image, "prompt": "p", "completion": completion}).to_string()
    };
    let rows = [
        row("good", "a.png", "yes"),
        row("broken", "broken.png", "yes"),
        row("absent", "absent.png", "yes"),
        row("long", "a.png", &"word ".repeat(400)),
    ];
    let data = folder.path().join("data.jsonl");
    std::fs::write(&data, rows.join("\n")).unwrap();
    let set = [
        format!("data.path={}", data.display()),
        "data.fields.prompt=prompt".into(),
        "data.fields.completion=completion".into(),
        "train.max_tokens=200".into(),
        "train.batch=1".into(),
        "train.accumulate=1".into(),
    ];
    let recipe_with = |more: &str| {
        let all: Vec<&str> = set.iter().map(String::as_str).chain([more]).collect();
        recipe(&all)
    };
    let run_dir = folder.path().join("forgiving");
    run(&recipe_with("data.max_bad_share=0.9"), &run_dir, false).unwrap();
    let last = metrics(&run_dir).pop().unwrap();
    assert!(last["skipped"]["bad_row"].as_u64().unwrap() >= 2, "{last}");
    assert!(last["skipped"]["long_sample"].as_u64().unwrap() >= 1, "{last}");
    let quarantine = std::fs::read_to_string(run_dir.join("quarantine.jsonl")).unwrap();
    assert!(quarantine.contains("broken.png") && quarantine.contains("absent.png"), "{quarantine}");
    let strict = run(&recipe_with("data.max_bad_share=0"), &folder.path().join("strict"), false);
    assert!(matches!(strict, Err(RunError::BadRows { .. })), "{strict:?}");
}

#[test]
fn a_recipe_that_contradicts_itself_or_names_a_stranger_is_refused() {
    for (overrides, named) in [
        (["train.precision=bf16"], "output.dtype"),
        (["model.adapter=a"], "vigos merge"),
        (["method.preset=opsd"], "unknown key `method.preset`"),
        (["train.weight=all"], "train.weights"),
        (["output.dtype=f64"], "\"bf16\""),
    ] {
        let error = parse(&overrides).unwrap_err();
        assert!(error.to_string().contains(named), "{error}");
    }
    let bf16 = parse(&["train.precision=bf16", "train.weights=adapter"]).unwrap();
    let again = SftRecipe::parse(&bf16.to_toml().unwrap(), "again", &[]).unwrap();
    assert_eq!(bf16, again);
}

#[test]
fn a_folder_of_another_kind_of_run_is_not_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let run_dir: PathBuf = folder.path().join("run");
    run(&recipe(&["train.steps=1"]), &run_dir, false).unwrap();
    let error = run(&recipe(&["train.steps=1"]), &run_dir, false).unwrap_err();
    assert!(error.to_string().contains("--resume"), "{error}");
    let other = run(&recipe(&["optim.lr=0.5"]), &run_dir, true).unwrap_err();
    assert!(other.to_string().contains("optim.lr"), "{other}");
    let vigos = "[model]\npath = \"m\"\n[data]\npath = \"d.jsonl\"\n[train]\nsteps = 1\n";
    let vigos = vigos_recipe::Recipe::parse(vigos, "test", &[]).unwrap();
    let error = support::run(&vigos, &run_dir, true).unwrap_err();
    assert!(error.to_string().contains("another command, vigos sft"), "{error}");
}

#[test]
fn the_recipes_in_the_repository_can_be_loaded() {
    let recipe = SftRecipe::load(&root().join("configs/first-lessons.toml"), &[]).unwrap();
    assert_eq!(recipe.total_steps(200), 60);
    let easy = SftRecipe::load(&root().join("configs/easy-vqa-warm.toml"), &[]).unwrap();
    assert_eq!(easy.total_steps(19_210), 1000);
}

#[test]
fn weight_decay_is_for_matrices_alone() {
    let folder = root().join("assets/tiny-qwen2_5-vl");
    let config = vigos_qwen::families().read(&folder).unwrap();
    let parameters = vigos_models::Parameters::load(config.architecture(), &folder, &Device::flex()).unwrap();
    let decays: Vec<bool> =
        ["model.embed_tokens.weight", "model.norm.weight", "model.layers.0.self_attn.q_proj.bias"]
            .map(|name| parameters.decays(name))
            .to_vec();
    assert_eq!(decays, [true, false, false]);
}

#[test]
fn a_loss_that_is_not_finite_ends_the_run_before_anything_is_changed() {
    let folder = tempfile::tempdir().unwrap();
    for what in ["all", "adapter"] {
        let dir = folder.path().join(what);
        let set = format!("train.weights={what}");
        let diverging =
            [&set, "optim.lr=1e30", "optim.schedule=constant", "checkpoint.every=1", "checkpoint.keep=0"];
        let error = run(&recipe(&diverging), &dir, false).unwrap_err();
        let RunError::LostStep { step, kept, .. } = &error else { panic!("{what}: {error}") };
        let step = *step;
        assert!(error.to_string().contains("finite") && !error.is_input(), "{error}");
        assert_eq!(metrics(&dir).len(), step - 1, "{what}");
        let ids = std::fs::read_to_string(kept).unwrap();
        assert_eq!(ids.lines().count(), 6, "{what}: the rows of a step");
        // What was saved before is as it was.
        assert!(step > 1 && dir.join(format!("checkpoints/step-{:06}", step - 1)).is_dir(), "{what}");
        assert!(!dir.join(format!("checkpoints/step-{step:06}")).exists(), "{what}");
        let bytes = weights(&dir.join(format!("checkpoints/step-{:06}", step - 1)));
        let file = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        for (name, view) in file.iter() {
            let values = view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
            assert!(values.into_iter().all(f32::is_finite), "{what}: {name}");
        }
    }
}

#[test]
fn so_many_steps_as_the_recipe_allows_are_left_out_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("run");
    let diverging = ["optim.lr=1e30", "optim.schedule=constant", "train.max_lost_steps=2", "train.steps=9"];
    let error = run(&recipe(&diverging), &dir, false).unwrap_err();
    let RunError::LostStep { step, .. } = error else { panic!("{error}") };
    let lost = std::fs::read_dir(dir.join("rollouts")).unwrap().count();
    assert_eq!((metrics(&dir).len(), lost), (step - 3, 3));
}
