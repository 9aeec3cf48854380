//! The block-by-block backward against autodiff of the whole model and against finite differences.

use crate::common;

use burn::tensor::{DType, Tensor};
use common::folders::values;
use common::lora::{lora_config, normal, random_adapter};
use common::{Case, FAMILIES, assert_close, folder_of, pack_cases, tiny};
use vigos_kernels::Bits;
use vigos_models::gradient::Keep;
use vigos_models::layers::MLP_ROWS;
use vigos_models::source::Kept;
use vigos_models::{ActiveAdapter, Adapter, Dropout, DropoutPair, Packed, Projection, Sequence, peft};
use vigos_processor::ImagePatches;
use vigos_qwen::Model;

/// Two packed sequences with three images in all, and a gradient that arrives at their hidden states.
struct Batch {
    model: Model,
    cases: [Case; 2],
    packed: Packed,
    upstream: Tensor<2>,
}

impl Batch {
    fn new() -> Self {
        Self::of(FAMILIES[0])
    }

    /// The batch with a family's tiny model.
    fn of(family: &str) -> Self {
        let (model, processor) = tiny(family);
        let cases = ["two_images", "row0"].map(|name| Case::of(family, name, &processor));
        let packed = pack_cases(&model, &cases);
        let upstream = normal([packed.ids.len(), model.config.text.hidden_size], 1000, &model);
        Self { model, cases, packed, upstream }
    }

    fn images(&self) -> Vec<&ImagePatches> {
        self.cases.iter().flat_map(Case::image_refs).collect()
    }

    /// Dropout keyed by (image, patch) and by (sequence, token).
    fn dropout(&self, probability: f64) -> DropoutPair {
        let rows = |lengths: Vec<usize>| {
            let keys = lengths.into_iter().enumerate();
            let keys = keys.flat_map(|(sample, n)| (0..n as u64).map(move |row| (sample as u64, row)));
            Dropout::new(probability, 1, 2, keys, &self.model.device)
        };
        let patches = self.images().iter().map(|i| i.grid.patches()).collect();
        DropoutPair { vision: rows(patches), text: rows((0..2).map(|i| self.packed.length(i)).collect()) }
    }

    fn hidden(&self, adapter: &Adapter, dropout: Option<&DropoutPair>) -> Tensor<2> {
        let active = Some(ActiveAdapter { adapter, dropout });
        let features = self.model.encode_images(&self.images(), active);
        self.model.forward(&self.packed, &features, active, &mut ())
    }

    /// The gradient of `sum(hidden · upstream)`, block by block.
    fn gradient(&self, adapter: &Adapter, dropout: Option<&DropoutPair>) -> Adapter {
        let (active, images) = (ActiveAdapter { adapter, dropout }, self.images());
        let [recomputed, kept] = [Keep::Inputs, Keep::Graphs].map(|keep| {
            let (hidden, trace) = self.model.forward_traced(&self.packed, &images, active, keep);
            assert_eq!(values(&hidden), values(&self.hidden(adapter, dropout)));
            self.model.backward(trace, self.upstream.clone(), &self.packed, active)
        });
        for ((name, recomputed), (_, kept)) in recomputed.tensors().iter().zip(kept.tensors()) {
            assert_eq!(values(recomputed), values(&kept), "{name}: the same bits either way");
        }
        recomputed
    }

    /// The same with one graph over the whole model, by PEFT name.
    fn whole_graph(&self, adapter: &Adapter, dropout: Option<&DropoutPair>) -> Vec<(String, Vec<f32>)> {
        let leaves = adapter.map(|_, t| Tensor::from_inner(t.clone()).require_grad());
        let hidden = self.hidden(&leaves, dropout);
        let gradients = (hidden * Tensor::from_inner(self.upstream.clone())).sum().backward();
        let gradient = |t: Tensor<2>| values(&t.grad(&gradients).unwrap());
        leaves.tensors().into_iter().map(|(name, t)| (name, gradient(t))).collect()
    }

