//! The model against numbers of the reference implementation (see tests/fixtures/README.md).

use crate::common;

use burn::tensor::{DType, Tensor};
use common::{
    Case, FAMILIES, assert_close, folder_of, pack_cases, tiny, tiny_folder, tiny_model, tiny_processor,
};
use vigos_models::Sequence;
use vigos_models::cache::KeyValue;
use vigos_models::{ConfigFile, VisionLanguageModel};
use vigos_qwen::Config;

/// Largest difference of a value from the reference's: two f32 implementations come within 2e-5 of each other.
const BOUND: f32 = 1e-4;
const NAMES: [&str; 4] = ["row0", "row1", "row2", "two_images"];

#[test]
fn both_forms_of_the_configuration_are_the_same() {
    let folder = tiny_folder();
    let nested = Config::read(&folder).unwrap();
    let path = folder.join("config.flat.json");
    let flat = Config::parse(&ConfigFile::read(&path).unwrap()).unwrap();
    assert_eq!(nested, flat);
}

#[test]
fn prompt_ids_grids_and_positions_equal_the_reference() {
    for family in FAMILIES {
        let (model, processor) = tiny(family);
        for name in NAMES {
            let case = Case::of(family, name, &processor);
            let ids: Vec<i64> = case.sequence.ids.iter().map(|i| i64::from(*i)).collect();
            assert_eq!(case.integers("input_ids"), ids, "{family} {name}");
            let grids: Vec<i64> =
                case.images.iter().flat_map(|i| [i.grid.t, i.grid.h, i.grid.w]).map(|n| n as i64).collect();
            assert_eq!(case.integers("image_grid_thw"), grids, "{family} {name}");
            let packed = model.pack(&[&case.sequence]).unwrap();
            let streams: Vec<i64> =
                (0..3).flat_map(|s| packed.positions.iter().map(move |p| i64::from(p[s]))).collect();
            assert_eq!(case.integers("position_ids"), streams, "{family} {name}");
        }
    }
}

#[test]
fn vision_hidden_states_and_logits_equal_the_reference() {
    for family in FAMILIES {
        let (model, processor) = tiny(family);
        let width = model.config.text.hidden_size;
        for name in NAMES {
            let (case, at) = (Case::of(family, name, &processor), format!("{family} {name}"));
            let features = model.encode_images(&case.image_refs(), None);
            let all = Tensor::cat(features.clone(), 0);
            assert_close(&all.clone().narrow(1, 0, width), &case.floats("vision.out"), BOUND, &at);
            for k in 0..model.config.vision.deepstack_visual_indexes.len() {
                let deepstack = case.floats(&format!("vision.deepstack{k}"));
                assert_close(&all.clone().narrow(1, (k + 1) * width, width), &deepstack, BOUND, &at);
            }
            let packed = model.pack(&[&case.sequence]).unwrap();
            let mut inputs: Vec<Tensor<2>> = Vec::new();
            let hidden = model.forward(&packed, &features, None, &mut inputs);
            let (recorded, wanted) = case.last_hidden();
            assert_close(recorded.choose(&hidden, inputs.last().unwrap()), &wanted, BOUND, &at);
            let rows: Vec<usize> = case.integers("logit_rows").iter().map(|r| *r as usize).collect();
            assert_close(&model.logits_at(&hidden, &rows), &case.floats("logits"), BOUND, &at);
        }
    }
}

#[test]
fn a_packed_batch_gives_each_sequence_its_own_numbers() {
    for family in FAMILIES {
        let (model, processor) = tiny(family);
        let cases: Vec<Case> = NAMES.iter().map(|n| Case::of(family, n, &processor)).collect();
        let images: Vec<_> = cases.iter().flat_map(Case::image_refs).collect();
        let features = model.encode_images(&images, None);
        let packed = pack_cases(&model, &cases);
        let mut inputs: Vec<Tensor<2>> = Vec::new();
        let hidden = model.forward(&packed, &features, None, &mut inputs);
        let mut start = 0;
        for (case, name) in cases.iter().zip(NAMES) {
            let length = case.sequence.ids.len();
            let (recorded, wanted) = case.last_hidden();
            let found = recorded.choose(&hidden, inputs.last().unwrap()).clone();
            assert_close(&found.narrow(0, start, length), &wanted, BOUND, &format!("{family} {name}"));
            start += length;
        }
    }
}

