//! Full training of the tiny models against PyTorch and Transformers: tokens and what is learnt of them, loss,
//! gradient norms, and the weights after one step and after three. `tools/sft_reference.py` made the numbers.

use crate::support;

use burn::tensor::{DType, Device, Tensor};
use serde_json::Value;
use std::sync::{Arc, LazyLock};
use support::{FAMILIES, folder_of, relative, root};
use vigos_checkpoint::optim::{AdamW, clip_global_norm, global_norm};
use vigos_data::{Dataset, DemonstrationFields};
use vigos_models::generation::stop_tokens;
use vigos_models::gradient::Keep;
use vigos_models::{Parameters, Trained};
use vigos_processor::Processor;
use vigos_recipe::demonstration::DemonstrationMaker;
use vigos_recipe::{Fidelity, Optim, Schedule};
use vigos_rollout::RolledOut;
use vigos_rollout::engine::Finish;
use vigos_rollout::spans::CompletionText;
use vigos_train::dropout::Dropping;
use vigos_train::fine_tune::FullFineTune;
use vigos_train::supervised::{MicroBatch, micro_batch};

const STILL: Dropping = Dropping { probability: 0.0, seed: 0 };

/// A family's recorded run, and ours.
struct Run {
    family: String,
    wanted: Value,
    rollouts: Vec<RolledOut>,
    losses: Vec<f64>,
    norms: Vec<f64>,
    gradient: Parameters,
    after_1: Parameters,
    after_3: Parameters,
}

/// Both families, both ways back.
static RUNS: LazyLock<Vec<Run>> = LazyLock::new(|| {
    let ways = [Keep::Inputs, Keep::Graphs];
    FAMILIES.iter().flat_map(|family| ways.map(|way| Run::of(family, way))).collect()
});

impl Run {
    fn of(family: &str, keep: Keep) -> Self {
        let file = root().join(format!("tests/fixtures/sft/{family}.json"));
        let wanted: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let folder = folder_of(family);
        let rollouts = demonstrated(family);
        let (config, device) = (vigos_qwen::families().read(&folder).unwrap(), Device::flex());
        let weights = Parameters::load(config.architecture(), &folder, &device).unwrap();
        let full = FullFineTune { base: folder, config, device, stored: DType::F32, keep };
        let number = |key: &str| wanted[key].as_f64().unwrap();
        let settings = Optim {
            lr: number("lr"),
            betas: (0.9, 0.999),
            eps: 1e-8,
            weight_decay: number("weight_decay"),
            schedule: Schedule::Constant,
            warmup_steps: 0,
            max_grad_norm: number("max_grad_norm"),
        };
        let mut optimiser = AdamW::new(&weights);
        let (mut losses, mut norms, mut kept, mut after) = (vec![], vec![], None, vec![weights]);
        for _ in 0..3 {
            let weights = after.last().unwrap();
            let MicroBatch { loss, gradient, .. } = micro_batch(&full, weights, &rollouts, STILL, 0).unwrap();
            let norm = global_norm(&gradient).unwrap();
            losses.push(loss);
            norms.push(norm);
            kept.get_or_insert_with(|| gradient.clone());
            let clipped = clip_global_norm(gradient, norm, settings.max_grad_norm);
            let next = optimiser.update(weights, &clipped, settings.lr, &settings);
            after.push(next);
        }
        let [_, after_1, _, after_3] = <[Parameters; 4]>::try_from(after).unwrap();
        let gradient = kept.unwrap();
        let family = format!("{family} {keep:?}");
        Self { family, wanted, rollouts, losses, norms, gradient, after_1, after_3 }
    }

    /// Visits every tensor: its name, all values of ours, the places of the recorded ones, and these under `key`.
    fn each(&self, ours: &Parameters, key: &str, mut visit: impl FnMut(&str, &[f64], &[usize], &[f64])) {
        let tensors = self.wanted["tensors"].as_object().unwrap();
        let ours = ours.tensors();
        assert_eq!(tensors.len(), ours.len(), "{}", self.family);
        for (name, tensor) in ours {
            let found = host(&tensor);
            let wanted: Vec<f64> = serde_json::from_value(tensors[&name][key].clone()).unwrap();
            let places: Vec<usize> = (0..wanted.len()).map(|i| i * found.len() / 8).collect();
            visit(&name, &found, &places, &wanted);
        }
    }
}