    /// `sum(hidden · upstream)`, summed in f64.
    fn loss(&self, adapter: &Adapter, dropout: Option<&DropoutPair>) -> f64 {
        let (hidden, upstream) = (values(&self.hidden(adapter, dropout)), values(&self.upstream));
        hidden.iter().zip(&upstream).map(|(h, u)| f64::from(*h) * f64::from(*u)).sum()
    }
}

/// ‖found − wanted‖ / ‖wanted‖
fn relative_error(found: &[f32], wanted: &[f32]) -> f64 {
    assert_eq!(found.len(), wanted.len());
    let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|x| x * x).sum::<f64>().sqrt();
    let wanted_norm = norm(&mut wanted.iter().map(|w| f64::from(*w)));
    assert!(wanted_norm > 1e-3, "a gradient of {wanted_norm} proves nothing");
    norm(&mut found.iter().zip(wanted).map(|(f, w)| f64::from(*f) - f64::from(*w))) / wanted_norm
}

#[track_caller]
fn assert_equal_gradients(found: &Adapter, wanted: &[(String, Vec<f32>)]) {
    let found = found.tensors();
    assert_eq!(found.len(), wanted.len());
    for ((name, found), (wanted_name, wanted)) in found.iter().zip(wanted) {
        assert_eq!(name, wanted_name);
        let error = relative_error(&values(found), wanted);
        assert!(error < 1e-5, "{name}: relative error {error:e}");
    }
}

#[test]
fn every_gradient_equals_that_of_one_graph_over_the_whole_model() {
    // Qwen3-VL's vision tower has no layer that carries an adapter.
    for (family, vision) in FAMILIES.into_iter().zip([3 * 3, 0]) {
        let batch = Batch::of(family);
        let adapter = random_adapter(&lora_config(&Projection::ALL), &batch.model);
        let found = batch.gradient(&adapter, None);
        assert_eq!(found.tensors().len(), 2 * (3 * 7 + vision), "{family}");
        assert_equal_gradients(&found, &batch.whole_graph(&adapter, None));
    }
}

#[test]
fn packed_sequences_have_the_gradients_that_they_have_alone() {
    for family in FAMILIES {
        let batch = Batch::of(family);
        let adapter = random_adapter(&lora_config(&Projection::ALL), &batch.model);
        let active = ActiveAdapter { adapter: &adapter, dropout: None };
        let together: Vec<(String, Vec<f32>)> =
            batch.gradient(&adapter, None).tensors().iter().map(|(n, t)| (n.clone(), values(t))).collect();
        let mut start = 0;
        let mut sum: Option<Adapter> = None;
        for case in &batch.cases {
            let packed = batch.model.pack(&[&case.sequence]).unwrap();
            let upstream = batch.upstream.clone().narrow(0, start, packed.ids.len());
            start += packed.ids.len();
            let (_, trace) = batch.model.forward_traced(&packed, &case.image_refs(), active, Keep::Graphs);
            let alone = batch.model.backward(trace, upstream, &packed, active);
            sum = Some(match sum {
                None => alone,
                Some(sum) => {
                    let alone: std::collections::BTreeMap<_, _> = alone.tensors().into_iter().collect();
                    sum.map(|name, t| t.clone() + alone[name].clone())
                }
            });
        }
        assert_equal_gradients(&sum.unwrap(), &together);
    }
}

