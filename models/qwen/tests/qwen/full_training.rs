//! The gradient of every weight, block by block, against one graph over the whole model, and the cross entropy
//! against f64 and central differences.

use crate::common;

use burn::tensor::activation::log_softmax;
use burn::tensor::{DType, Device, Tensor, TensorData};
use common::folders::values;
use common::lora::normal;
use common::{Case, FAMILIES, architecture, folder_of, pack_cases, tiny};
use std::cell::RefCell;
use std::collections::BTreeMap;
use vigos_models::Target;
use vigos_models::cross_entropy::{cross_entropy, cross_entropy_with_head};
use vigos_models::gradient::Keep;
use vigos_models::scoring::score_tokens;
use vigos_models::source::Source;
use vigos_models::{ModelError, Packed, Parameters, Trained, VisionLanguageModel};
use vigos_processor::ImagePatches;
use vigos_qwen::{Model, QwenConfig};

/// Two packed sequences with three images in all, and some of their tokens as targets.
struct Batch {
    parameters: Parameters,
    model: Model,
    cases: [Case; 2],
    packed: Packed,
    targets: Vec<Target>,
}

impl Batch {
    fn new(family: &str) -> Self {
        let (model, processor) = tiny(family);
        let parameters =
            Parameters::load(&architecture(&folder_of(family)), &folder_of(family), &Device::flex()).unwrap();
        let cases = ["two_images", "row0"].map(|name| Case::of(family, name, &processor));
        let packed = pack_cases(&model, &cases);
        let row = |row: usize| Target { row, token: packed.ids[row + 1] };
        // Not in order, and one of them twice.
        let targets = [packed.rows() - 2, 3, 7, 3].map(row).to_vec();
        Self { parameters, model, cases, packed, targets }
    }

    fn images(&self) -> Vec<&ImagePatches> {
        self.cases.iter().flat_map(Case::image_refs).collect()
    }

    fn gradient(&self, chunk: usize, keep: Keep) -> (f64, Parameters) {
        let model = freeze(&self.model, &self.parameters);
        let (hidden, trace) = model.forward_traced_all(&self.parameters, &self.packed, &self.images(), keep);
        let (loss, upstream) = cross_entropy_with_head(&model, &hidden, &self.targets, 0.25, chunk).unwrap();
        (loss.loss, model.backward_all(&self.parameters, trace, upstream, &self.packed))
    }

    /// Loss and gradients with one graph over the whole model.
    fn whole_graph(&self) -> (f64, BTreeMap<String, Vec<f32>>) {
        let leaves = Leaves { weights: &self.parameters, given: RefCell::default() };
        let model = freeze(&self.model, &leaves);
        let features = model.encode_images(&self.images(), None);
        let hidden = model.forward(&self.packed, &features, None, &mut ());
        let rows: Vec<usize> = self.targets.iter().map(|t| t.row).collect();
        let log_p = log_softmax(model.logits_at(&hidden, &rows), 1);
        let picked = self
            .targets
            .iter()
            .enumerate()
            .map(|(i, t)| log_p.clone().slice([i..i + 1, t.token as usize..t.token as usize + 1]));
        let loss = Tensor::cat(picked.collect(), 0).sum() * -0.25;
        let gradients = loss.clone().backward();
        let value = f64::from(values(&loss.inner())[0]);
        let given = leaves.given.into_inner();
        (value, given.into_iter().map(|(name, t)| (name, values(&t.grad(&gradients).unwrap()))).collect())
    }
}

/// The model that these weights make up.
fn freeze(model: &Model, weights: &impl Source) -> Model {
    let config = QwenConfig::from(model.config.clone());
    Model::assemble(&config, weights, &model.device, DType::F32).unwrap()
}

/// Every weight as a leaf of one graph.
struct Leaves<'a> {
    weights: &'a Parameters,
    given: RefCell<BTreeMap<String, Tensor<2>>>,
}

impl Source for Leaves<'_> {
    fn tensor<const D: usize>(&self, name: &str, shape: [usize; D]) -> Result<Tensor<D>, ModelError> {
        let (_, weight) = self.weights.tensors().into_iter().find(|(n, _)| n == name).unwrap();
        let leaf = Tensor::from_inner(weight).require_grad();
        assert!(self.given.borrow_mut().insert(name.to_owned(), leaf.clone()).is_none(), "{name} twice");
        Ok(leaf.reshape(shape))
    }
}

