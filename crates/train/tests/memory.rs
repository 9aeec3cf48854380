//! The estimate of memory against what is allocated, and what it says of the published recipe.
#![allow(clippy::unwrap_used)] // In helpers too.

use burn::tensor::{DType, Device, Tensor, TensorData};
use peak_alloc::PeakAlloc;
use serde_json::{Value, json};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use vigos_models::gradient::Keep;
use vigos_models::memory::Footprint;
use vigos_models::source::Kept;
use vigos_models::{
    ActiveAdapter, Adapter, Architecture, ConfigFile, Dropout, DropoutPair, LoraConfig, Parameters,
    Projection, Sequence, init,
};
use vigos_plan::distillation::Plan;
use vigos_plan::fit::{Forecast, Tunable};
use vigos_plan::micro_batches::MicroBatches;
use vigos_plan::supervised::SupervisedPlan;
use vigos_plan::{Estimate, Phase, Planned, generation};
use vigos_processor::{Grid, ImagePatches, ImageSlot};
use vigos_qwen::Model;
use vigos_recipe::sample::Sample;
use vigos_recipe::{Fidelity, Normalise, Recipe};
use vigos_rollout::RolledOut;
use vigos_rollout::adapter::lora_config;
use vigos_rollout::engine::{Engine, Finish, Request};
use vigos_rollout::sampler::Sampling;
use vigos_rollout::spans::CompletionText;
use vigos_train::dropout::Dropping;
use vigos_train::fine_tune::{AdapterFineTune, FullFineTune};
use vigos_train::supervised::micro_batch;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// What is measured in one test would be counted in another.
fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The result of `work`, and the bytes that were in use at most beyond those before.
fn measured<T>(work: impl FnOnce() -> T) -> (T, u64) {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let result = work();
    (result, MEMORY.peak_usage().saturating_sub(before) as u64)
}

/// Buffers of the matrix product and of every thread, which do not grow with the model.
const BUFFERS: u64 = 4 << 20;

/// Checks that an estimate is at most a third too high, and without the constant buffers at most a tenth too low.
#[track_caller]
fn assert_near(estimate: u64, measured: u64, what: &str) {
    eprintln!("{what}: estimate {estimate}, measured {measured}");
    assert!(estimate <= measured / 3 * 4, "{what}: estimate {estimate}, measured {measured}");
    assert!(estimate + BUFFERS >= measured / 10 * 9, "{what}: estimate {estimate}, measured {measured}");
}

fn published(name: &str) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/qwen/tests/fixtures/configs");
    serde_json::from_slice(&std::fs::read(root.join(format!("{name}.json"))).unwrap()).unwrap()
}