#[test]
fn greedy_decoding_without_a_cache_gives_the_reference_tokens() {
    for family in FAMILIES {
        let (model, processor) = tiny(family);
        for name in NAMES {
            let mut case = Case::of(family, name, &processor);
            let features = model.encode_images(&case.image_refs(), None);
            for (want, logprob) in case.greedy() {
                let packed = model.pack(&[&case.sequence]).unwrap();
                let hidden = model.forward(&packed, &features, None, &mut ());
                let logits = model.logits_at(&hidden, &[case.sequence.ids.len() - 1]);
                assert_eq!(best(&logits)[0].0, want, "{family} {name}");
                assert!((best(&logits)[0].1 - logprob).abs() < 1e-4, "{family} {name}");
                case.sequence.ids.push(want);
            }
        }
    }
}

#[test]
fn greedy_decoding_of_a_batch_with_the_cache_gives_the_reference_tokens() {
    for family in FAMILIES {
        let (model, processor) = tiny(family);
        let cases: Vec<Case> = NAMES.iter().map(|n| Case::of(family, n, &processor)).collect();
        let longest = cases.iter().map(|c| c.sequence.ids.len()).max().unwrap();
        // What the longest sequence takes: the shorter ones begin anywhere in the ring.
        let capacity = longest + 24;
        let mut cache = model.cache(NAMES.len(), longest, capacity);
        let mut newest = Vec::new();
        let mut next = Vec::new();
        for (row, case) in cases.iter().enumerate() {
            let features = model.encode_images(&case.image_refs(), None);
            let packed = model.pack(&[&case.sequence]).unwrap();
            let mut prompt: Vec<KeyValue> = Vec::new();
            let hidden = model.forward(&packed, &features, None, &mut prompt);
            cache.admit(row, &prompt);
            newest.push(best(&model.logits_at(&hidden, &[case.sequence.ids.len() - 1]))[0]);
            next.push(packed.positions.last().unwrap().iter().max().unwrap() + 1);
        }
        let wanted: Vec<Vec<(u32, f64)>> = cases.iter().map(Case::greedy).collect();
        for step in 0..24 {
            for ((name, newest), wanted) in NAMES.iter().zip(&newest).zip(&wanted) {
                assert_eq!(newest.0, wanted[step].0, "{family} {name} at {step}");
                assert!((newest.1 - wanted[step].1).abs() < 1e-4, "{family} {name} at {step}");
            }
            cache.advance();
            let ids: Vec<u32> = newest.iter().map(|n| n.0).collect();
            let at: Vec<[u32; 3]> = next.iter().map(|n| [*n + step as u32; 3]).collect();
            let hidden = model.decode(&ids, &at, &mut cache, None).unwrap();
            newest = best(&model.logits_at(&hidden, &[0, 1, 2, 3]));
        }
    }
}

#[test]
fn half_precision_stays_within_its_rounding() {
    for family in FAMILIES {
        let (exact, processor) = tiny(family);
        let half = vigos_qwen::Model::load(&folder_of(family), &exact.device, DType::BF16).unwrap();
        let case = Case::of(family, "row0", &processor);
        let logits = |model: &vigos_qwen::Model| {
            let features = model.encode_images(&case.image_refs(), None);
            let hidden = model.forward(&model.pack(&[&case.sequence]).unwrap(), &features, None, &mut ());
            model.logits_at(&hidden, &[0, 12, 24, 38])
        };
        let (exact, half) = (logits(&exact), logits(&half));
        let scale: f32 = exact.clone().abs().max().into_scalar();
        let error: f32 = (exact - half).abs().max().into_scalar();
        // bf16 keeps 8 bits; the error accumulates over 3 + 3 layers.
        assert!(error < 0.05 * scale, "{family}: error {error}, scale {scale}");
        assert!(error > 0.0, "{family}: the model must have been computed in bf16");
    }
}

#[test]
fn ids_and_image_slots_that_do_not_fit_are_refused() {
    let (model, processor) = (tiny_model(), tiny_processor());
    let case = Case::load("row0", &processor);
    let unknown = Sequence { ids: vec![1, 5000], images: vec![] };
    assert!(model.pack(&[&unknown]).unwrap_err().to_string().contains("5000"));
    let short = Sequence { ids: case.sequence.ids[..30].to_vec(), images: case.sequence.images.clone() };
    assert!(model.pack(&[&short]).is_err());
}

/// The best token of each row and its log-probability.
fn best(logits: &Tensor<2>) -> Vec<(u32, f64)> {
    let [_, vocabulary] = logits.dims();
    let values: Vec<f32> = logits.clone().try_into_vec_as().unwrap();
    values
        .chunks(vocabulary)
        .map(|row| {
            let (token, max) =
                row.iter().enumerate().fold((0, f32::MIN), |b, (i, v)| if *v > b.1 { (i, *v) } else { b });
            let sum: f64 = row.iter().map(|v| f64::from(v - max).exp()).sum();
            (token as u32, -sum.ln())
        })
        .collect()
}