/// ‖found − wanted‖ / ‖wanted‖
fn relative_error(found: &[f32], wanted: &[f32]) -> f64 {
    assert_eq!(found.len(), wanted.len());
    let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>().sqrt();
    let wanted_norm = norm(&mut wanted.iter().map(|w| f64::from(*w)));
    assert!(wanted_norm > 1e-5, "a gradient of {wanted_norm} proves nothing");
    norm(&mut found.iter().zip(wanted).map(|(f, w)| f64::from(*f) - f64::from(*w))) / wanted_norm
}

#[test]
fn every_gradient_equals_that_of_one_graph_over_the_whole_model() {
    for family in FAMILIES {
        let batch = Batch::new(family);
        let (wanted_loss, wanted) = batch.whole_graph();
        let (loss, found) = batch.gradient(4096, Keep::Inputs);
        // With few rows a frozen weight is multiplied in another order than one that is trained.
        let (kept_loss, kept) = batch.gradient(4096, Keep::Graphs);
        assert!((loss - kept_loss).abs() < 1e-6 * loss.abs(), "{family}: {loss} {kept_loss}");
        for (name, tensor) in kept.tensors() {
            let error = relative_error(&values(&tensor), &wanted[&name]);
            assert!(error < 1e-4, "{name} of {family}, graphs kept: relative error {error:e}");
        }
        assert!((loss - wanted_loss).abs() < 1e-5 * wanted_loss, "{family}: {loss}, wanted {wanted_loss}");
        let found = found.tensors();
        assert!(found.iter().map(|(name, _)| name).eq(wanted.keys()), "{family}");
        for (name, tensor) in found {
            let error = relative_error(&values(&tensor), &wanted[&name]);
            assert!(error < 1e-4, "{family} {name}: relative error {error:e}");
        }
    }
}

#[test]
fn chunks_of_rows_do_not_change_the_gradient() {
    let batch = Batch::new(FAMILIES[0]);
    let (loss, whole) = batch.gradient(4096, Keep::Inputs);
    for chunk in [1, 3] {
        let (other, gradient) = batch.gradient(chunk, Keep::Inputs);
        assert!((loss - other).abs() < 1e-6, "{loss} {other}");
        for ((name, a), (_, b)) in whole.tensors().iter().zip(gradient.tensors()) {
            let worst = values(a).iter().zip(values(&b)).map(|(a, b)| (a - b).abs()).fold(0.0f32, f32::max);
            assert!(worst < 1e-6, "{name}: {worst:e}");
        }
    }
}

#[test]
fn the_cross_entropy_is_that_of_the_scores_and_its_gradient_that_of_f64() {
    let (model, _) = tiny(FAMILIES[0]);
    let width = model.config.text.hidden_size;
    let hidden = normal([5, width], 3, &model);
    let targets = [(4, 7), (0, 1000), (2, 7)].map(|(row, token)| Target { row, token });
    let (loss, gradient) = cross_entropy(&model, &hidden, &targets, 0.5, 2).unwrap();
    let scores = score_tokens(&model, &hidden, &targets, 8).unwrap();
    let wanted: f64 = scores.iter().map(|s| -0.5 * s.logprob).sum();
    assert!((loss.loss - wanted).abs() < 1e-5, "{} {wanted}", loss.loss);
    assert_eq!(loss.correct, scores.iter().zip(&targets).filter(|(s, t)| s.top1 == t.token).count());

    // ∂L/∂h = Σ_v w·(p_v − onehot_v)·W_v, in f64.
    let wide = |t: &Tensor<2>| -> Vec<f64> { values(t).into_iter().map(f64::from).collect() };
    let (states, head, found) = (wide(&hidden), wide(&model.text.head), wide(&gradient));
    let mut wanted = vec![0.0; 5 * width];
    for target in &targets {
        let state = &states[target.row * width..][..width];
        let logits: Vec<f64> =
            head.chunks(width).map(|w| w.iter().zip(state).map(|(w, s)| w * s).sum()).collect();
        let largest = logits.iter().copied().fold(f64::MIN, f64::max);
        let total: f64 = logits.iter().map(|l| (l - largest).exp()).sum();
        for (v, logit) in logits.iter().enumerate() {
            let onehot = f64::from(u8::from(v == target.token as usize));
            let slope = 0.5 * ((logit - largest).exp() / total - onehot);
            for (sum, w) in wanted[target.row * width..][..width].iter_mut().zip(&head[v * width..]) {
                *sum += slope * w;
            }
        }
    }
    for (i, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
        assert!((found - wanted).abs() < 1e-6, "[{i}]: {found} {wanted}");
    }
}