/// A model of the published one's kind that is small and yet has activations larger than a library's own buffers.
fn small(name: &str) -> (tempfile::TempDir, PathBuf) {
    let mut config = published(name);
    let nested = config.get("text_config").is_some();
    let text = if nested { &mut config["text_config"] } else { &mut config };
    for (key, value) in [
        ("hidden_size", 256),
        ("intermediate_size", 1024),
        ("num_hidden_layers", 3),
        ("num_attention_heads", 4),
        ("num_key_value_heads", 1),
        ("head_dim", 64),
        ("vocab_size", 4096),
    ] {
        text[key] = json!(value);
    }
    text["rope_scaling"]["mrope_section"] = json!([12, 10, 10]);
    config["image_token_id"] = json!(7);
    let vision = &mut config["vision_config"];
    for (key, value) in [
        ("hidden_size", 128),
        ("intermediate_size", 512),
        ("num_heads", 4),
        ("depth", 2),
        ("out_hidden_size", 256),
    ] {
        vision[key] = json!(value);
    }
    let (key, blocks) = if nested { ("deepstack_visual_indexes", 0) } else { ("fullatt_block_indexes", 1) };
    vision[key] = json!([blocks]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.json");
    std::fs::write(&file, config.to_string()).unwrap();
    let model = folder.path().join("model");
    let file = ConfigFile::read(&file).unwrap();
    let config = vigos_qwen::families().parse(&file).unwrap();
    init::init(config.architecture(), &file, &model, 1).unwrap();
    (folder, model)
}

const FAMILIES: [&str; 2] = ["qwen2_5-vl-3b", "qwen3-vl-2b"];
const PRECISIONS: [DType; 2] = [DType::F32, DType::BF16];

/// A prompt of one square image and some text, of 768 tokens in all.
fn prompt(model: &Model) -> (Sequence, ImagePatches) {
    let grid = Grid { t: 1, h: 32, w: 32 };
    let ids = std::iter::repeat_n(7, 256).chain(10..522).collect();
    let values = vec![0.1; grid.patches() * model.config.vision.patch_values()];
    (Sequence { ids, images: vec![ImageSlot { start: 0, grid }] }, ImagePatches { values, grid })
}

fn recipe(overrides: &[&str]) -> Recipe {
    let text = "[model]\npath = \"m\"\n[data]\npath = \"d.jsonl\"\n[train]\nsteps = 1\n";
    let overrides: Vec<String> = overrides.iter().map(|o| (*o).to_owned()).collect();
    Recipe::parse(text, "test", &overrides).unwrap()
}

fn part(estimate: &Estimate, phase: Phase, name: &str) -> u64 {
    estimate.parts.iter().find(|part| part.phase == phase && part.name == name).unwrap().bytes
}

#[test]
fn loading_takes_the_weights_and_one_tensor_or_the_file_itself() {
    let _turn = alone();
    for name in FAMILIES {
        let (_folder, path) = small(name);
        for dtype in PRECISIONS {
            let (model, peak) = measured(|| Model::load(&path, &Device::flex(), dtype).unwrap());
            let of = Footprint::new(&model.architecture, Kept::from(dtype).on(&Device::flex()));
            if dtype == DType::BF16 {
                // As it is stored: what is not f32 on a CPU, such as norms and positions, is the file's, mapped, whatever
                // processes there are.
                assert!(peak < of.weights() / 5, "{name} {dtype:?}: {peak} of {}", of.weights());
                continue;
            }
            assert!(peak <= of.weights() + of.loading() + (1 << 20), "{name} {dtype:?}: {peak}");
            assert!(peak >= of.weights(), "{name} {dtype:?}: {peak}");
        }
    }
}

#[test]
fn a_generation_takes_what_was_estimated() {
    let _turn = alone();
    for name in FAMILIES {
        let (_folder, path) = small(name);
        for dtype in PRECISIONS {
            let (peak, estimate) = {
                let config = vigos_qwen::families().read(&path).unwrap();
                let estimate = generation(
                    config.architecture(),
                    Kept::from(dtype).on(&Device::flex()),
                    0,
                    [768, 256, 64],
                );
                let model = Model::load(&path, &Device::flex(), dtype).unwrap();
                let (_, peak) = measured(|| {
                    let (sequence, image) = prompt(&model);
                    let engine = Engine {
                        model: &model,
                        adapter: None,
                        sampling: Sampling { temperature: 0.0, ..Default::default() },
                        stops: &[],
                        max_new_tokens: 64,
                        rows: 1,
                        seed: 0,
                        step: 0,
                    };
                    let request = Request { prompt: &sequence, images: &[image], sample: 0 };
                    engine.run(&[request], &mut |_| ControlFlow::Continue(())).unwrap()
                });
                let of = Footprint::new(&model.architecture, Kept::from(dtype).on(&Device::flex()));
                (of.weights() + peak, estimate)
            };
            assert_near(estimate.peak(), peak, &format!("{name} {dtype:?}"));
        }
    }
}

#[test]
fn forward_and_backward_of_a_micro_batch_take_what_was_estimated() {
    let _turn = alone();
    for name in FAMILIES {
        let (_folder, path) = small(name);
        for dtype in PRECISIONS {
            let model = Model::load(&path, &Device::flex(), dtype).unwrap();
            let precision = if dtype == DType::F32 { "f32" } else { "bf16" };
            let precision = format!("train.precision={precision}");
            let set = [
                "lora.rank=8",
                "rollout.max_new_tokens=256",
                "train.batch=1",
                "train.accumulate=1",
                &precision,
            ];
            // The image's 256 tokens stand for the prompt, the rest of the sequence for the completion.
            let plan = planned(&recipe(&set), Some(256));
            let plan = Plan { max_new_tokens: 512, kept: plan.kept.on(&model.device), ..plan };
            let estimate = plan.estimate(&model.architecture);
            let lora = lora_config(&recipe(&set).lora).unwrap();
            let adapter = Adapter::init(&lora, &model.architecture, 1, &model.device);
            let (sequence, image) = prompt(&model);
            let keys = |rows: usize| (0..rows as u64).map(|row| (0, row));
            let dropout = DropoutPair {
                vision: Dropout::new(0.05, 1, 1, keys(1024), &model.device),
                text: Dropout::new(0.05, 1, 1, keys(768), &model.device),
            };
            let active = ActiveAdapter { adapter: &adapter, dropout: Some(&dropout) };
            let packed = model.pack(&[&sequence]).unwrap();
            // The first products of a process leave buffers behind, which are no part of any step.
            let (hidden, trace) = model.forward_traced(&packed, &[&image], active, Keep::Inputs);
            drop(model.backward(trace, hidden.zeros_like(), &packed, active));
            let ((hidden, trace), forward) =
                measured(|| model.forward_traced(&packed, &[&image], active, Keep::Inputs));
            let what = format!("{name} {dtype:?}");
            let of = Footprint::new(&model.architecture, Kept::from(dtype).on(&Device::flex()));
            let loss = part(&estimate, Phase::Loss, "kept activations") - of.hidden(2 * 512)
                + of.text_forward(768, true).max(of.vision_forward(256, true));
            assert_near(loss, forward, &format!("{what}, forward"));

            let upstream = TensorData::new(vec![0.1f32; 768 * 256], [768, 256]);
            let upstream = Tensor::<2>::from_data(upstream, (&model.device, DType::F32));
            drop(hidden);
            let (_, backward) = measured(|| model.backward(trace, upstream, &packed, active));
            // What was kept is there before; the gradients and one block's graph come.
            let graph = part(&estimate, Phase::Backward, "activations") - of.gradient(768);
            let gradients = part(&estimate, Phase::Backward, "gradients");
            assert_near(graph + gradients, backward, &format!("{what}, backward"));
        }
    }
}

/// A completion of a prompt, to be learnt.
fn demonstration(model: &Model, tokens: usize) -> RolledOut {
    let (student, image) = prompt(model);
    let sample = Sample {
        number: 0,
        id: "a".into(),
        problem: String::new(),
        reference: String::new(),
        kind: None,
        images: vec![image],
        student,
        teachers: Vec::new(),
        completion: Vec::new(),
    };
    let tokens: Vec<u32> = (10..).take(tokens).collect();
    let text = CompletionText::new(&tokens, |_| b"a".to_vec(), &[]);
    let verdict = text.verdict(Fidelity::Paper);
    RolledOut { sample: Arc::new(sample), tokens, finish: Finish::Stop, text, verdict, foreign: None }
}

/// The phases of a supervised step in which it computes, beside what is there all the time.
fn computed(plan: &SupervisedPlan, model: &Architecture) -> u64 {
    let estimate = plan.estimate(model);
    [Phase::Loss, Phase::Backward].map(|phase| estimate.phase(phase)).into_iter().max().unwrap()
}

#[test]
fn a_supervised_micro_batch_takes_what_was_estimated() {
    let _turn = alone();
    let device = Device::flex();
    for name in FAMILIES {
        let (_folder, path) = small(name);
        let model = Arc::new(Model::load(&path, &device, DType::F32).unwrap());
        let rollouts = vec![demonstration(&model, 128); 2];
        let dropping = Dropping { probability: 0.0, seed: 1 };
        let plan = SupervisedPlan {
            kept: DType::F32.into(),
            adapter: None,
            keep: Keep::Inputs,
            cut: MicroBatches { batch: 2, accumulate: 1, tokens: None, normalise: Normalise::Step },
            prompt_tokens: 768,
            image_tokens: 256,
            completion_tokens: 128,
        };
        let config = vigos_qwen::families().read(&path).unwrap();
        let weights = Parameters::load(config.architecture(), &path, &device).unwrap();
        for keep in [Keep::Inputs, Keep::Graphs] {
            let (base, config, device) = (path.clone(), config.clone(), device.clone());
            let fine_tune = FullFineTune { base, config, device, stored: DType::F32, keep };
            let step = || micro_batch(&fine_tune, &weights, &rollouts, dropping, 0).unwrap();
            // The first products of a process leave buffers behind, which are no part of any step.
            drop(step());
            let (_, peak) = measured(step);
            let plan = SupervisedPlan { keep, ..plan.clone() };
            assert_near(computed(&plan, &model.architecture), peak, &format!("{name} {keep:?}"));
        }
        let lora = LoraConfig { rank: 8, alpha: 16.0, dropout: 0.0, targets: Projection::ALL.to_vec() };
        let adapter = Adapter::init(&lora, &model.architecture, 1, &device);
        let plan = SupervisedPlan { adapter: Some((&lora).into()), ..plan };
        let fine_tune =
            AdapterFineTune { base: model.clone(), name: "base".into(), lora, keep: Keep::Inputs };
        // An adapter's graph is counted with its dropout.
        let dropping = Dropping { probability: 0.05, ..dropping };
        let (_, peak) = measured(|| micro_batch(&fine_tune, &adapter, &rollouts, dropping, 0).unwrap());
        assert_near(computed(&plan, &model.architecture), peak, &format!("{name}, an adapter"));
    }
}

/// The published recipe's settings.
fn vigos_3b(overrides: &[&str]) -> Plan {
    let set = ["rollout.batch=32", "train.batch=2", "train.accumulate=16", "train.precision=bf16"];
    planned(&recipe(&[&set[..], overrides].concat()), None)
}

/// The plan of a recipe that trains a new adapter.
fn planned(recipe: &Recipe, prompt_tokens: Option<usize>) -> Plan {
    let lora = lora_config(&recipe.lora).unwrap();
    Plan::of(recipe, (&lora).into(), 32_768, prompt_tokens)
}

fn config_3b() -> Arc<Architecture> {
    let text = published("qwen2_5-vl-3b").to_string();
    let file = ConfigFile::parse(text, Path::new("config.json")).unwrap();
    vigos_qwen::families().parse(&file).unwrap().architecture().clone()
}

#[test]
fn the_published_recipe_s_lines_are_those_of_a_hand_calculation() {
    let (plan, config) = (vigos_3b(&[]), config_3b());
    assert_eq!((plan.prompt_tokens, plan.readings), (2048, 2));
    let estimate = plan.estimate(&config);
    let of = |phase, name| part(&estimate, phase, name);
    // 148,611,072 values: see the models' tests.
    assert_eq!(estimate.adapter_parameters, 148_611_072);
    assert_eq!(of(Phase::Always, "weights"), 7_509_245_952);
    assert_eq!(of(Phase::Always, "adapter"), 594_444_288);
    assert_eq!(of(Phase::Always, "optimiser"), 1_188_888_576);
    // 32 prompts of 2048 tokens, 18,816 bytes of pixels a token, and the next step's.
    assert_eq!(of(Phase::Always, "images"), 2 * 32 * 2048 * 18_816);
    // 32 rows of 2048 + 4096 tokens; all samples of a step decode together.
    assert_eq!(of(Phase::Rollout, "KV cache"), 32 * 6144 * 36_864);
    assert_eq!(of(Phase::Rollout, "logits"), 32 * 151_936 * 10);
    assert_eq!(of(Phase::Backward, "gradients"), 2 * 594_444_288);
    assert_eq!(of(Phase::Optimiser, "gradients"), 4 * 594_444_288);
    // 2 · 6144 tokens through 37 norms' inputs, 2 · 8192 patches of 1280 through 33, and two teachers' rows.
    let kept = 2 * 6144 * 151_552 + 2 * 8192 * 33 * 1280 * 2 + 2 * 2 * 4096 * 2048 * 2;
    assert_eq!(of(Phase::Loss, "kept activations"), kept);
    let phases = Phase::IN_TURN.map(|phase| estimate.phase(phase));
    assert_eq!(estimate.peak(), estimate.phase(Phase::Always) + phases.iter().max().unwrap());
}

#[test]
fn text_in_a_prompt_takes_no_pixels_and_no_part_of_the_vision_tower() {
    let (plan, config) = (vigos_3b(&[]), config_3b());
    let text = Plan { image_tokens: 48, ..plan.clone() };
    assert_eq!(part(&text.estimate(&config), Phase::Always, "images"), 2 * 32 * 48 * 18_816);
    assert!(text.estimate(&config).peak() < plan.estimate(&config).peak());
    let longer = text.with_prompts(3000);
    assert_eq!((longer.prompt_tokens, longer.image_tokens), (3000, 1000));
}

#[test]
fn completions_drawn_ahead_take_their_memory_beside_what_a_step_learns() {
    let (plain, ahead, config) = (vigos_3b(&[]), vigos_3b(&["rollout.ahead=1"]), config_3b());
    let (plain, ahead) = (plain.estimate(&config), ahead.estimate(&config));
    assert_eq!(part(&ahead, Phase::Always, "images"), 3 * 32 * 2048 * 18_816);
    for phase in [Phase::Scoring, Phase::Loss, Phase::Backward] {
        assert_eq!(ahead.phase(phase), plain.phase(phase) + plain.phase(Phase::Rollout), "{phase:?}");
    }
    assert_eq!(ahead.phase(Phase::Optimiser), plain.phase(Phase::Optimiser), "drawn before it");
    // A server's memory is not ours.
    let server = ["rollout.ahead=1", "rollout.engine=vllm", "rollout.url=http://127.0.0.1:1"];
    assert_eq!(vigos_3b(&server).estimate(&config), plain);
}

#[test]
fn samples_that_wait_for_a_row_take_no_room_in_the_cache() {
    let plan = vigos_3b(&["rollout.batch=8"]);
    assert_eq!(part(&plan.estimate(&config_3b()), Phase::Rollout, "KV cache"), 8 * 6144 * 36_864);
}

#[test]
fn what_does_not_fit_is_made_to_by_one_setting_or_by_several() {
    let config = config_3b();
    let plan = vigos_3b(&[]).with_prompts(1024);
    let peak = plan.estimate(&config).peak();
    assert_eq!(plan.changes(&config, peak), Some(vec![]));
    let keys = |available| -> Option<Vec<&str>> {
        plan.changes(&config, available).map(|all| all.iter().map(|change| change.key).collect())
    };
    let ones = MicroBatches { batch: 1, accumulate: 32, ..plan.cut };
    let halved = Plan { cut: ones, ..plan.clone() };
    let enough = halved.estimate(&config).peak();
    assert!(enough < peak);
    let found = keys(enough).unwrap();
    assert!(found == ["rollout.batch"] || found == ["train.batch", "train.accumulate"], "{found:?}");
    let least = Plan { rollout_batch: 1, cut: ones, max_new_tokens: 256, ..plan.clone() };
    let several = keys(least.estimate(&config).peak()).unwrap();
    assert!(several.len() > 2 && several.contains(&"rollout.max_new_tokens"), "{several:?}");
    assert_eq!(keys(4_000_000_000), None, "less than the weights");
    let exact = Plan { kept: DType::F32.into(), ..plan.clone() };
    let halves = Plan { kept: DType::BF16.into(), rollout_batch: 1, cut: ones, ..exact.clone() };
    let all = exact.changes(&config, halves.estimate(&config).peak()).unwrap();
    assert!(
        all.iter().any(|change| (change.key, change.value.as_str()) == ("train.precision", "bf16")),
        "{all:?}"
    );
}

#[test]
fn the_longest_prompt_fits_and_one_token_more_does_not() {
    let config = config_3b();
    let plan = vigos_3b(&[]);
    let of = |tokens| plan.with_prompts(tokens).estimate(&config).peak();
    for available in [30_000_000_000, 80_000_000_000, 141_000_000_000] {
        match plan.longest_prompt(&config, available, 32_768) {
            None => assert!(of(1) > available),
            Some(tokens) => {
                assert!(of(tokens) <= available && (tokens == 32_768 || of(tokens + 1) > available))
            }
        }
    }
    assert_eq!(plan.longest_prompt(&config, u64::MAX, 32_768), Some(32_768));
}