fn demonstrated(family: &str) -> Vec<RolledOut> {
    let folder = folder_of(family);
    let processor = Processor::from_dir(&folder).unwrap();
    let stops = stop_tokens(&folder).unwrap();
    let maker = DemonstrationMaker {
        processor: &processor,
        stop: stops[0],
        max_tokens: 4096,
        min_image_side: 0,
        max_image_pixels: u64::MAX,
    };
    let path = root().join("tests/fixtures/demonstrations.jsonl");
    let rows = Dataset::open(&path, &DemonstrationFields::default(), None).unwrap();
    let rolled_out = |index: usize| {
        let row = rows.load(index).unwrap().unwrap();
        let sample = maker.make(index as u64, &row).unwrap().unwrap();
        let tokens = sample.completion.clone();
        let bytes = |id| processor.tokenizer().token_bytes(id).unwrap_or_default();
        let text = CompletionText::new(&tokens, bytes, &stops);
        let verdict = text.verdict(Fidelity::Paper);
        RolledOut { sample: Arc::new(sample), tokens, finish: Finish::Stop, text, verdict, foreign: None }
    };
    (0..rows.count().get()).map(rolled_out).collect()
}

fn host(tensor: &Tensor<2>) -> Vec<f64> {
    let values: Vec<f32> = tensor.clone().try_into_vec_as().unwrap();
    values.into_iter().map(f64::from).collect()
}

#[test]
fn tokens_and_what_is_learnt_of_them_equal_the_reference() {
    for run in RUNS.iter() {
        let rows = run.wanted["rows"].as_array().unwrap();
        assert_eq!(rows.len(), run.rollouts.len());
        for (row, rollout) in rows.iter().zip(&run.rollouts) {
            let ids: Vec<u32> = serde_json::from_value(row["ids"].clone()).unwrap();
            let found = [&rollout.sample.student.ids[..], &rollout.tokens].concat();
            assert_eq!(found, ids, "{} {}", run.family, row["id"]);
            assert_eq!(rollout.tokens.len() as u64, row["learnt"].as_u64().unwrap(), "{}", row["id"]);
        }
    }
}

#[test]
fn the_losses_and_norms_of_three_steps_equal_the_reference() {
    for run in RUNS.iter() {
        let numbers = |key: &str| -> Vec<f64> { serde_json::from_value(run.wanted[key].clone()).unwrap() };
        for (step, (found, wanted)) in run.losses.iter().zip(numbers("loss")).enumerate() {
            assert!(relative(*found, wanted) < 1e-5, "{} loss {step}: {found} {wanted}", run.family);
        }
        for (step, (found, wanted)) in run.norms.iter().zip(numbers("grad_norm")).enumerate() {
            assert!(relative(*found, wanted) < 1e-4, "{} norm {step}: {found} {wanted}", run.family);
        }
    }
}

#[test]
fn the_gradient_of_every_weight_equals_the_reference() {
    for run in RUNS.iter() {
        let tensors = &run.wanted["tensors"];
        run.each(&run.gradient, "grad", |name, found, places, wanted| {
            let norm = found.iter().map(|g| g * g).sum::<f64>().sqrt();
            let wanted_norm = tensors[name]["grad_norm"].as_f64().unwrap();
            assert!(relative(norm, wanted_norm) < 1e-4, "{} {name}: {norm} {wanted_norm}", run.family);
            let root_mean_square = norm / (found.len() as f64).sqrt();
            for (place, wanted) in places.iter().zip(wanted) {
                let error = (found[*place] - wanted).abs();
                let bound = 1e-4 * (wanted.abs() + root_mean_square);
                assert!(error < bound, "{} {name}[{place}]: {error:e} of {wanted:e}", run.family);
            }
        });
    }
}

#[test]
fn the_weights_after_one_and_three_steps_equal_the_reference() {
    for run in RUNS.iter() {
        let clip = 1.0 / run.norms[0];
        let mut gradients = Vec::new();
        run.each(&run.gradient, "grad", |_, _, _, wanted| gradients.push(wanted.to_vec()));
        for (weights, key, bound) in [(&run.after_1, "after_1", 1e-5), (&run.after_3, "after_3", 1e-4)] {
            let (mut compared, mut tensor) = (0, 0);
            run.each(weights, key, |name, found, places, wanted| {
                for ((place, wanted), gradient) in places.iter().zip(wanted).zip(&gradients[tensor]) {
                    // Adam's first update is lr·g/(|g| + ε): near ε it multiplies the rounding of g. And a word
                    // that no sample has moves by its decay alone.
                    if *gradient != 0.0 && (gradient * clip).abs() < 1e-6 {
                        continue;
                    }
                    let error = (found[*place] - wanted).abs();
                    assert!(error < bound, "{} {key} {name}[{place}]: {error:e}", run.family);
                    compared += 1;
                }
                tensor += 1;
            });
            assert!(compared > 500, "{}: {compared} values compared", run.family);
        }
    }
}