#[test]
fn beside_rounded_weights_gradients_stay_within_their_rounding() {
    let halves = Kept::from(DType::BF16);
    let quantised = Kept::from(DType::F32).quantised(Some(Bits::Eight));
    for (family, kept) in FAMILIES.into_iter().flat_map(|family| [(family, halves), (family, quantised)]) {
        let exact = Batch::of(family);
        let mut half = Batch::of(family);
        half.model = Model::load(&folder_of(family), &exact.model.device, kept).unwrap();
        half.packed = pack_cases(&half.model, &half.cases);
        let adapter = random_adapter(&lora_config(&Projection::ALL), &exact.model);
        let active = ActiveAdapter { adapter: &adapter, dropout: None };
        let (_, trace) = half.model.forward_traced(&half.packed, &half.images(), active, Keep::Inputs);
        let found = half.model.backward(trace, half.upstream.clone(), &half.packed, active);
        let wanted = exact.gradient(&adapter, None).tensors();
        for ((name, found), (_, wanted)) in found.tensors().iter().zip(&wanted) {
            assert_eq!(found.dtype(), DType::F32, "{family} {name}: the adapter's gradients are f32");
            let error = relative_error(&values(found), &values(wanted));
            // Both keep 8 bits; the error accumulates over 3 + 3 layers, forth and back.
            assert!(error < 0.1, "{family} {name}: relative error {error:e}");
            assert!(error > 0.0, "{family} {name}: the weights must have been rounded");
        }
    }
}

#[test]
fn layers_with_a_rank_and_a_strength_of_their_own_have_their_gradients_too() {
    let batch = Batch::new();
    for name in ["patterns", "rslora"] {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/peft/qwen2_5-vl");
        let adapter = peft::load(&folder.join(name), &batch.model.architecture, &batch.model.device).unwrap();
        let ranks: std::collections::BTreeSet<usize> = adapter.pairs().map(|pair| pair.a.dims()[0]).collect();
        assert!(ranks.len() > 1, "{name}");
        assert_equal_gradients(&batch.gradient(&adapter, None), &batch.whole_graph(&adapter, None));
    }
}

#[test]
fn with_dropout_the_recomputed_blocks_drop_the_same_values() {
    let batch = Batch::new();
    let adapter = random_adapter(&lora_config(&Projection::ALL), &batch.model);
    let dropout = batch.dropout(0.4);
    let found = batch.gradient(&adapter, Some(&dropout));
    assert_equal_gradients(&found, &batch.whole_graph(&adapter, Some(&dropout)));
    // Without dropout, or with the vision rows permuted, the numbers are others.
    for ((name, with), (_, without)) in found.tensors().iter().zip(batch.whole_graph(&adapter, None)) {
        assert!(relative_error(&values(with), &without) > 1e-2, "{name}");
    }
}

#[test]
fn gradients_equal_central_differences_with_and_without_dropout() {
    let batch = Batch::new();
    let adapter = random_adapter(&lora_config(&Projection::ALL), &batch.model);
    let dropout = batch.dropout(0.4);
    for dropout in [None, Some(&dropout)] {
        let gradient = batch.gradient(&adapter, dropout);
        for wanted in
            ["visual.blocks.0.mlp.down_proj.lora_A", "language_model.layers.1.self_attn.k_proj.lora_B"]
        {
            let tensors = gradient.tensors();
            let (name, tensor) = tensors.iter().find(|(name, _)| name.contains(wanted)).unwrap();
            // The entry that matters most stands out of the rounding best.
            let slopes = values(tensor);
            let largest = |b: usize, i: usize| if slopes[i].abs() > slopes[b].abs() { i } else { b };
            let entry = (0..slopes.len()).reduce(largest).unwrap();
            let step = 1e-2;
            let at = |by: f64| batch.loss(&nudged(&adapter, name, entry, by), dropout);
            let difference = (at(step) - at(-step)) / (2.0 * step);
            let slope = f64::from(slopes[entry]);
            assert!(
                (difference - slope).abs() < 0.01 * slope.abs(),
                "{name}: {difference}, gradient {slope}"
            );
        }
    }
}

/// The adapter with one value of one tensor changed.
fn nudged(adapter: &Adapter, name: &str, entry: usize, by: f64) -> Adapter {
    adapter.map(|at, tensor| {
        if at != name {
            return tensor.clone();
        }
        let mut changed = values(tensor);
        changed[entry] = (f64::from(changed[entry]) + by) as f32;
        Tensor::from_data(burn::tensor::TensorData::new(changed, tensor.dims()), &tensor.device())
    })
}