#[test]
fn a_target_outside_the_rows_or_the_vocabulary_is_refused() {
    let (model, _) = tiny(FAMILIES[0]);
    let hidden = normal([2, model.config.text.hidden_size], 3, &model);
    for (row, token) in [(2, 0), (0, 1056)] {
        let error = cross_entropy(&model, &hidden, &[Target { row, token }], 1.0, 8).unwrap_err();
        assert!(error.to_string().contains("wanted"), "{error}");
    }
}

#[test]
fn gradients_equal_central_differences_in_both_towers() {
    let batch = Batch::new(FAMILIES[1]);
    let (_, gradient) = batch.gradient(4096, Keep::Inputs);
    let loss = |parameters: &Parameters| {
        let model = freeze(&batch.model, parameters);
        let features = model.encode_images(&batch.images(), None);
        let hidden = model.forward(&batch.packed, &features, None, &mut ());
        cross_entropy(&model, &hidden, &batch.targets, 0.25, 4096).unwrap().0.loss
    };
    for wanted in ["visual.pos_embed", "visual.deepstack_merger_list.1.linear_fc2.weight", "embed_tokens"] {
        let tensors = gradient.tensors();
        let (name, tensor) = tensors.iter().find(|(name, _)| name.contains(wanted)).unwrap();
        // The entry that matters most stands out of the rounding best.
        let slopes = values(tensor);
        let largest = |b: usize, i: usize| if slopes[i].abs() > slopes[b].abs() { i } else { b };
        let entry = (0..slopes.len()).reduce(largest).unwrap();
        let nudged = |by: f64| {
            batch.parameters.map(|at, tensor| {
                if at != name {
                    return tensor.clone();
                }
                let mut changed = values(tensor);
                changed[entry] = (f64::from(changed[entry]) + by) as f32;
                Tensor::from_data(TensorData::new(changed, tensor.dims()), &tensor.device())
            })
        };
        let step = 1e-2;
        let difference = (loss(&nudged(step)) - loss(&nudged(-step))) / (2.0 * step);
        let slope = f64::from(slopes[entry]);
        assert!((difference - slope).abs() < 0.02 * slope.abs(), "{name}: {difference}, gradient {slope}");
    }
}

#[test]
fn a_frozen_copy_does_not_change_with_the_weights_and_shares_them() {
    let batch = Batch::new(FAMILIES[0]);
    let before = values(&batch.model.text.embeddings);
    let frozen = freeze(&batch.model, &batch.parameters);
    let doubled = batch.parameters.map(|_, t| t.clone() * 2.0);
    assert_eq!(values(&frozen.text.embeddings), before);
    assert_ne!(values(&freeze(&batch.model, &doubled).text.embeddings), before);
    assert_eq!(batch.parameters.count(), batch.parameters.zeros().count());
}

#[test]
fn without_images_the_vision_tower_gets_zeros() {
    let (model, _) = tiny(FAMILIES[1]);
    let parameters = Parameters::load(&model.architecture, &folder_of(FAMILIES[1]), &Device::flex()).unwrap();
    let sequence = vigos_models::Sequence { ids: vec![5, 6, 7, 8], images: vec![] };
    let packed = model.pack(&[&sequence]).unwrap();
    let (hidden, trace) = model.forward_traced_all(&parameters, &packed, &[], Keep::Inputs);
    let target = Target { row: 2, token: 8 };
    let (_, upstream) = cross_entropy_with_head(&model, &hidden, &[target], 1.0, 8).unwrap();
    for (name, tensor) in model.backward_all(&parameters, trace, upstream, &packed).tensors() {
        let zero = values(&tensor).iter().all(|g| *g == 0.0);
        assert_eq!(zero, name.contains("visual."), "{name}");
    }
}