#[test]
fn a_fresh_adapter_gets_a_gradient_in_b_alone_in_both_towers() {
    let batch = Batch::new();
    let adapter =
        Adapter::init(&lora_config(&Projection::ALL), &batch.model.architecture, 1, &batch.model.device);
    for (name, tensor) in batch.gradient(&adapter, None).tensors() {
        let all_zero = values(&tensor).iter().all(|v| *v == 0.0);
        assert_eq!(all_zero, name.contains("lora_A"), "{name}");
    }
}

#[test]
fn a_batch_without_images_leaves_the_vision_adapters_zero_gradients() {
    let batch = Batch::new();
    let model = &batch.model;
    let adapter = random_adapter(&lora_config(&Projection::ALL), model);
    let sequences = [vec![5, 6, 7, 8, 9], vec![40, 41, 42]].map(|ids| Sequence { ids, images: vec![] });
    let packed = model.pack(&sequences.each_ref()).unwrap();
    let upstream = normal([8, model.config.text.hidden_size], 7, model);
    let active = ActiveAdapter { adapter: &adapter, dropout: None };
    let (hidden, trace) = model.forward_traced(&packed, &[], active, Keep::Inputs);
    assert_eq!(values(&hidden), values(&model.forward(&packed, &[], Some(active), &mut ())));
    let gradient = model.backward(trace, upstream, &packed, active);
    assert_eq!(gradient.tensors().len(), adapter.tensors().len());
    for (name, tensor) in gradient.tensors() {
        let all_zero = values(&tensor).iter().all(|v| *v == 0.0);
        assert_eq!(all_zero, name.contains("visual"), "{name}");
    }
}

#[test]
fn an_adapter_of_attention_alone_leaves_the_vision_tower_out() {
    let batch = Batch::new();
    let adapter = random_adapter(&lora_config(&[Projection::Query, Projection::Output]), &batch.model);
    let gradient = batch.gradient(&adapter, None);
    assert_eq!(gradient.tensors().len(), 2 * 3 * 2);
    assert_equal_gradients(&gradient, &batch.whole_graph(&adapter, None));
}

#[test]
fn under_dropout_an_image_keeps_its_features_whatever_images_are_beside_it() {
    let batch = Batch::new();
    let adapter = random_adapter(&lora_config(&Projection::ALL), &batch.model);
    let whole = batch.dropout(0.4);
    let encode = |images: &[&ImagePatches], dropout: Option<&DropoutPair>| {
        batch.model.encode_images(images, Some(ActiveAdapter { adapter: &adapter, dropout }))
    };
    let together = encode(&batch.images(), Some(&whole));
    for (sample, image) in batch.images().into_iter().enumerate() {
        let rows = (0..image.grid.patches() as u64).map(|row| (sample as u64, row));
        let vision = Dropout::new(0.4, 1, 2, rows, &batch.model.device);
        let pair = DropoutPair { vision, text: whole.text.clone() };
        let alone = encode(&[image], Some(&pair));
        let wanted = values(&together[sample]);
        assert!(relative_error(&values(&alone[0]), &wanted) < 1e-5, "image {sample}");
        assert!(relative_error(&values(&encode(&[image], None)[0]), &wanted) > 1e-2, "image {sample}");
    }
}

#[test]
fn a_long_prompt_goes_through_the_mlp_in_parts_as_it_does_at_once() {
    for family in FAMILIES {
        let (model, _) = tiny(family);
        let adapter = random_adapter(&lora_config(&Projection::ALL), &model);
        let active = ActiveAdapter { adapter: &adapter, dropout: None };
        let ids = (0..MLP_ROWS as u32 + 300).map(|token| 5 + token % 90).collect();
        let packed = model.pack(&[&Sequence { ids, images: vec![] }]).unwrap();
        let in_parts = model.forward(&packed, &[], Some(active), &mut ());
        // With graphs, nothing is cut.
        let (at_once, _) = model.forward_traced(&packed, &[], active, Keep::Graphs);
        assert_close(&in_parts, &values(&at_once), 1e-5, family);
    }
}
